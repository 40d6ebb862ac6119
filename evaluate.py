"""Score a checkpoint: python evaluate.py ckpt=<run folder>."""

import sys

from ser import command, overrides

command.begin()
sys.argv[1:] = overrides.forgiving(sys.argv[1:], "ckpt")

import hydra  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    """Evaluate on the test part, or on another with split=val."""
    with command.ending():
        from ser.evaluation import evaluate

        settings = OmegaConf.to_container(cfg, resolve=True)
        assert isinstance(settings, dict)
        evaluate({str(name): value for name, value in settings.items()})


if __name__ == "__main__":
    main()
