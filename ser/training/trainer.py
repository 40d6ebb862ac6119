"""Lightning's Trainer, as a run needs it: what the user chose, and what every run has."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import AdvancedProfiler, Profiler, SimpleProfiler
from lightning_utilities.core.rank_zero import rank_zero_only

from ser.build import build, check_against
from ser.errors import ConfigError
from ser.training import checkpoint
from ser.training.history import History
from ser.training.monitor import Monitor
from ser.training.progress import Progress

OURS = {
    "logger": "use the group logger=tensorboard, csv, wandb, mlflow or none",
    "callbacks": "use the group callbacks=early_stopping, or callbacks.<name>._target_=<any callback of Lightning's>",
    "default_root_dir": "use hydra.run.dir=<folder>",
    "enable_checkpointing": "leave it out: a run without checkpoints can't be evaluated (debug=one_batch has none)",
    "plugins": "leave it out: it writes the checkpoints",
    "num_sanity_val_steps": "leave it out: an estimator has nothing to validate before its fit",
    "use_distributed_sampler": "leave it out: every process has its own part of the batches already",
    "enable_model_summary": "leave it out: the summary counts the parameters",
    "barebones": "leave it out: it has neither checkpoints nor metrics",
    "reload_dataloaders_every_n_epochs": "leave it out: the loaders follow the epochs",
}
"""Keys of Lightning's Trainer that every run has its own value for, and what to do instead."""

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no advertisements; what matters is said here
logging.getLogger("fontTools").setLevel(logging.WARNING)  # at work on the fonts of a PDF
warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own use of torch
warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")  # that of the run to resume
warnings.filterwarnings("ignore", message="Total length of `PartBatches`.*zero")  # nobody validates
warnings.filterwarnings("ignore", message=".*returned `None`.*")  # how an estimator takes part in the loop


def check(settings: Mapping[str, Any]) -> None:
    """Refuse keys and types that Lightning's Trainer does not take, before any work.

    Raises:
        ConfigError: naming the key.
    """
    for name in settings:
        if name in OURS:
            raise ConfigError("every run has its own value for this key", where=f"trainer.{name}", do=OURS[name])
    check_against(settings, L.Trainer, "trainer")


def limits(settings: Mapping[str, Any]) -> list[str] | None:
    """The settings by which an epoch is not all of the data, such as "trainer.fast_dev_run"; None if there is none."""
    limited = [name for name in ("fast_dev_run", "overfit_batches") if settings.get(name)]
    shares = {name: settings.get(name) for name in ("limit_train_batches", "limit_val_batches")}
    limited += [name for name, share in shares.items() if share is not None and repr(share) != "1.0"]  # 1: one batch
    return [f"trainer.{name}" for name in limited] or None


def for_training(
    settings: Mapping[str, Any],
    precision: str,
    folder: Path,
    history: History,
    monitor: Monitor,
    callbacks: Iterable[Callback],
    log_to: Logger | None,
) -> L.Trainer:
    """The trainer of a run: checkpoints and history go to its folder.

    Args:
        settings: keys of Lightning's Trainer; None leaves its own default.
        precision: Lightning's name of it.

    Raises:
        ConfigError: if Lightning refuses the settings.
    """
    callbacks = list(callbacks)
    own_bar = any(isinstance(callback, ProgressBar) for callback in callbacks)
    progress = [Progress(history)] if settings.get("enable_progress_bar", True) and not own_bar else []
    chosen = {name: value for name, value in settings.items() if value is not None}
    chosen |= {"precision": precision, "profiler": _profiler(settings.get("profiler"), folder)}
    chosen["enable_progress_bar"] = own_bar
    plugins: list[Any] = [checkpoint.AtomicCheckpointIO()]
    if _alone(settings):
        # A task of `srun`, a shell that torchrun has left: its rank is not ours, and must not silence this run.
        plugins.append(LightningEnvironment())
        rank_zero_only.rank = 0  # type: ignore[attr-defined]
    try:
        return L.Trainer(
            **chosen,
            callbacks=[history, *checkpoint.callbacks(folder / "checkpoints", monitor), *callbacks, *progress],
            logger=log_to or False,
            plugins=plugins,
            default_root_dir=folder,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ImportError, RuntimeError, TypeError, ValueError) as error:
        do = (
            "this machine has no GPU for torch: use trainer=cpu" if "gpu backend" in str(error) else "set another value"
        )
        raise ConfigError(f"Lightning's Trainer refuses its settings: {error}", where="trainer", do=do) from error


def _alone(settings: Mapping[str, Any]) -> bool:
    """Whether the settings ask for one process, whatever the environment says of ranks."""
    devices = settings.get("devices")
    one = len(devices) == 1 if isinstance(devices, list) else str(devices) == "1"
    return one and settings.get("num_nodes") in (None, 1)


def logger(settings: dict[str, Any], folder: Path) -> Logger | None:
    """Lightning's logger, to the run folder; None without settings.

    Raises:
        ConfigError: if it needs a package that is not installed.
    """
    if not settings:
        return None
    try:
        return build(settings, where="logger", save_dir=str(folder))  # type: ignore[no-any-return]
    except ImportError as error:
        package = settings["_target_"].rsplit(".", 1)[-1].removesuffix("Logger").lower()
        raise ConfigError(
            f"this logger needs a package that is not installed: {error}",
            where="logger",
            do=f'pip install "ser[{package}]", or use another, such as logger=csv',
        ) from error


def _profiler(name: str | None, folder: Path) -> Profiler | str | None:
    """Lightning's, writing to the run folder: what it logs otherwise would be lost among the bars."""
    kinds: dict[str | None, type[SimpleProfiler] | type[AdvancedProfiler]] = {
        "simple": SimpleProfiler,
        "advanced": AdvancedProfiler,
    }
    return kinds[name](dirpath=folder, filename="profile") if name in kinds else name


def fastest_precision(accelerator: str) -> str:
    """`bf16-mixed` where the device has bf16 arithmetic, else `32-true`."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"
