from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pytest
from example_tables import quickly, table_of, tables, whole_corpus
from hypothesis import given
from hypothesis import strategies as st

from ser.errors import ConfigError
from ser.protocols.reference import Reference
from ser.protocols.speaker_kfold import SpeakerKFold
from ser.protocols.split import Split, draw

CORPUS = whole_corpus()
FIVE = table_of(
    [
        ("01", "sad", "1", "1"),
        ("01", "sad", "1", "2"),
        ("01", "sad", "2", "1"),
        ("02", "sad", "1", "1"),
        ("03", "calm", "2", "1"),
    ],
    {"01": "male", "02": "female", "03": "male"},
)
PART = st.lists(st.integers(0, 4), max_size=3, unique=True).map(tuple)


@quickly
@given(tables(min_speakers=3))
def test_equal_fingerprints_are_equal_parts(table: pd.DataFrame) -> None:
    parts = SpeakerKFold(3, 0, 1).split(table, 1)
    train, val, test = parts.train, parts.val, parts.test
    backwards = Split(table, train[::-1], val[::-1], test[::-1], test_speakers=())
    left_out = Split(table, train, val, test[1:], ())
    assert backwards.fingerprint() == parts.fingerprint() != left_out.fingerprint()
    if len(train) > 1:
        moved = Split(table, train[1:], val + train[:1], test, ())
        assert len({found.fingerprint() for found in (parts, moved, left_out)}) == 3


def test_the_list_of_parts_is_in_table_order() -> None:
    listed = Split(FIVE, train=(3, 0), val=(1,), test=(4,), test_speakers=()).part_of()
    assert listed.to_dict("list") == {
        "utterance": FIVE["utterance"].iloc[[0, 1, 3, 4]].tolist(),
        "part": ["train", "val", "train", "test"],
    }


@quickly
@given(PART, PART, PART, st.sets(st.sampled_from(["1", "01", "2", "03", "99"])))
def test_a_split_is_made_if_and_only_if_it_does_not_leak(
    train: tuple[int, ...], val: tuple[int, ...], test: tuple[int, ...], test_speakers: set[str]
) -> None:
    tested = {FIVE["speaker"][row] for row in test} | {name.zfill(2) for name in test_speakers}
    leaks = bool({*train} & {*val}) or bool({FIVE["speaker"][row] for row in train + val} & tested)
    leaks |= bool({*train, *val} & {*test})
    if train and val and not leaks:
        assert len(Split(FIVE, train, val, test, tuple(test_speakers)).part_of()) == len(train + val + test)
    else:
        with pytest.raises(ConfigError, match="the split leaks" if train and val else "no utterance in its"):
            Split(FIVE, train, val, test, tuple(test_speakers))


def test_nobody_validates_only_where_that_is_wanted() -> None:
    parts = Split(FIVE, train=(0, 1), val=(), test=(4,), test_speakers=(), unvalidated=True)
    assert set(parts.part_of()["part"]) == {"train", "test"}
    with pytest.raises(ConfigError, match="no utterance in its val part"):
        Split(FIVE, train=(0, 1), val=(), test=(4,), test_speakers=())
    with pytest.raises(ConfigError, match="no utterance in its train part"):
        Split(FIVE, train=(), val=(), test=(4,), test_speakers=(), unvalidated=True)
    with pytest.raises(ConfigError, match="the split leaks"):
        Split(FIVE, train=(0, 4), val=(), test=(4,), test_speakers=(), unvalidated=True)


@dataclass(frozen=True)
class Mine:
    """A protocol of a user's own, as wrong as its settings."""

    train: tuple[int, ...] = (0,)
    val: tuple[int, ...] = (1, 2)
    test: tuple[int, ...] = (3, 4)
    test_speakers: tuple[str, ...] = ()

    def split(self, table: pd.DataFrame, seed: int) -> Split:
        return Split(table, self.train, self.val, self.test, self.test_speakers)


@pytest.mark.parametrize(
    ("protocol", "what"),
    [
        (Mine(train=(0, 1)), "1 utterances are in two parts: 1-01-sad"),
        (Mine(val=(1, 2, 3), test=(3, 4)), "1 utterances are in two parts: 3-02-sad"),
        (Mine(train=(0, 4), test=(3, 4)), "1 utterances are in two parts: 4-03-calm"),
        (Mine(test=(2,), val=(1,)), "test speakers 01 are in training or validation, too"),
        (Mine(train=(0, 3), test=(), test_speakers=("2",)), "test speakers 02 are in training or validation, too"),
        (Mine(val=()), "the split has no utterance in its val part"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_leak_of_one_s_own_protocol_is_refused(protocol: Mine, what: str) -> None:
    assert Mine().split(FIVE, 1).test == (3, 4)
    with pytest.raises(ConfigError) as caught:
        protocol.split(FIVE, 1)
    assert what in str(caught.value)
    assert "where: protocol" in str(caught.value)


def test_overlap_counts_speakers_statements_and_twins() -> None:
    assert Split(FIVE, train=(0, 3), val=(1, 2), test=(4,), test_speakers=()).overlap() == {
        "train_val": {"speakers": 1, "statements": 1, "twins": 1},
        "train_test": {"speakers": 0, "statements": 0, "twins": 0},
        "val_test": {"speakers": 0, "statements": 1, "twins": 0},
    }


def test_a_corpus_that_does_not_know_its_statements_has_neither_them_nor_twins() -> None:
    parts = Split(FIVE.assign(statement=""), train=(0, 3), val=(1, 2), test=(), test_speakers=("03",))
    assert parts.overlap() == {"train_val": {"speakers": 1}, "train_test": None, "val_test": None}


def test_the_reference_protocols_say_what_their_parts_share() -> None:
    seen = Reference(range(1, 20), range(20, 25), 0.34).split(CORPUS, 1).overlap()
    assert seen["train_val"]["speakers"] == 19
    assert seen["train_val"]["twins"] > 200
    unseen = SpeakerKFold(5, 0, 4).split(CORPUS, 1).overlap()
    for shared in (seen["train_test"], seen["val_test"], *unseen.values()):
        assert shared == {"speakers": 0, "statements": 2, "twins": 0}


@quickly
@given(st.integers(), st.integers())
def test_draws_depend_on_the_seed_and_the_name(seed: int, name: int) -> None:
    assert draw(seed, name) == draw(seed, name)
    assert len({draw(seed, name), draw(seed + 1, name), draw(seed, name + 1)}) == 3


def test_draws_are_frozen() -> None:
    assert draw(1, "03-01-01-01-01-01-01").startswith("5fc49e45e3bbf45e")
