"""Score a checkpoint: python evaluate.py ckpt=<run folder>."""

import sys

import hydra
from omegaconf import DictConfig, OmegaConf


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    """Evaluate on the test part, or on another with split=val."""
    from ser.errors import SerError
    from ser.evaluation import evaluate

    try:
        settings = OmegaConf.to_container(cfg, resolve=True)
        assert isinstance(settings, dict)
        evaluate({str(name): value for name, value in settings.items()})
    except SerError as error:
        sys.exit(f"\nerror: {error}")


if __name__ == "__main__":
    main()
