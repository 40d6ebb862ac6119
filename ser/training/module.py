"""The LightningModules around a network: one shared step; collect, log, nothing else."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from ser.augment.augmentation import Augmentation
from ser.errors import ConfigError
from ser.models.estimator import Estimator
from ser.results import metrics
from ser.training.data import Batch, EmotionDataModule
from ser.training.loss import CrossEntropy
from ser.training.monitor import Monitor
from ser.training.schedules import Schedule
from ser.utterances import class_indices

PLAIN = CrossEntropy()

log = logging.getLogger(__name__)


class EmotionClassifier(L.LightningModule):
    """What all models share: validation, and the record that goes into every checkpoint as `ser`.

    Args:
        net: `(batch, dim, frame)` and lengths `(batch,)` to logits `(batch, class)`.
        seed: decides, with epoch and step, every random draw of training.
        monitor: the score that the best epoch is chosen by.
        augment: of training utterances.
        record: plain values, so that `torch.load(weights_only=True)` reads them.
    """

    def __init__(
        self, net: nn.Module, seed: int, monitor: Monitor, augment: Augmentation, record: dict[str, Any]
    ) -> None:
        super().__init__()
        self.net, self.seed, self.monitor, self.augment, self.record = net, seed, monitor, augment, record
        self.scored: list[tuple[Tensor, Tensor]] = []
        self.validated_epoch = -1
        self.loss = MeanMetric()
        # Not validated: that would look at every batch.
        self.confusion = MulticlassConfusionMatrix(len(record["labels"]), validate_args=False)

    @property
    def data(self) -> EmotionDataModule:
        """Of the trainer."""
        return self.trainer.datamodule  # type: ignore[attr-defined, no-any-return]

    def converted(self, x: Tensor) -> Tensor:
        """The type that the weights have, which is another where `trainer.precision` is such as `64-true`."""
        return self.trainer.precision_plugin.convert_input(x)  # type: ignore[no-any-return]

    def validation_step(self, rows: Tensor, batch_idx: int) -> None:
        """Collect; loss and scores are computed once per epoch."""
        batch = self.data.batch(rows, Augmentation())
        self.scored.append((self.net(self.converted(batch.x), batch.lengths).float(), batch.truth))

    def on_validation_epoch_end(self) -> None:
        """Log `val/loss`, `val/accuracy`, `val/uar` and `val/macro_f1`."""
        logits, truth = (torch.cat(parts) for parts in zip(*self.scored, strict=True))
        self.scored.clear()
        self.loss.update(F.cross_entropy(logits, truth), len(truth))
        self.confusion.update(logits.argmax(1), truth)
        scores = metrics.scores(self.confusion.compute().cpu().numpy())
        self.log("val/loss", self.loss.compute())
        self.log("val/accuracy", scores["accuracy"])
        self.log_dict({"val/uar": scores["uar"], "val/macro_f1": scores["macro_f1"]})
        self.loss.reset()
        self.confusion.reset()
        self.validated_epoch = self.current_epoch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the record: all that evaluation needs besides the weights."""
        checkpoint["ser"] = self.record


class GradientClassifier(EmotionClassifier):
    """A network trained by gradient descent on cross-entropy.

    Args:
        optimizer: from parameters to their optimiser.
        scheduler: a `Schedule`, by the step alone; or from optimiser and mode ("min" or "max") to a plateau scheduler,
            by which the rate falls when the monitored score rests.
        loss: of training.
        compile: mode of `torch.compile` for the network; None leaves it as it is.

    Raises:
        ConfigError: if torch knows no such mode.
    """

    def __init__(
        self,
        net: nn.Module,
        seed: int,
        monitor: Monitor,
        augment: Augmentation,
        record: dict[str, Any],
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        scheduler: Schedule | Callable[..., ReduceLROnPlateau],
        loss: CrossEntropy = PLAIN,
        compile: str | None = None,
    ) -> None:
        super().__init__(net, seed, monitor, augment, record)
        if compile is not None:
            try:
                net.compile(mode=compile)
            except RuntimeError as error:
                raise ConfigError(f"torch.compile: {error}", where="model.compile", do="use another mode") from error
        self.make_optimizer, self.scheduler, self.train_criterion = optimizer, scheduler, loss
        self.plateau: ReduceLROnPlateau | None = None
        self.losses: list[tuple[Tensor, int]] = []
        self.train_loss = MeanMetric()
        self.resumed: dict[str, Any] = {}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser alone: Lightning would step the scheduler after it has written the checkpoint."""
        try:
            optimizer = self.make_optimizer(self.net.parameters())
            if not isinstance(self.scheduler, Schedule):
                self.plateau = self.scheduler(optimizer, mode=self.monitor.mode)
                self.plateau.load_state_dict(self.resumed)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"torch: {error}", where="model.optimizer, model.scheduler") from error
        self.base_rates = [group["lr"] for group in optimizer.param_groups]
        return optimizer

    def on_train_start(self) -> None:
        """Count what the loss and the schedule have to know of the whole training.

        Raises:
            ConfigError: if the schedule can't know when training ends.
        """
        if isinstance(self.scheduler, Schedule):
            total = self.trainer.estimated_stepping_batches
            if not math.isfinite(total):
                what = "this schedule has to know how long training takes"
                raise ConfigError(what, where="trainer.max_epochs", do="give a number")
            self.total_steps = int(total)
        split = self.data.split
        truth = torch.tensor(class_indices(split.table)[list(split.train)])
        weights = self.train_criterion.weights(truth, len(self.record["labels"]))
        self.class_weights = None if weights is None else weights.to(self.device)

    def on_train_batch_start(self, rows: Tensor, batch_idx: int) -> None:
        """Let rate and random numbers depend on seed, epoch, step and process alone: a resumed run has the same."""
        if isinstance(self.scheduler, Schedule):
            factor = self.scheduler(self.trainer.global_step, self.total_steps)
            for group, rate in zip(self.trainer.optimizers[0].param_groups, self.base_rates, strict=True):
                group["lr"] = rate * factor
        step = (self.seed * 100_003 + self.current_epoch) * 100_003 + batch_idx
        seed = (step + 7_919 * self.global_rank) % (1 << 63)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would look for accelerators of every kind
        if self.device.type != "cpu":
            torch.get_device_module(self.device).manual_seed(seed)

    def training_step(self, rows: Tensor, batch_idx: int) -> Tensor:
        """The loss of a batch."""
        batch = self.data.batch(rows, self.augment)
        logits = self.net(self.converted(batch.x), batch.lengths).float()
        loss = self.train_criterion(logits, batch.truth, self.class_weights)
        self.losses.append((loss.detach(), len(batch.truth)))
        return loss

    def on_train_epoch_end(self) -> None:
        """Log `train/loss` and the last rate it was reached with; then a plateau scheduler sees the monitored score."""
        losses, sizes = zip(*self.losses, strict=True)
        self.losses.clear()
        self.train_loss.update(torch.stack(losses), torch.tensor(sizes, device=self.device))
        self.log("train/loss", self.train_loss.compute())
        self.train_loss.reset()
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        score = self.trainer.callback_metrics.get(self.monitor.name)
        fresh = self.validated_epoch == self.current_epoch or not self.data.split.val  # else it is an earlier epoch's
        if self.plateau is not None and score is not None and fresh:
            self.plateau.step(float(score))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the record, and where a plateau scheduler stands."""
        state = {} if self.plateau is None else self.plateau.state_dict()
        plateau = {key: state[key] for key in ("best", "num_bad_epochs", "cooldown_counter") if key in state}
        checkpoint["ser"] = self.record | {"plateau": plateau}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep where the scheduler stood until there is one; the rate itself is in the optimiser's state."""
        self.resumed = checkpoint["ser"]["plateau"]


class EstimatorClassifier(EmotionClassifier):
    """A scikit-learn estimator in the same loop: rows are collected, and fitted on before validation."""

    net: Estimator

    def __init__(
        self, net: Estimator, seed: int, monitor: Monitor, augment: Augmentation, record: dict[str, Any]
    ) -> None:
        super().__init__(net, seed, monitor, augment, record)
        self.batches: list[Batch] = []

    def configure_optimizers(self) -> None:
        """None: automatic optimisation without an optimiser still counts steps, and so writes checkpoints."""

    def on_fit_start(self) -> None:
        """There is nothing left to train in a run that is resumed after its fit."""
        self.trainer.should_stop = self.net.fitted is not None

    def training_step(self, rows: Tensor, batch_idx: int) -> None:
        """Collect; with the last batch, fit in table order, once: then training is over."""
        self.batches.append(self.data.batch(rows, self.augment))
        if self.trainer.is_last_batch:
            x, _, truth, rows = (torch.cat(parts) for parts in zip(*self.batches, strict=True))
            all_of_them = len(self.data.split.train) * self.data.versions
            if len(rows) < all_of_them:  # in a network's case the run folder's losses would show it
                log.warning("fitted on %d of %d training utterances only", len(rows), all_of_them)
            order = rows.argsort()
            self.net.fit(x[order], truth[order], self.seed, self.data.speakers[rows[order].cpu()])
            self.batches.clear()
            self.trainer.should_stop = True

    def on_validation_start(self) -> None:
        """Refuse to score what is not fitted yet.

        Raises:
            ConfigError: if validation comes within the epoch.
        """
        if self.net.fitted is None:
            raise ConfigError(
                "validation comes before the estimator is fitted, which is with the last training batch",
                where="trainer.val_check_interval, trainer.max_steps",
                do="leave them as they are in Lightning",
            )
