from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any, Literal

import lightning as L
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from ser.augment.augmentation import Augmentation
from ser.augment.crop_level import CropLevel
from ser.dataset import Copy, Dataset
from ser.features import normalise
from ser.features.inputs import Input
from ser.protocols.split import Split
from ser.training.data import Batch, EmotionDataModule, PartBatches
from ser.utterances import class_indices, utterance_table

DIM, FRAMES, SILENCE = 4, 6, -100.0
LENGTHS = [3, 9, 6, 1, 12, 5, 4, 8, 7, 2, 10]
LABELS = ("calm", "angry", "bored")
PLAIN = Input(frames=FRAMES, place="middle", normalise="none")
TRAIN, VAL, TEST = (0, 2, 3, 5, 8, 9, 10), (1, 6), (4, 7)


def table() -> pd.DataFrame:
    count = range(len(LENGTHS))
    ids = [f"clip {row:02d}" for row in count]
    rows = pd.DataFrame({"utterance": ids, "path": [f"{i}.wav" for i in ids]})
    speakers = ["3" if row in TEST else "1" for row in count]
    return utterance_table(rows.assign(emotion=[LABELS[row % 3] for row in count], speaker=speakers), LABELS)


SPLIT = Split(table(), TRAIN, VAL, TEST, test_speakers=("3",))


def dataset(seed: int = 0) -> Dataset:
    """Rows of the recordings in another order than the table's, with some that no utterance uses, and silence."""
    lengths = torch.tensor([*LENGTHS, 20]).flip(0)
    starts = (lengths.cumsum(0) - lengths).flip(0)[: len(LENGTHS)]
    values = torch.randn(int(lengths.sum()), DIM, generator=torch.Generator().manual_seed(seed)) * 10 - 50
    rows = torch.cat((values, torch.full((1, DIM), SILENCE)))
    return Dataset("tiny", table(), rows, starts, torch.tensor(LENGTHS), tuple(table()["utterance"]))


def module(chosen: Input = PLAIN, batch_size: int = 2, seed: int = 1, **other: Any) -> EmotionDataModule:
    return EmotionDataModule(other.get("data", dataset()), SPLIT, chosen, batch_size, seed)


def rows_of(batches: PartBatches) -> list[int]:
    return [row for rows in batches for row in rows.tolist()]


def utterance(row: int, data: Dataset) -> Tensor:
    start, length = int(data.starts[row]), int(data.lengths[row])
    return data.rows[start : start + length]


class Placed(Augmentation):
    """Every utterance at the same place."""

    def __init__(self, place: float) -> None:
        self.place = place

    def places(self, middle: Tensor) -> Tensor:
        return torch.full_like(middle, self.place)


def inputs(data: EmotionDataModule, rows: list[int], augment: Augmentation | None = None) -> Batch:
    return data.batch(torch.tensor(rows), augment or Augmentation())


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_batches_cover_each_part_once(batch_size: int) -> None:
    data = module(batch_size=batch_size)
    for part, batches in {"train": data.train_dataloader(), "val": data.val_dataloader()}.items():
        assert sorted(rows_of(batches)) == list(getattr(SPLIT, part))
        assert len(batches) == len(list(batches)) == math.ceil(len(getattr(SPLIT, part)) / batch_size)
        assert all(len(rows) <= batch_size for rows in batches)


def test_validation_is_in_table_order() -> None:
    batches = module().val_dataloader()
    for epoch in range(2):
        batches.set_epoch(epoch)
        assert rows_of(batches) == list(VAL)


def test_the_order_of_training_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int, global_seed: int) -> list[int]:
        torch.manual_seed(global_seed)
        batches = module(seed=seed).train_dataloader()
        batches.set_epoch(epoch)
        return rows_of(batches)

    assert order(1, 0, 0) == order(1, 0, 7)
    assert len({tuple(order(seed, epoch, 0)) for seed in range(3) for epoch in range(3)}) == 9


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_seed_that_numpy_takes_gives_an_order(seed: int) -> None:
    batches = module(seed=seed).train_dataloader()
    batches.set_epoch(1000)
    assert sorted(rows_of(batches)) == list(TRAIN)


def test_shuffling_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    rows_of(module().train_dataloader())
    assert torch.equal(torch.get_rng_state(), before)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 6), st.integers(0, 3))
def test_ranks_share_out_everything(count: int, batch_size: int, ranks: int, epoch: int) -> None:
    part = tuple(range(100, 100 + count))

    def shares(seed: int | None) -> list[PartBatches]:
        found = [PartBatches(part, batch_size, seed, rank, ranks) for rank in range(ranks)]
        for batches in found:
            batches.set_epoch(epoch)
        return found

    train = shares(seed=1)
    rows = [rows_of(batches) for batches in train]
    assert {len(batches) for batches in train} == {len(list(batches)) for batches in train}
    assert len({len(share) for share in rows}) == 1
    assert set().union(*rows) == set(part)
    assert sum(map(len, rows)) - count < ranks  # so many are seen twice, that all take as many steps
    assert sorted(row for batches in shares(seed=None) for row in rows_of(batches)) == list(part)


def test_an_utterance_is_in_the_middle_of_silence_or_loses_both_ends() -> None:
    data = dataset()
    x, lengths, truth, rows = inputs(module(data=data), [0, 1, 2])
    assert x.shape == (3, DIM, FRAMES)
    assert x.dtype == torch.float32
    assert truth.tolist() == class_indices(table())[:3].tolist()
    assert rows.tolist() == [0, 1, 2]
    assert lengths.tolist() == [5, 6, 6]
    short, long, exact = (values.T for values in x)
    assert torch.equal(short[2:5], utterance(0, data))
    assert (short[[0, 1, 5]] == SILENCE).all()
    assert torch.equal(long, utterance(1, data)[2:8])
    assert torch.equal(exact, utterance(2, data))


def test_an_augmentation_may_place_it_elsewhere() -> None:
    data = dataset()
    early, late = (inputs(module(data=data), [0], Placed(place)) for place in (0.0, 1.0))
    assert torch.equal(early.x[0].T[:3], utterance(0, data))
    assert torch.equal(late.x[0].T[3:], utterance(0, data))
    assert (early.lengths.tolist(), late.lengths.tolist()) == ([3], [6])


def test_input_place_start_is_for_what_pads_at_the_end_alone() -> None:
    data = dataset()
    batch = inputs(module(replace(PLAIN, place="start"), data=data), [0])
    assert torch.equal(batch.x[0].T[:3], utterance(0, data))
    assert batch.lengths.tolist() == [3]


def test_augmentation_comes_before_normalisation() -> None:
    data = dataset()
    chosen = replace(PLAIN, normalise="global")
    plain, louder = (inputs(module(chosen, data=data), [2], augment).x for augment in (Augmentation(), Louder()))
    deviation = module(chosen, data=data).normalisation.deviation[0]
    torch.testing.assert_close(louder, plain + 3.0 / deviation)


class Louder(Augmentation):
    def __call__(self, x: Tensor, lengths: Tensor) -> Tensor:
        return x + 3.0


def test_augmentation_leaves_the_features_as_they_are() -> None:
    data = dataset()
    before = data.rows.clone()
    inputs(module(replace(PLAIN, normalise="global"), data=data), [0, 1], CropLevel(level=4.0))
    assert torch.equal(data.rows, before)


@pytest.mark.parametrize("frames", [FRAMES, 1])
def test_its_shape_is_that_of_its_inputs(frames: int) -> None:
    data = module(replace(PLAIN, frames=frames))
    assert inputs(data, [3]).x.shape[1:] == data.shape == (DIM, frames)


@pytest.mark.parametrize("kind", ["global", "dimension"])
def test_it_is_normalised_by_the_training_part(kind: str) -> None:
    data = dataset()
    spoken = torch.cat([utterance(row, data) for row in TRAIN]).double()
    axis = 0 if kind == "dimension" else (0, 1)
    mean, deviation = spoken.mean(axis).float(), spoken.std(axis, correction=0).float()
    x = inputs(module(replace(PLAIN, normalise=kind), data=data), [1, 0]).x
    torch.testing.assert_close(x[0].T, (utterance(1, data)[2:8] - mean) / deviation)
    torch.testing.assert_close(x[1].T[0], ((SILENCE - mean) / deviation).expand(DIM))


@pytest.mark.parametrize("kind", ["global", "dimension"])
def test_other_parts_leave_the_normalisation_as_it_is(kind: str) -> None:
    data = dataset()
    before = module(replace(PLAIN, normalise=kind), data=data).normalisation
    for row in (*VAL, *TEST):
        utterance(row, data).fill_(math.nan)
    assert module(replace(PLAIN, normalise=kind), data=data).normalisation == before
    assert module().normalisation == normalise.NONE


def with_copies(count: int) -> Dataset:
    """Copies whose values are those of the original, 1,000 more for the first, 2,000 for the second."""
    own = dataset()
    more = [torch.cat((own.rows[:-1] + 1000.0 * (copy + 1), own.rows[-1:])) for copy in range(count)]
    return replace(own, copies=tuple(Copy(rows, own.starts, own.lengths) for rows in more))


def of_epoch(data: EmotionDataModule, epoch: int) -> list[int]:
    batches = data.train_dataloader()
    batches.set_epoch(epoch)
    return rows_of(batches)


def test_an_epoch_has_one_version_of_each_utterance() -> None:
    count, data = len(LENGTHS), module(data=with_copies(2))
    epochs = [of_epoch(data, epoch) for epoch in range(60)]
    assert all(sorted(number % count for number in numbers) == list(TRAIN) for numbers in epochs)
    versions = Counter(number // count for numbers in epochs for number in numbers)
    assert set(versions) == {0, 1, 2}
    assert all(versions[version] == pytest.approx(20 * len(TRAIN), rel=0.25) for version in range(3))


def test_which_version_depends_on_seed_and_epoch_alone() -> None:
    data = module(data=with_copies(2))
    in_turn = [of_epoch(data, epoch) for epoch in range(3)]
    torch.manual_seed(5)
    assert of_epoch(module(data=with_copies(2)), 2) == in_turn[2]
    assert of_epoch(module(data=with_copies(2), seed=2), 2) != in_turn[2]


def test_all_versions_can_be_heard_and_keep_label_and_speaker() -> None:
    data = EmotionDataModule(with_copies(1), SPLIT, PLAIN, 3, seed=1, heard="all")
    numbers = sorted(of_epoch(data, 0))
    assert numbers == [*TRAIN, *(row + len(LENGTHS) for row in TRAIN)]
    originals, copies = (data.batch(torch.tensor(some), Augmentation()) for some in (numbers[:7], numbers[7:]))
    assert torch.equal(copies.x, torch.where(originals.x == SILENCE, SILENCE, originals.x + 1000.0))
    assert torch.equal(copies.truth, originals.truth)
    assert torch.equal(data.speakers[copies.rows], data.speakers[originals.rows])


@pytest.mark.parametrize("heard", ["one", "all"])
def test_validation_and_normalisation_know_no_copies(heard: Literal["one", "all"]) -> None:
    chosen = replace(PLAIN, normalise="global")
    data = EmotionDataModule(with_copies(2), SPLIT, chosen, 2, seed=1, heard=heard)
    assert rows_of(data.val_dataloader()) == list(VAL)
    assert data.normalisation == module(chosen).normalisation


class Listener(L.LightningModule):
    """Learns nothing; remembers which rows it was given in every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.heard: dict[str, list[tuple[int, list[int]]]] = {"train": [], "val": []}

    def training_step(self, rows: Tensor, batch_idx: int) -> Tensor:
        self.heard["train"].append((self.current_epoch, rows.tolist()))
        return self.weight * 0

    def validation_step(self, rows: Tensor, batch_idx: int) -> None:
        self.heard["val"].append((self.current_epoch, rows.tolist()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def rows(self, part: str, epoch: int = 0) -> list[int]:
        return [row for when, rows in self.heard[part] if when == epoch for row in rows]


@pytest.mark.filterwarnings("ignore")
def test_fit_hears_training_and_validation_and_never_the_test() -> None:
    listener, data = Listener(), module()
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=1,
    )
    trainer.fit(listener, data)
    for epoch in range(2):
        batches = PartBatches(TRAIN, 2, seed=1, rank=0, ranks=1)
        batches.set_epoch(epoch)
        assert listener.rows("train", epoch) == rows_of(batches)
        assert listener.rows("val", epoch) == list(VAL)
    for loader in ("test_dataloader", "predict_dataloader"):
        with pytest.raises(MisconfigurationException, match=loader):
            getattr(data, loader)()
