"""Checkpoints: written whole or not at all, resumed wherever they lie; `ser.trained.record` reads them."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from ser.atomic import replacing
from ser.training.monitor import Monitor


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames: Lightning's own way is torn where its scratch folder is another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write all of the file, through to the disk, before it takes its name."""
        content = io.BytesIO()  # torch would not say what is wrong with the disk
        torch.save(checkpoint, content)
        with replacing(path) as scratch, scratch.open("wb") as file:
            file.write(content.getbuffer())
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


class BestCheckpoint(MovableCheckpoint):
    """The best epoch by the monitored score; none where nobody validates, since the last one counts there."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save, if there is something to choose by."""
        if trainer.datamodule.split.val:  # type: ignore[attr-defined]
            super().on_train_epoch_end(trainer, pl_module)


def callbacks(folder: Path, monitor: Monitor) -> list[ModelCheckpoint]:
    """Best, then last: one callback with `save_last=True` would not save the last epoch but the best again."""
    return [
        BestCheckpoint(folder, filename="best", monitor=monitor.name, mode=monitor.mode, enable_version_counter=False),
        MovableCheckpoint(
            folder,
            filename="last",
            monitor=None,
            save_top_k=1,
            enable_version_counter=False,
            save_on_train_epoch_end=True,  # of every epoch, though not every one is validated
        ),
    ]
