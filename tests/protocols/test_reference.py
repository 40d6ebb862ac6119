from __future__ import annotations

import math

import pandas as pd
import pytest
from example_tables import quickly, shuffled, tables, whole_corpus
from hypothesis import assume, given
from hypothesis import strategies as st

from ser.errors import ConfigError
from ser.protocols.reference import Reference
from ser.protocols.split import Split

CORPUS = whole_corpus()
REFERENCE = Reference(dev_speakers=range(1, 20), test_speakers=range(20, 25), val_fraction=0.34)
FRACTIONS = st.floats(0.05, 0.95)
SEEDS = st.integers(0, 2**32 - 1)


def halves(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    speakers = sorted(set(table["speaker"]))
    return speakers[: (len(speakers) + 1) // 2], speakers[(len(speakers) + 1) // 2 :]


def split(table: pd.DataFrame, fraction: float, seed: int) -> Split:
    development, test = halves(table)
    inside = int(table["speaker"].isin(development).sum())
    assume(0 < math.ceil(inside * fraction - 1e-9) < inside)
    return Reference(development, test, fraction).split(table, seed)


def ids(table: pd.DataFrame, rows: tuple[int, ...]) -> set[str]:
    return set(table["utterance"].iloc[list(rows)])


@quickly
@given(tables(), FRACTIONS, SEEDS)
def test_every_utterance_of_the_listed_speakers_plays_one_part(table: pd.DataFrame, fraction: float, seed: int) -> None:
    parts = split(table, fraction, seed)
    assert sorted(parts.train + parts.val + parts.test) == list(range(len(table)))
    development, test = halves(table)
    assert set(table["speaker"].iloc[list(parts.train + parts.val)]) == set(development)
    assert set(table["speaker"].iloc[list(parts.test)]) == set(test) == set(parts.test_speakers)


@quickly
@given(tables(), FRACTIONS, SEEDS)
def test_emotions_are_in_proportion_within_one_utterance(table: pd.DataFrame, fraction: float, seed: int) -> None:
    parts = split(table, fraction, seed)
    emotions = table["emotion"]
    val, train = (emotions.iloc[list(rows)].value_counts() for rows in (parts.val, parts.train))
    for emotion in {*val.index, *train.index}:
        chosen, left = val.get(emotion, 0), train.get(emotion, 0)
        assert abs(chosen - fraction * (chosen + left)) < 1 + 1e-9
    assert len(parts.val) == math.ceil(fraction * (len(parts.val) + len(parts.train)) - 1e-9)


@quickly
@given(tables(), FRACTIONS, SEEDS)
def test_neither_the_order_of_rows_nor_test_speakers_matter(table: pd.DataFrame, fraction: float, seed: int) -> None:
    parts = split(table, fraction, seed)
    other = shuffled(table, seed)
    assert split(other, fraction, seed).fingerprint() == parts.fingerprint()
    alone = table[table["speaker"].isin(halves(table)[0])].reset_index(drop=True)
    development = Reference(*halves(table), fraction).split(alone, seed)
    for part in ("train", "val"):
        assert ids(alone, getattr(development, part)) == ids(table, getattr(parts, part))
    assert development.test == ()


def test_the_reference_corpus_is_split_as_ever() -> None:
    parts = REFERENCE.split(CORPUS, 1)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (752, 388, 300)
    assert parts.fingerprint() == "996320de1a827268"


def test_the_seed_decides_who_validates_and_nothing_else() -> None:
    one, same, other = (REFERENCE.split(CORPUS, seed) for seed in (1, 1, 2))
    assert one.part_of().equals(same.part_of())
    assert one.test == other.test
    assert 0.2 < len(set(one.val) & set(other.val)) / len(one.val) < 0.5  # as many as by chance


def test_listed_speakers_that_the_corpus_lacks_are_not_there() -> None:
    part = CORPUS[CORPUS["speaker"] < "20"].reset_index(drop=True)
    parts = REFERENCE.split(part, 1)
    assert parts.test == ()
    assert parts.test_speakers == ("20", "21", "22", "23", "24")
    assert ids(part, parts.val) == ids(CORPUS, REFERENCE.split(CORPUS, 1).val)


def test_where_nobody_validates_all_development_utterances_train() -> None:
    parts = Reference(range(1, 20), range(20, 25), val_fraction=0).split(CORPUS, 1)
    assert (len(parts.train), len(parts.val), len(parts.test)) == (1140, 0, 300)
    assert parts.overlap()["train_val"] is None


def test_a_speaker_in_both_lists_is_refused() -> None:
    with pytest.raises(ConfigError, match="speakers 3, 4 are in both development and test"):
        Reference([1, 2, "03", 4], ["04", 3, 20], 0.34).split(CORPUS, 1)


@pytest.mark.parametrize("fraction", [1.0, -0.1, 34, math.nan])
def test_what_is_no_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match=r"protocol\.val_fraction"):
        Reference([1, 2], [3], fraction).split(CORPUS, 1)


@pytest.mark.parametrize(("speakers", "fraction"), [([], 0.34), ([99], 0.34), ([1], 0.999)])
def test_nothing_to_train_on_is_refused(speakers: list[int], fraction: float) -> None:
    with pytest.raises(ConfigError, match=r"(?s)no utterance in its train part.*where: protocol"):
        Reference(speakers, [20], fraction).split(CORPUS, 1)
