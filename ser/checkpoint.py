"""Checkpoints: written whole or not at all, read without unpickling, resumed wherever they lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from ser import record
from ser.atomic import replacing
from ser.errors import CheckpointError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames: Lightning's own way is torn where its scratch folder is another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write all of the file, through to the disk, before it takes its name."""
        with replacing(path) as scratch, scratch.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())


class MovableCheckpoint(ModelCheckpoint):
    """A `ModelCheckpoint` whose run folder may be moved: Lightning would forget the best score of a moved one."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state as one of this folder."""
        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        here = {name: self._here(state_dict[name]) for name in paths}
        scores = {self._here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **here, "dirpath": self.dirpath, "best_k_models": scores})

    def _here(self, path: str) -> str:
        return str(Path(str(self.dirpath), Path(path).name)) if path else ""


def callbacks(folder: Path) -> list[ModelCheckpoint]:
    """Best, then last: one callback with `save_last=True` would not save the last epoch but the best again."""
    return [
        MovableCheckpoint(folder, filename="best", monitor="val/loss", enable_version_counter=False),
        MovableCheckpoint(folder, filename="last", monitor=None, save_top_k=1, enable_version_counter=False),
    ]


def read(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of plain values and tensors onto the CPU; `["ser"]` is the record of its run.

    Raises:
        CheckpointError: if it is not there, can't be read without unpickling, or is of another version.
    """
    if not Path(path).is_file():
        raise CheckpointError(
            "there is no such checkpoint", where=path, do="give ckpt=<run folder>/checkpoints/best.ckpt"
        )
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from EOFError to UnpicklingError here
        raise CheckpointError(
            f"the checkpoint can't be read ({type(error).__name__}): truncated, damaged or holding code",
            where=path,
            do="use last.ckpt or best.ckpt as training wrote it",
        ) from error
    record.check(checkpoint.get("ser") if isinstance(checkpoint, dict) else None, str(path))
    return checkpoint
