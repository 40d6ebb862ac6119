"""Where dataset, split and tensors meet: the batches that every model sees."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

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

    `lengths`: the frames up to each utterance's end; `truth`: class indices; `rows`: of the utterance table, or as
    `EmotionDataModule` numbers copies.
    """

    x: Tensor
    lengths: Tensor
    truth: Tensor
    rows: Tensor


class PartBatches:
    """Row numbers of one part, batch by batch; in table order, or shuffled by seed and epoch.

    A shuffled part may have several `versions` of each row, whose numbers are `apart`: every pass has one of each, by
    seed and epoch again.
    """

    def __init__(
        self,
        rows: tuple[int, ...],
        batch_size: int,
        seed: int | None,
        rank: int,
        ranks: int,
        versions: int = 1,
        apart: int = 0,
    ) -> None:
        self.rows, self.batch_size, self.seed = torch.tensor(rows, dtype=torch.long), batch_size, seed
        self.rank, self.ranks, self.epoch = rank, ranks, 0
        self.versions, self.apart = versions, apart
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
            if self.versions > 1:
                rows = rows + self.apart * torch.randint(self.versions, rows.shape, generator=generator)
            if self.ranks > 1:  # every process takes as many steps, or the last ones would wait for each other
                rows = rows[torch.arange(math.ceil(len(rows) / self.ranks) * self.ranks) % len(rows)]
        yield from torch.split(rows[self.rank :: self.ranks], self.batch_size)


class EmotionDataModule(L.LightningDataModule):
    """The training and validation parts of a dataset; resident on the trainer's device.

    There is no way to the test part: `evaluate.py` scores it by the checkpoint alone. Copy `k` of the utterance in row
    `i` of the table has the number `i + k * utterances`; only the training loader gives such numbers.

    Args:
        heard: what an epoch has of each training utterance: "one" of original and copies, drawn, or "all" of them.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: Split,
        settings: Input,
        batch_size: int,
        seed: int,
        heard: Literal["one", "all"] = "one",
    ) -> None:
        super().__init__()
        self.split, self.settings, self.batch_size, self.seed, self.heard = split, settings, batch_size, seed, heard
        self.versions, self.utterances = 1 + len(dataset.copies), len(dataset.table)
        speakers = torch.tensor(dataset.table["speaker"].astype("category").cat.codes.to_numpy("int64"))
        self.speakers = speakers.repeat(self.versions)
        self.normalisation = self._fit(dataset)
        mean, deviation = self.normalisation.tensors(torch.device("cpu"))
        rows, starts, lengths = _on_end(dataset)
        self._resident = {
            "rows": rows,
            "starts": starts,
            "lengths": lengths,
            "truth": torch.tensor(class_indices(dataset.table)).repeat(self.versions),
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
        rows, versions = getattr(self.split, part), self.versions if part == "train" else 1
        if self.heard == "all":
            rows, versions = tuple(row + copy * self.utterances for copy in range(versions) for row in rows), 1
        batches = PartBatches(rows, self.batch_size, seed, rank, ranks, versions, self.utterances)
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


def _on_end(dataset: Dataset) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the dataset and of its copies on end, the last one silence; starts and lengths in these, on end, too.

    Without copies the rows stay the memory map that they are.
    """
    if not dataset.copies:
        return dataset.rows, dataset.starts, dataset.lengths
    banks = [(dataset.rows, dataset.starts, dataset.lengths), *dataset.copies]
    before = torch.tensor([0, *(len(rows) for rows, _, _ in banks[:-1])]).cumsum(0).tolist()
    starts = [starts + shift for (_, starts, _), shift in zip(banks, before, strict=True)]
    return torch.cat([rows for rows, _, _ in banks]), torch.cat(starts), torch.cat([lengths for _, _, lengths in banks])
