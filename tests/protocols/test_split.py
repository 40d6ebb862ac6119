from __future__ import annotations

import pandas as pd
from example_tables import quickly, table_of, tables, whole_corpus
from hypothesis import given
from hypothesis import strategies as st

from ser.protocols.reference import Reference
from ser.protocols.speaker_kfold import SpeakerKFold
from ser.protocols.split import Split, draw

CORPUS = whole_corpus()
FOUR = table_of(
    [(1, "sad", 1, 1), (1, "sad", 1, 2), (1, "sad", 2, 1), (2, "sad", 1, 1), (2, "calm", 2, 1)],
    {1: "male", 2: "female"},
)


@quickly
@given(tables(min_speakers=3))
def test_equal_fingerprints_are_equal_parts(table: pd.DataFrame) -> None:
    parts = SpeakerKFold(3, 0, 1).split(table, 1)
    train, val, test = parts.train, parts.val, parts.test
    backwards = Split(train[::-1], val[::-1], test[::-1], test_speakers=())
    moved, left_out = Split(train[1:], val + train[:1], test, ()), Split(train[1:], val, test, ())
    assert backwards.fingerprint(table) == parts.fingerprint(table)
    assert len({found.fingerprint(table) for found in (parts, moved, left_out)}) == 3


def test_the_list_of_parts_is_in_table_order() -> None:
    listed = Split(train=(3, 0), val=(1,), test=(4,), test_speakers=()).part_of(FOUR)
    assert listed.to_dict("list") == {
        "utterance": FOUR["utterance"].iloc[[0, 1, 3, 4]].tolist(),
        "part": ["train", "val", "train", "test"],
    }


def test_overlap_counts_speakers_statements_and_twins() -> None:
    overlap = Split(train=(0, 3), val=(1, 2), test=(4,), test_speakers=()).overlap(FOUR)
    assert overlap == {
        "train_val": {"speakers": 1, "statements": 1, "twins": 1},
        "train_test": {"speakers": 1, "statements": 0, "twins": 0},
        "val_test": {"speakers": 0, "statements": 1, "twins": 0},
    }


def test_the_reference_protocols_say_what_their_parts_share() -> None:

    seen = Reference(range(1, 20), range(20, 25), 0.34).split(CORPUS, 1).overlap(CORPUS)
    assert seen["train_val"]["speakers"] == 19
    assert seen["train_val"]["twins"] > 200
    unseen = SpeakerKFold(5, 0, 4).split(CORPUS, 1).overlap(CORPUS)
    for shared in (seen["train_test"], seen["val_test"], *unseen.values()):
        assert shared == {"speakers": 0, "statements": 2, "twins": 0}


@quickly
@given(st.integers(), st.integers())
def test_draws_depend_on_the_seed_and_the_name(seed: int, name: int) -> None:
    assert draw(seed, name) == draw(seed, name)
    assert len({draw(seed, name), draw(seed + 1, name), draw(seed, name + 1)}) == 3


def test_draws_are_frozen() -> None:
    assert draw(1, "03-01-01-01-01-01-01").startswith("5fc49e45e3bbf45e")
