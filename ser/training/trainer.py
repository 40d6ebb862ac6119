"""Lightning's Trainer, as a run needs it: what the user chose, and what is not to choose."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from ser.errors import ConfigError
from ser.training import checkpoint
from ser.training.history import History

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no advertisements; what matters is said here
logging.getLogger("fontTools").setLevel(logging.WARNING)  # at work on the fonts of a PDF
warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own use of torch
warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")  # that of the run to resume
warnings.filterwarnings("ignore", message=".*returned `None`.*")  # how an estimator takes part in the loop


def for_training(settings: Mapping[str, Any], precision: str, folder: Path, history: History) -> L.Trainer:
    """The trainer of a run: checkpoints, history and TensorBoard go to its folder.

    Args:
        settings: keys of Lightning's Trainer; None leaves its own default.
        precision: Lightning's name of it.

    Raises:
        ConfigError: if Lightning refuses the settings.
    """
    bars = [TQDMProgressBar(refresh_rate=20)] if settings["enable_progress_bar"] else []
    chosen = {name: value for name, value in settings.items() if value is not None}
    try:
        return L.Trainer(
            **chosen | {"precision": precision},
            callbacks=[history, *checkpoint.callbacks(folder / "checkpoints"), *bars],
            logger=TensorBoardLogger(folder, name="tensorboard", version=""),
            plugins=[checkpoint.AtomicCheckpointIO()],
            default_root_dir=folder,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        do = (
            "this machine has no GPU for torch: use trainer=cpu" if "gpu backend" in str(error) else "set another value"
        )
        raise ConfigError(f"Lightning's Trainer refuses its settings: {error}", where="trainer", do=do) from error


def for_scoring(settings: Mapping[str, Any], precision: str) -> L.Trainer:
    """A trainer that predicts and leaves nothing behind."""
    chosen = {**settings, "precision": precision}
    return L.Trainer(**chosen, logger=False, enable_checkpointing=False, enable_model_summary=False)


def fastest_precision(accelerator: str) -> str:
    """`bf16-mixed` where the device has bf16 arithmetic, else `32-true`."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"
