"""Where dataset, split and tensors meet: the batches that every model sees."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import SequentialSampler

from ser.augment.augmentation import Augmentation
from ser.dataset import Dataset
from ser.features import inputs, normalise
from ser.features.inputs import Input
from ser.protocols.split import Split
from ser.utterances import class_indices


class Batch(NamedTuple):
    """What a network is trained on: `(batch, dim, frame)`, and `(batch,)` each.

    `lengths`: the frames up to each utterance's end; `truth`: class indices; `rows`: of the utterance table.
    """

    x: Tensor
    lengths: Tensor
    truth: Tensor
    rows: Tensor


class PartBatches:
    """Row numbers of one part, batch by batch; in table order, or shuffled by seed and epoch."""

    def __init__(self, rows: tuple[int, ...], batch_size: int, seed: int | None, rank: int, ranks: int) -> None:
        self.rows, self.batch_size, self.seed = torch.tensor(rows, dtype=torch.long), batch_size, seed
        self.rank, self.ranks, self.epoch = rank, ranks, 0
        self.sampler: object = self  # where Lightning looks for `set_epoch`
        self.batch_sampler = None

    def set_epoch(self, epoch: int) -> None:
        """The next pass is that of this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(math.ceil(len(self.rows) / self.ranks) / self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        rows = self.rows
        if self.seed is not None:
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.epoch) % (1 << 63))
            rows = rows[torch.randperm(len(rows), generator=generator)]
            if self.ranks > 1:  # every process takes as many steps, or the last ones would wait for each other
                rows = rows[torch.arange(math.ceil(len(rows) / self.ranks) * self.ranks) % len(rows)]
        yield from torch.split(rows[self.rank :: self.ranks], self.batch_size)


class EmotionDataModule(L.LightningDataModule):
    """The training and validation parts of a dataset; resident on the trainer's device.

    There is no way to the test part: `evaluate.py` scores it by the checkpoint alone.
    """

    def __init__(self, dataset: Dataset, split: Split, settings: Input, batch_size: int, seed: int) -> None:
        super().__init__()
        self.split, self.settings, self.batch_size, self.seed = split, settings, batch_size, seed
        self.speakers = torch.tensor(dataset.table["speaker"].astype("category").cat.codes.to_numpy("int64"))
        self.normalisation = self._fit(dataset)
        mean, deviation = self.normalisation.tensors(torch.device("cpu"))
        self._resident = {
            "rows": dataset.rows,
            "starts": dataset.starts,
            "lengths": dataset.lengths,
            "truth": torch.tensor(class_indices(dataset.table)),
            "mean": mean[:, None],
            "deviation": deviation[:, None],
        }

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of one utterance's input, `(dim, frame)`."""
        return self._resident["rows"].shape[1], self.settings.frames

    def _fit(self, dataset: Dataset) -> normalise.Normalisation:
        if self.settings.normalise == "none":
            return normalise.NONE
        train = torch.tensor(self.split.train)
        per_dimension = self.settings.normalise == "dimension"
        return normalise.fit(dataset.rows, dataset.starts[train], dataset.lengths[train], per_dimension)

    def _batches(self, part: str, seed: int | None) -> PartBatches:
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        batches = PartBatches(getattr(self.split, part), self.batch_size, seed, rank, ranks)
        if self.trainer and self.trainer.overfit_batches:  # type: ignore[attr-defined]
            batches.sampler = SequentialSampler(batches.rows)  # not told of epochs: each is the first
        return batches

    def train_dataloader(self) -> PartBatches:
        """The training part, in an order of its own every epoch."""
        batches = self._batches("train", self.seed)
        # A resumed run asks for its first batch before Lightning sets the epoch.
        if self.trainer and batches.sampler is batches:
            batches.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)  # type: ignore[attr-defined]
        return batches

    def val_dataloader(self) -> PartBatches:
        """The validation part, in table order."""
        return self._batches("val", None)

    def batch(self, rows: Tensor, augment: Augmentation) -> Batch:
        """Gather, augment and normalise the utterances of these rows, on the device of the rows."""
        if self._resident["rows"].device != rows.device:
            self._resident = {name: tensor.to(rows.device) for name, tensor in self._resident.items()}
        here, frames = self._resident, self.settings.frames
        place = augment.places(self.settings.places(len(rows))).to(rows.device)
        silence = len(here["rows"]) - 1
        source, lengths = inputs.sources(here["starts"][rows], here["lengths"][rows], place, frames, silence)
        x = augment(inputs.gather(here["rows"], source).mT, lengths)
        return Batch(x.sub_(here["mean"]).div_(here["deviation"]), lengths, here["truth"][rows], rows)
