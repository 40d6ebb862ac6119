"""Train one model, or many with -m: python train.py model=cnn trainer.max_epochs=70."""

import logging
import sys
from datetime import datetime
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf


def run_dir(resume: str | None, model: str) -> str:
    """A new folder for each run; a resumed run stays in its own, if its checkpoint is in one."""
    if resume is not None:
        path = Path(resume).absolute()
        if path.is_dir() or path.parent.name == "checkpoints":
            return str(path if path.is_dir() else path.parent.parent)
    return f"outputs/{model}/{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"


OmegaConf.register_new_resolver("run_dir", run_dir, use_cache=True, replace=True)
open_trainer = {"trainer": DictConfig({}, flags={"struct": False})}
ConfigStore.instance().store("any_trainer_key", DictConfig(open_trainer))


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float:
    """Train; return the best value of the monitored score, which a sweep optimises."""
    from ser.errors import SerError
    from ser.experiment import train

    job = HydraConfig.get()
    try:
        return train(cfg, Path(job.runtime.output_dir), job.overrides.task)
    except SerError as error:
        if job.mode is RunMode.MULTIRUN:  # the other runs go on; the command fails at its end
            logging.getLogger(__name__).error("error: %s", error)
            raise
        sys.exit(f"\nerror: {error}")


if __name__ == "__main__":
    main()
