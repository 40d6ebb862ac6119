"""Train one model, or many with -m: python train.py model=cnn trainer.max_epochs=70."""

import sys

from ser import command, overrides

command.begin()
sys.argv[1:] = overrides.forgiving(sys.argv[1:])

import os  # noqa: E402
from datetime import datetime  # noqa: E402
from pathlib import Path  # noqa: E402

import hydra  # noqa: E402
from hydra.core.config_store import ConfigStore  # noqa: E402
from hydra.core.hydra_config import HydraConfig  # noqa: E402
from hydra.types import RunMode  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402


def run_dir(resume: str | None, model: str) -> str:
    """A new folder for each run; a resumed run stays in its own, if its checkpoint is in one."""
    if resume is not None:
        path = Path(str(resume)).absolute()
        path = path / "last.ckpt" if path.is_dir() and path.name == "checkpoints" else path
        if path.is_dir() or (path.is_file() and path.parent.name == "checkpoints"):
            return str(path if path.is_dir() else path.parent.parent)
    return f"outputs/{model}/{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"


OmegaConf.register_new_resolver("run_dir", run_dir, use_cache=True, replace=True)
open_trainer = {"trainer": DictConfig({}, flags={"struct": False})}
ConfigStore.instance().store("any_trainer_key", DictConfig(open_trainer))


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float:
    """Train; return the best value of the monitored score, which a sweep optimises."""
    from ser import sweep

    job = HydraConfig.get()
    folder, given = Path(job.runtime.output_dir), list(job.overrides.task)
    os.chdir(job.runtime.cwd)  # with hydra.job.chdir, relative places of corpus and cache would be in the run folder

    def run() -> float:
        from ser.experiment import train

        return train(cfg, folder, given)

    if job.mode is RunMode.MULTIRUN:
        return sweep.attempt(run, Path(job.sweep.dir), folder, job.job.num, given)
    with command.ending(folder):
        return run()


if __name__ == "__main__":
    main()
