from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import lightning as L
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from ser.errors import ConfigError
from ser.features import normalise
from ser.features.cache import Bank
from ser.protocols.split import Split
from ser.training.data import Batch, EmotionDataModule, InputSettings, PartBatches
from ser.utterances import EMOTIONS, labels, utterance_table

DIM, FRAMES, SILENCE = 4, 6, -100.0
LENGTHS = [3, 9, 6, 1, 12, 5, 4, 8, 7, 2, 10]
SPLIT = Split(train=(0, 2, 3, 5, 8, 9, 10), val=(1, 6), test=(4, 7), test_speakers=(3,))
PLAIN = InputSettings(frames=FRAMES, random_place=False, normalise="none")


def table() -> pd.DataFrame:
    ids = [f"clip {row:02d}" for row in range(len(LENGTHS))]
    emotions = [EMOTIONS[row % 8] for row in range(len(LENGTHS))]
    rows = pd.DataFrame({"utterance": ids, "path": [f"{i}.wav" for i in ids], "emotion": emotions})
    return utterance_table(rows.assign(speaker=1, sex="male", intensity="normal", statement=1, repetition=1))


def features(seed: int = 0) -> Bank:
    """Rows of the table's files in another order, with a file that is not in the table, and silence."""
    lengths = pd.Series([*LENGTHS, 20], index=[*table()["path"], "unused.wav"])[::-1]
    files = pd.DataFrame({"length": lengths, "start": lengths.cumsum() - lengths})
    values = torch.randn(int(lengths.sum()), DIM, generator=torch.Generator().manual_seed(seed)) * 10 - 50
    return Bank(torch.cat((values, torch.full((1, DIM), SILENCE))), files)


def module(chosen: InputSettings = PLAIN, batch_size: int = 2, seed: int = 1, **other: Any) -> EmotionDataModule:
    return EmotionDataModule(table(), other.pop("bank", features()), SPLIT, chosen, batch_size, seed, **other)


def rows_of(batches: PartBatches) -> list[int]:
    return [row for rows, *_ in batches for row in rows.tolist()]


def bare(rows: Tensor, place: Tensor) -> Tensor:
    """In place of `EmotionDataModule.sources`: the places themselves."""
    return place[:, None]


def places_of(batches: PartBatches) -> list[float]:
    batches.sources = bare
    return [place for _, places, _ in batches for place in places[:, 0].tolist()]


def utterance(row: int, bank: Bank) -> Tensor:
    file = bank.files.loc[table()["path"].iloc[row]]
    return bank.rows[file["start"] : file["start"] + file["length"]]


def inputs(data: EmotionDataModule, rows: list[int], place: float = 0.5) -> Batch:
    chosen = torch.tensor(rows)
    source = data.sources(chosen, torch.full((len(rows),), place))
    return data.on_after_batch_transfer((chosen, source, torch.zeros(len(rows))), 0)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_batches_cover_each_part_once(batch_size: int) -> None:
    data = module(batch_size=batch_size)
    loaders = {"train": data.train_dataloader(), "val": data.val_dataloader(), "test": data.predict_dataloader()}
    for part, batches in loaders.items():
        assert sorted(rows_of(batches)) == list(getattr(SPLIT, part))
        assert len(batches) == len(list(batches)) == math.ceil(len(getattr(SPLIT, part)) / batch_size)
        assert all(len(rows) <= batch_size for rows, *_ in batches)


def test_validation_and_test_are_in_table_order_and_in_the_middle() -> None:
    data = module(replace(PLAIN, random_place=True))
    for batches, part in ((data.val_dataloader(), SPLIT.val), (data.predict_dataloader(), SPLIT.test)):
        for epoch in range(2):
            batches.set_epoch(epoch)
            assert rows_of(batches) == list(part)
            assert set(places_of(batches)) == {0.5}


def test_training_order_and_places_depend_on_seed_and_epoch_alone() -> None:
    def drawn(seed: int, epoch: int, global_seed: int) -> tuple[list[int], list[float]]:
        torch.manual_seed(global_seed)
        batches = module(replace(PLAIN, random_place=True), seed=seed).train_dataloader()
        batches.set_epoch(epoch)
        return rows_of(batches), places_of(batches)

    assert drawn(1, 0, 0) == drawn(1, 0, 7)
    orders, places = zip(*(drawn(seed, epoch, 0) for seed in range(3) for epoch in range(3)), strict=True)
    assert len(set(map(tuple, orders))) == len(set(map(tuple, places))) == 9


def test_drawing_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    rows_of(module(replace(PLAIN, random_place=True)).train_dataloader())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_order_does_not_depend_on_whether_places_are_random() -> None:
    plain, random = module().train_dataloader(), module(replace(PLAIN, random_place=True)).train_dataloader()
    assert rows_of(plain) == rows_of(random)
    assert set(places_of(plain)) == {0.5}
    assert len(set(places_of(random))) == len(SPLIT.train)
    assert all(0 <= place < 1 for place in places_of(random))


@pytest.mark.parametrize("at_once", [1, 2, 32])
def test_inputs_stand_where_they_were_drawn(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.training.data.PREPARED", at_once)
    data = module(replace(PLAIN, random_place=True), batch_size=1)
    loaded = [data.on_after_batch_transfer(batch, 0)[0][0] for batch in data.train_dataloader()]
    rows, places = rows_of(data.train_dataloader()), places_of(data.train_dataloader())
    for values, row, place in zip(loaded, rows, places, strict=True):
        assert torch.equal(values, inputs(data, [row], place)[0][0])


def test_the_level_is_shifted_in_training_alone() -> None:
    data = module(replace(PLAIN, random_level=4.0))
    levels = torch.cat([level for *_, level in data.train_dataloader()])
    assert len(set(levels.tolist())) == len(SPLIT.train)
    again = torch.cat([level for *_, level in data.train_dataloader()])
    assert torch.equal(levels, again)
    assert all(not level.any() for *_, level in data.val_dataloader())


def test_a_shift_of_the_level_is_in_db() -> None:
    data = module()
    rows = torch.tensor([0, 1])
    source = data.sources(rows, torch.full((2,), 0.5))
    plain, louder = (
        data.on_after_batch_transfer((rows, source, level), 0)[0] for level in (torch.zeros(2), torch.ones(2))
    )
    torch.testing.assert_close(louder, plain + 1.0)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 6), st.integers(0, 3))
def test_ranks_share_out_everything(count: int, batch_size: int, ranks: int, epoch: int) -> None:
    part = tuple(range(100, 100 + count))

    def shares(seed: int | None) -> list[PartBatches]:
        found = [
            PartBatches(part, bare, batch_size, replace(PLAIN, random_place=True), seed, rank, ranks)
            for rank in range(ranks)
        ]
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


def test_an_utterance_stands_in_the_middle_of_silence_or_loses_both_ends() -> None:
    bank = features()
    values, truth, rows = inputs(module(bank=bank), [0, 1, 2])
    assert values.shape == (3, 3, DIM, FRAMES)
    assert values.dtype == torch.float32
    assert truth.tolist() == labels(table())[:3]
    assert rows.tolist() == [0, 1, 2]
    short, long, exact = (values[row, 0].T for row in range(3))
    assert torch.equal(short[2:5], utterance(0, bank))
    assert (short[[0, 1, 5]] == SILENCE).all()
    assert torch.equal(long, utterance(1, bank)[2:8])
    assert torch.equal(exact, utterance(2, bank))


def test_the_place_moves_it() -> None:
    bank = features()
    early, late = (inputs(module(bank=bank), [0], place)[0][0, 0].T for place in (0.0, 1.0))
    assert torch.equal(early[:3], utterance(0, bank))
    assert torch.equal(late[3:], utterance(0, bank))


def test_three_equal_channels_share_their_memory() -> None:
    values, _, _ = inputs(module(), [3, 1])
    assert values.stride(1) == 0
    assert values.untyped_storage().nbytes() == 2 * DIM * FRAMES * 4
    assert torch.equal(values[:, 0], values[:, 2])


def test_one_vector_an_utterance_without_frames() -> None:
    bank = features()
    data = module(replace(PLAIN, frames=None), bank=bank)
    values, _, _ = inputs(data, [3, 3])
    assert torch.equal(values, utterance(3, bank).expand(2, -1))
    assert data.shape == (DIM,)


@pytest.mark.parametrize("chosen", [PLAIN, replace(PLAIN, frames=None)])
def test_its_shape_is_that_of_its_inputs(chosen: InputSettings) -> None:
    data = module(chosen)
    assert inputs(data, [0])[0].shape[1:] == data.shape


@pytest.mark.parametrize("kind", ["global", "dimension"])
def test_it_is_normalised_by_the_training_part(kind: str) -> None:
    bank = features()
    spoken = torch.cat([utterance(row, bank) for row in SPLIT.train]).double()
    axis = 0 if kind == "dimension" else (0, 1)
    mean, deviation = spoken.mean(axis).float(), spoken.std(axis, correction=0).float()
    values, _, _ = inputs(module(replace(PLAIN, normalise=kind), bank=bank), [1, 0])
    torch.testing.assert_close(values[0, 0].T, (utterance(1, bank)[2:8] - mean) / deviation)
    torch.testing.assert_close(values[1, 0].T[0], ((SILENCE - mean) / deviation).expand(DIM))


@pytest.mark.parametrize("kind", ["global", "dimension"])
def test_other_parts_leave_the_normalisation_as_it_is(kind: str) -> None:
    bank = features()
    before = module(replace(PLAIN, normalise=kind), bank=bank).normalisation
    for row in (*SPLIT.val, *SPLIT.test):
        utterance(row, bank).fill_(math.nan)
    assert module(replace(PLAIN, normalise=kind), bank=bank).normalisation == before


def test_a_normalisation_that_is_given_is_used() -> None:
    given = normalise.Normalisation((-50.0,), (2.0,))
    bank = features()
    data = module(replace(PLAIN, normalise="global"), bank=bank, normalisation=given)
    assert data.normalisation == given
    torch.testing.assert_close(inputs(data, [2])[0][0, 0].T, (utterance(2, bank) + 50) / 2)
    assert module().normalisation == normalise.NONE


def test_an_unknown_normalisation_is_refused() -> None:
    with pytest.raises(ConfigError, match="'mean'"):
        replace(PLAIN, normalise="mean")


class Listener(L.LightningModule):
    """Learns nothing; remembers which rows it was given, and where they stood, in every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.heard: dict[str, list[tuple[int, list[int], Tensor]]] = {"train": [], "val": [], "test": []}

    def remember(self, part: str, batch: Batch) -> None:
        self.heard[part].append((self.current_epoch, batch[2].tolist(), batch[0][:, 0].clone()))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.remember("train", batch)
        return self.weight * 0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.remember("val", batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> None:
        self.remember("test", batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def rows(self, part: str, epoch: int = 0) -> list[int]:
        return [row for when, rows, _ in self.heard[part] if when == epoch for row in rows]


def trainer(epochs: int) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        log_every_n_steps=1,
    )


@pytest.mark.filterwarnings("ignore")
def test_fit_hears_training_and_validation_and_never_the_test() -> None:
    listener, data = Listener(), module(replace(PLAIN, random_place=True))
    trainer(epochs=2).fit(listener, data)
    for epoch in range(2):
        batches = PartBatches(SPLIT.train, bare, 2, replace(PLAIN, random_place=True), seed=1, rank=0, ranks=1)
        batches.set_epoch(epoch)
        assert listener.rows("train", epoch) == rows_of(batches)
        assert listener.rows("val", epoch) == list(SPLIT.val)
    first, second = (torch.cat([x for when, _, x in listener.heard["val"] if when == epoch]) for epoch in range(2))
    assert torch.equal(first, second)
    assert not listener.heard["test"]
    with pytest.raises(MisconfigurationException, match="test_dataloader"):
        data.test_dataloader()


@pytest.mark.filterwarnings("ignore")
def test_only_predict_hears_the_test() -> None:
    listener = Listener()
    trainer(epochs=1).predict(listener, module())
    assert listener.rows("test") == list(SPLIT.test)
    assert not listener.heard["train"]
    assert not listener.heard["val"]


def test_evaluation_needs_no_other_part() -> None:
    split = Split(train=(), val=(), test=(4, 7), test_speakers=())
    data = EmotionDataModule(table(), features(), split, PLAIN, 2, 1, normalise.NONE)
    assert rows_of(data.predict_dataloader()) == [4, 7]
    assert not list(data.val_dataloader())
