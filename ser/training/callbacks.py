"""Callbacks that Lightning has, but which a resumed run would not continue as the uninterrupted one."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping, WeightAveraging


class ResumableEarlyStopping(EarlyStopping):
    """Lightning's early stopping would train a run that it has stopped for one more epoch when it is resumed."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop at once if the patience is spent."""
        trainer.should_stop = trainer.should_stop or self.wait_count >= self.patience


class LateWeightAveraging(WeightAveraging):
    """The equal average of the weights after each step from `first_epoch` on (counted from 0).

    Source: Izmailov et al. (2018), Averaging weights leads to wider optima and better generalization.
    """

    def __init__(self, first_epoch: int) -> None:
        super().__init__()
        self.first_epoch, self.epoch = first_epoch, 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Know which epoch a step belongs to."""
        self.epoch = trainer.current_epoch

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Before `first_epoch` the average is replaced by the newest weights, so that there is always one."""
        if step_idx is not None and self.epoch < self.first_epoch and self._average_model is not None:
            self._average_model.n_averaged.zero_()
        return step_idx is not None
