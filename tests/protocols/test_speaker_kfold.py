from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from example_tables import quickly, shuffled, tables, whole_corpus
from hypothesis import given
from hypothesis import strategies as st

from ser.errors import ConfigError
from ser.protocols.speaker_kfold import SpeakerKFold
from ser.protocols.split import PARTS, Split

CORPUS = whole_corpus()
FINGERPRINTS = ["ef9b98a8ababb1c9", "ad5333d123650ac4", "630baf6ecd7dac48", "896b052034ec7ca5", "53344334223521ad"]
"""Of the five folds of the whole corpus, seed 1."""

SEEDS = st.integers(0, 2**32 - 1)


def speakers(table: pd.DataFrame, rows: tuple[int, ...]) -> set[str]:
    return set(table["speaker"].iloc[list(rows)])


def sexes(table: pd.DataFrame, who: set[str]) -> Counter[str]:
    return Counter(table[table["speaker"].isin(who)].drop_duplicates("speaker")["sex"])


@st.composite
def settings(draw: st.DrawFn) -> tuple[pd.DataFrame, int, int]:
    """A table, and a number of folds and of validation speakers that fit it."""
    table = draw(tables(min_speakers=3))
    count = table["speaker"].nunique()
    k = draw(st.integers(2, count))
    smallest_rest = count - -(-count // k)
    if smallest_rest < 2:
        k, smallest_rest = count, count - 1
    return table, k, draw(st.integers(0, smallest_rest - 1))


def folds(table: pd.DataFrame, k: int, val_speakers: int, seed: int) -> list[Split]:
    return [SpeakerKFold(k, fold, val_speakers).split(table, seed) for fold in range(k)]


@quickly
@given(settings(), SEEDS)
def test_parts_are_whole_speakers_and_nobody_is_left_out(setting: tuple[pd.DataFrame, int, int], seed: int) -> None:
    table, k, val_speakers = setting
    for parts in folds(table, k, val_speakers, seed):
        assert sorted(parts.train + parts.val + parts.test) == list(range(len(table)))
        train, val, test = (speakers(table, getattr(parts, part)) for part in PARTS)
        assert not train & val
        assert not (train | val) & test
        assert len(val) == val_speakers
        assert test == set(parts.test_speakers)


@quickly
@given(settings(), SEEDS)
def test_the_folds_test_every_speaker_once(setting: tuple[pd.DataFrame, int, int], seed: int) -> None:
    table, k, val_speakers = setting
    tested = [speaker for parts in folds(table, k, val_speakers, seed) for speaker in parts.test_speakers]
    assert sorted(tested) == sorted(set(table["speaker"]))


@quickly
@given(settings(), SEEDS)
def test_sexes_are_balanced_within_one(setting: tuple[pd.DataFrame, int, int], seed: int) -> None:
    table, k, val_speakers = setting
    everybody = sexes(table, set(table["speaker"]))
    for parts in folds(table, k, val_speakers, seed):
        test, val = (sexes(table, speakers(table, rows)) for rows in (parts.test, parts.val))
        left = everybody - test
        assert all(abs(test[sex] - everybody[sex] / k) < 1 for sex in everybody)
        assert abs(val["female"] - val["male"]) <= 1 or any(val[sex] == left[sex] for sex in ("female", "male"))


@pytest.mark.slow
@quickly
@given(settings(), SEEDS)
def test_the_order_of_rows_does_not_matter(setting: tuple[pd.DataFrame, int, int], seed: int) -> None:
    table, k, val_speakers = setting
    other = shuffled(table, seed)
    before, after = folds(table, k, val_speakers, seed), folds(other, k, val_speakers, seed)
    assert [parts.fingerprint() for parts in before] == [parts.fingerprint() for parts in after]


def test_the_reference_corpus_is_split_as_ever() -> None:
    parts = folds(CORPUS, k=5, val_speakers=4, seed=1)
    assert [(len(p.train), len(p.val), len(p.test)) for p in parts] == [(900, 240, 300)] * 4 + [(960, 240, 240)]
    assert [p.fingerprint() for p in parts] == FINGERPRINTS
    assert parts[0].test_speakers == ("02", "12", "22", "07", "17")


def test_where_nobody_validates_all_others_train() -> None:
    parts = folds(CORPUS, k=5, val_speakers=0, seed=1)
    assert [(len(p.train), len(p.val), len(p.test)) for p in parts] == [(1140, 0, 300)] * 4 + [(1200, 0, 240)]
    assert [p.test for p in parts] == [p.test for p in folds(CORPUS, 5, 4, 1)]
    assert parts[0].fingerprint() == folds(CORPUS, 5, 0, 2)[0].fingerprint()  # no seed has a say


def test_the_seed_decides_who_validates_and_never_who_is_tested() -> None:
    drawn = [folds(CORPUS, 5, 4, seed) for seed in range(4)]
    for fold in zip(*drawn, strict=True):
        assert len({parts.test for parts in fold}) == 1
        assert len({parts.val for parts in fold}) == 4


def test_how_many_clips_a_speaker_has_does_not_matter() -> None:
    part = CORPUS.iloc[::7].reset_index(drop=True)
    for whole, thin in zip(folds(CORPUS, 5, 4, 1), folds(part, 5, 4, 1), strict=True):
        for name in PARTS:
            assert speakers(CORPUS, getattr(whole, name)) == speakers(part, getattr(thin, name))


@pytest.mark.parametrize(
    ("k", "fold", "val_speakers", "where"),
    [
        (1, 0, 4, "k"),
        (0, 0, 4, "k"),
        (25, 0, 4, "k"),
        (5, 5, 4, "fold"),
        (5, -1, 4, "fold"),
        (5, 0, -1, "val_speakers"),
        (5, 0, 19, "val_speakers"),
        (2, 0, 12, "val_speakers"),
    ],
)
def test_what_does_not_fit_the_speakers_is_refused(k: int, fold: int, val_speakers: int, where: str) -> None:
    with pytest.raises(ConfigError, match=rf"protocol\.{where}\b"):
        SpeakerKFold(k, fold, val_speakers).split(CORPUS, 1)
