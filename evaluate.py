"""Score a checkpoint: python evaluate.py ckpt=<run folder>/checkpoints/best.ckpt."""

import sys

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    """Evaluate on the test part, or on another with split=val."""
    from ser.errors import SerError
    from ser.experiment import evaluate

    try:
        evaluate(cfg)
    except SerError as error:
        sys.exit(f"\nerror: {error}")


if __name__ == "__main__":
    main()
