from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from example_predictions import utterances

from ser.errors import CheckpointError, ConfigError, DataError
from ser.features.normalise import Normalisation
from ser.protocols.split import Split
from ser.trained import record
from ser.utterances import EMOTIONS

ABOUT = {
    "model": "cnn",
    "seed": 42,
    "protocol": "reference",
    "protocol_settings": {"val_fraction": 0.34},
    "split_fingerprint": "1cea3464e81630ef",
    "overlap": {},
}
STATISTICS = Normalisation((-41.5, 0.1), (18.25, 1 / 3))


@pytest.fixture
def table() -> pd.DataFrame:
    """Two utterances, one of each statement, of each of the actors 1, 2, 3, 20 and 21."""
    actors = [actor for actor in (1, 2, 3, 20, 21) for _ in range(2)]
    return utterances(["sad", "calm"] * 5, actors)


@pytest.fixture
def kept(table: pd.DataFrame) -> dict[str, Any]:
    """Trained on both utterances of actor 1 and one of actor 2, validated on the others of 2 and 3, 22 not there."""
    split = Split(train=(0, 1, 2), val=(3, 4, 5), test=(6, 7, 8, 9), test_speakers=(20, 21, 22))
    return record.make({"seed": 42}, table, split, STATISTICS, ABOUT)


def test_record_survives_a_checkpoint_and_json(kept: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"ser": kept}, tmp_path / "best.ckpt")
    loaded = torch.load(tmp_path / "best.ckpt", weights_only=True)["ser"]
    assert loaded == kept
    assert json.loads(json.dumps(kept)) == kept
    assert record.check(loaded, "best.ckpt") == kept
    assert record.normalisation(loaded) == STATISTICS


def test_record_says_who_was_heard(kept: dict[str, Any]) -> None:
    assert kept["speakers"] == {"train": [1, 2], "val": [2, 3], "test": [20, 21, 22]}
    assert kept["statements"] == {"train": [1, 2], "val": [1, 2]}
    assert kept["val"] == ["clip-0003", "clip-0004", "clip-0005"]
    assert kept["labels"] == list(EMOTIONS)


@pytest.mark.parametrize("other", [None, [], {}, {"schema": record.SCHEMA + 1, "labels": list(EMOTIONS)}])
def test_foreign_checkpoint_is_refused(other: object) -> None:
    with pytest.raises(CheckpointError, match=r"not a checkpoint of this version(.|\n)*old.ckpt(.|\n)*train again"):
        record.check(other, "old.ckpt")


def test_other_labels_are_refused(kept: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"labels are surprised, (.|\n)*here they are neutral, (.|\n)*old.ckpt"):
        record.check(kept | {"labels": list(EMOTIONS)[::-1]}, "old.ckpt")


def test_speakers_kept_for_test_are_scored(kept: dict[str, Any], table: pd.DataFrame) -> None:
    assert record.rows_to_score(kept, table, "test", None) == (6, 7, 8, 9)


def test_chosen_speakers_are_scored(kept: dict[str, Any], table: pd.DataFrame) -> None:
    assert record.rows_to_score(kept, table, "test", [21]) == (8, 9)


def test_validation_part_is_found_in_a_corpus_with_more(kept: dict[str, Any], table: pd.DataFrame) -> None:
    more = utterances(["sad"], [24]).assign(utterance="a-new-clip")
    assert record.rows_to_score(kept, pd.concat([more, table], ignore_index=True), "val", None) == (4, 5, 6)


def test_incomplete_validation_part_is_refused(kept: dict[str, Any], table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"2 of the 3 validation utterances(.|\n)*data.root="):
        record.rows_to_score(kept, table.drop(index=4), "val", None)


@pytest.mark.parametrize(("tested", "named"), [([1, 20], "1"), ([3], "3"), ([3, 2, 1], "1, 2, 3")])
def test_speakers_who_were_trained_or_chosen_by_are_not_tested(
    tested: list[int], named: str, kept: dict[str, Any], table: pd.DataFrame
) -> None:
    with pytest.raises(CheckpointError, match=f"speakers {named} were trained on or validated on"):
        record.rows_to_score(kept, table, "test", tested)


@pytest.mark.parametrize("tested", [None, [22]])
def test_corpus_without_the_test_speakers_is_refused(
    tested: list[int] | None, kept: dict[str, Any], table: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match=r"no utterance of the test speakers (20, 21, )?22(.|\n)*split=val"):
        record.rows_to_score(kept, table[table["speaker"] < 20], "test", tested)


def test_other_parts_are_refused(kept: dict[str, Any], table: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"no part 'train'(.|\n)*split=test or split=val"):
        record.rows_to_score(kept, table, "train", None)


@pytest.mark.parametrize(
    ("part", "seen", "shared"),
    [
        ("test", "unseen in training", {"speakers": 0, "statements": 2}),
        ("val", "seen in training", {"speakers": 1, "statements": 2}),
    ],
)
def test_facts_say_what_the_scores_are_worth(
    part: str, seen: str, shared: dict[str, int], kept: dict[str, Any], table: pd.DataFrame
) -> None:
    scored = table.iloc[list(record.rows_to_score(kept, table, part, None))]
    found = record.facts(kept, scored, part)
    assert (found["split"], found["speakers"], found["shared_with_training"]) == (part, seen, shared)
    assert {name: found[name] for name in ABOUT if name != "overlap"} == {
        name: value for name, value in ABOUT.items() if name != "overlap"
    }
