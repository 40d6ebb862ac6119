"""Where table, split, features and tensors meet: the batches that every model sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import lightning as L
import pandas as pd
import torch
from torch import Tensor

from ser.errors import ConfigError
from ser.features import frames, normalise
from ser.features.cache import Bank
from ser.features.normalise import Normalisation
from ser.protocols.split import Split
from ser.utterances import labels

Draw = tuple[Tensor, Tensor, Tensor]
"""Row of the utterance table, rows of the bank for its frames, shift of the level (dB): one of each an utterance."""

PREPARED = 32
"""Batches whose draws are made at once: by itself, each would cost as much as gather and normalisation."""

Batch = tuple[Tensor, Tensor, Tensor]
"""Input, class index and row of the utterance table, one of each an utterance."""


@dataclass(frozen=True)
class InputSettings:
    """How an utterance's rows become a model's input.

    `frames`: pad or crop to this many rows, in three equal channels; `None` for a feature of one vector an utterance.
    `random_place`: draw the place in the frame anew for every epoch of training, instead of the middle.
    `normalise`: "global" or "dimension" (training statistics over all or of each dimension), or "none".
    `random_level`: standard deviation in dB of the shift that is added, drawn anew for every epoch of training; for
    features in dB.
    """

    frames: int | None
    random_place: bool
    normalise: str
    random_level: float = 0.0

    def __post_init__(self) -> None:
        if self.normalise not in ("global", "dimension", "none"):
            raise ConfigError(
                f"no normalisation is called {self.normalise!r}",
                where="features.normalise",
                do="use global, dimension or none",
            )


class PartBatches:
    """The batches of one part: order, places and levels are drawn from seed and epoch; nothing is without a seed.

    `sources` tells from rows of the table and places in the frame which rows of the bank to gather.
    """

    def __init__(
        self,
        rows: tuple[int, ...],
        sources: Callable[[Tensor, Tensor], Tensor],
        batch_size: int,
        settings: InputSettings,
        seed: int | None,
        rank: int,
        ranks: int,
    ) -> None:
        self.rows, self.sources, self.batch_size = torch.tensor(rows, dtype=torch.long), sources, batch_size
        self.settings, self.seed = settings, seed
        self.rank, self.ranks, self.epoch = rank, ranks, 0
        self.sampler, self.batch_sampler = self, None  # where Lightning looks for `set_epoch`

    def set_epoch(self, epoch: int) -> None:
        """The next pass draws for this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(math.ceil(len(self.rows) / self.ranks) / self.batch_size)

    def __iter__(self) -> Iterator[Draw]:
        rows, place, level = self.rows, torch.full((len(self.rows),), 0.5), torch.zeros(len(self.rows))
        if self.seed is not None:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            rows = rows[torch.randperm(len(rows), generator=generator)]
            if self.settings.random_place:
                place = torch.rand(len(rows), generator=generator)
            level = self.settings.random_level * torch.randn(len(rows), generator=generator)
            if self.ranks > 1:  # every process takes as many steps, or the last ones would wait for each other
                wrapped = torch.arange(math.ceil(len(rows) / self.ranks) * self.ranks) % len(rows)
                rows, place, level = rows[wrapped], place[wrapped], level[wrapped]
        rows, place, level = (values[self.rank :: self.ranks] for values in (rows, place, level))
        for first in range(0, len(rows), PREPARED * self.batch_size):
            some = slice(first, first + PREPARED * self.batch_size)
            draws = rows[some], self.sources(rows[some], place[some]), level[some]
            yield from zip(*(torch.split(values, self.batch_size) for values in draws), strict=True)


class EmotionDataModule(L.LightningDataModule):
    """Features of a table's utterances, split, placed, normalised; resident on the trainer's device.

    A loader yields numbers of rows alone; a batch is one gather on the device. `fit` has no way to the test part:
    only `predict` goes through it.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        bank: Bank,
        split: Split,
        settings: InputSettings,
        batch_size: int,
        seed: int,
        normalisation: Normalisation | None = None,
    ) -> None:
        super().__init__()
        self.split, self.settings, self.batch_size, self.seed = split, settings, batch_size, seed
        files = bank.files.loc[table["path"]]
        self._rows = bank.rows
        self._starts, self._lengths = (torch.tensor(files[name].to_numpy()) for name in ("start", "length"))
        self._labels = torch.tensor(labels(table))
        self.speakers = torch.tensor(table["speaker"].to_numpy())
        self.normalisation = normalisation or self._fit()
        self._mean, self._deviation = self.normalisation.tensors(torch.device("cpu"))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one utterance's input: `(3, dim, frame)`, or `(dim,)` without frames."""
        dimensions = self._rows.shape[1]
        return (dimensions,) if self.settings.frames is None else (3, dimensions, self.settings.frames)

    def _fit(self) -> Normalisation:
        if self.settings.normalise == "none":
            return normalise.NONE
        train = torch.tensor(self.split.train)
        return normalise.fit(
            self._rows, self._starts[train], self._lengths[train], self.settings.normalise == "dimension"
        )

    def sources(self, rows: Tensor, place: Tensor) -> Tensor:
        """Rows of the table and places in the frame, `(utterance,)`, to the rows of the bank: `(utterance, frame)`."""
        starts, lengths, silence = self._starts[rows], self._lengths[rows], len(self._rows) - 1
        return frames.sources(starts, lengths, place, self.settings.frames or 1, silence)

    def _batches(self, part: str, train: bool) -> PartBatches:
        rank, ranks = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        seed, rows = self.seed if train else None, getattr(self.split, part)
        return PartBatches(rows, self.sources, self.batch_size, self.settings, seed, rank, ranks)

    def train_dataloader(self) -> PartBatches:
        """The training part, in an order of its own every epoch."""
        batches = self._batches("train", train=True)
        if self.trainer:  # a resumed run asks for its first batch before Lightning sets the epoch
            batches.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)  # type: ignore[attr-defined]
        return batches

    def val_dataloader(self) -> PartBatches:
        """The validation part, in table order."""
        return self._batches("val", train=False)

    def predict_dataloader(self) -> PartBatches:
        """The test part, in table order."""
        return self._batches("test", train=False)

    def on_after_batch_transfer(self, batch: Draw, dataloader_idx: int) -> Batch:
        """Row numbers to inputs: `(batch, 3, dim, frame)`, channels sharing memory, or `(batch, dim)`."""
        row, source, level = batch
        if self._rows.device != row.device:
            for name in ("_rows", "_labels", "_mean", "_deviation"):
                setattr(self, name, getattr(self, name).to(row.device))
        values = frames.gather(self._rows, source)
        values.sub_(self._mean - level[:, None, None]).div_(self._deviation)
        inputs = frames.as_input(values, framed=self.settings.frames is not None)
        return inputs, self._labels[row], row
