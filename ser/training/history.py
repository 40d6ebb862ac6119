"""The course of training: one row per epoch in `metrics.csv`, whole after any interruption."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from ser.atomic import replacing

COLUMNS = ("epoch", "train/loss", "val/loss", "val/accuracy", "val/uar", "val/macro_f1", "lr", "seconds")


class History(Checkpoint):
    """Writes `metrics.csv` anew after every epoch, and travels in the checkpoints.

    Lightning's CSVLogger deletes the file when a resumed run opens it again. This is a `Checkpoint` to Lightning so
    that it is called after the module has logged and, standing first among them, before the checkpoints are written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the epoch's clock."""
        self.begun = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the epoch's row, and replace the file; an epoch without validation has no scores of an earlier one."""
        fresh = [name for name in COLUMNS if not name.startswith("val/")]
        fresh = list(COLUMNS) if pl_module.validated_epoch == trainer.current_epoch else fresh
        found = {name: float(value) for name, value in trainer.callback_metrics.items() if name in fresh}
        self.rows.append({"epoch": trainer.current_epoch, **found, "seconds": time.perf_counter() - self.begun})
        if trainer.is_global_zero:
            with replacing(self.path) as scratch, scratch.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(self.rows)

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the rows of the checkpoint."""
        self.rows = list(state_dict["rows"])
