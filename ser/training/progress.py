"""How far a training is: one bar on a terminal, one line an epoch where there is none."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from tqdm import tqdm

from ser.training.history import History

log = logging.getLogger(__name__)

BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
"""As tqdm has it, less what 80 columns have no room for."""

LOSSES = {"train/loss": "loss", "val/loss": "val loss"}
"""By their names in `metrics.csv`."""


class Progress(Checkpoint):
    """Epochs done and to come, the newest loss and validation scores, time left.

    This is a `Checkpoint` to Lightning for the reason that `History` is one: it shows the row that was just written.
    """

    def __init__(self, history: History) -> None:
        self.history, self.on_terminal = history, sys.stderr.isatty()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at how much there is to do."""
        batches, steps = int(trainer.num_training_batches), trainer.max_steps
        of_epoch = -(-batches // trainer.accumulate_grad_batches)
        by_steps = [-(-steps // of_epoch)] if steps > 0 and of_epoch else []
        by_epochs = [trainer.max_epochs] if trainer.max_epochs and trainer.max_epochs > 0 else []
        self.epochs = min([*by_steps, *by_epochs], default=None) if trainer.optimizers else 1  # a fit is one
        self.first, self.begun = trainer.current_epoch, time.perf_counter()
        self.bar = tqdm(
            total=self.epochs and (self.epochs - self.first) * batches,
            bar_format=BAR if self.epochs else None,
            dynamic_ncols=True,
            disable=not (trainer.is_global_zero and self.on_terminal),
        )

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Name the epoch."""
        self.bar.set_description_str(self._epoch(trainer))

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar on; tqdm draws it ten times a second at most."""
        self.bar.update()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the scores of the epoch."""
        scores = ", ".join(_scores(self.history.rows[-1]))
        self.bar.set_postfix_str(scores, refresh=False)
        if trainer.is_global_zero and not self.on_terminal:
            log.info("%s: %s%s", self._epoch(trainer), scores, self._left(trainer.current_epoch + 1))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the terminal as it was found."""
        self.bar.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """The same: a message comes next."""
        if hasattr(self, "bar"):
            self.bar.close()

    def _epoch(self, trainer: L.Trainer) -> str:
        return f"epoch {trainer.current_epoch + 1}" + (f"/{self.epochs}" if self.epochs else "")

    def _left(self, done: int) -> str:
        if self.epochs is None or done >= self.epochs:
            return ""
        seconds = (time.perf_counter() - self.begun) / (done - self.first) * (self.epochs - done)
        return f", {tqdm.format_interval(seconds)} left"


def _scores(found: dict[str, Any]) -> list[str]:
    """What is worth a place on the line."""
    losses = [f"{said} {found[name]:.3f}" for name, said in LOSSES.items() if name in found]
    return losses + ([f"accuracy {100 * found['val/accuracy']:.1f}%"] if "val/accuracy" in found else [])
