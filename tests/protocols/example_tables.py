"""Utterance tables to split: random ones, and RAVDESS's by its names."""

from __future__ import annotations

from functools import lru_cache

import pandas as pd
from hypothesis import settings
from hypothesis import strategies as st

from ser.corpora import ravdess
from ser.corpora.ravdess import EMOTIONS
from ser.demo import corpus as synthetic
from ser.utterances import utterance_table

SPEAKERS = st.integers(1, 40).map("{:02d}".format) | st.sampled_from(["Anna", "zoé", "f 1"])
ONE_OR_TWO = st.sampled_from(["1", "2"])
quickly = settings(max_examples=25, deadline=None)


def table_of(takes: list[tuple[str, str, str, str]], sexes: dict[str, str]) -> pd.DataFrame:
    """A table of (speaker, emotion, statement, repetition), some of them equal."""
    rows = pd.DataFrame(takes, columns=["speaker", "emotion", "statement", "repetition"])
    names = [f"{row}-{speaker}-{emotion}" for row, (speaker, emotion, *_) in enumerate(takes)]
    sex = rows["speaker"].map(sexes)
    return utterance_table(rows.assign(utterance=names, path=names, sex=sex, intensity="normal"), EMOTIONS)


@st.composite
def tables(draw: st.DrawFn, min_speakers: int = 1) -> pd.DataFrame:
    """Any speakers of any sex, each with a few utterances of any emotion."""
    sexes = draw(st.dictionaries(SPEAKERS, st.sampled_from(["female", "male"]), min_size=min_speakers, max_size=12))
    take = st.tuples(st.sampled_from(sorted(sexes)), st.sampled_from(EMOTIONS), ONE_OR_TWO, ONE_OR_TWO)
    once = [(speaker, draw(st.sampled_from(EMOTIONS)), "1", "1") for speaker in sexes]
    return table_of(once + draw(st.lists(take, max_size=60)), sexes)


@lru_cache
def whole_corpus() -> pd.DataFrame:
    """RAVDESS's table: 24 actors x 60 clips."""
    stems = ["-".join(f"{field:02d}" for field in (3, 1, *take)) for take in synthetic.utterances(range(1, 25), 2, 2)]
    rows = pd.DataFrame([{"utterance": stem, "path": stem, **ravdess.parse(stem)} for stem in stems])
    return utterance_table(rows, EMOTIONS)


def shuffled(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same utterances in another order of rows."""
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)
