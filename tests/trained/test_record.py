from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from ser.errors import CheckpointError, ConfigError, DataError
from ser.features.normalise import Normalisation
from ser.trained import record
from ser.utterances import utterance_table
from tests.trained import crafted

RECORDINGS = [f"digest {row}" for row in range(len(crafted.split().table))]
STATISTICS = Normalisation((-41.5, 0.1), (18.25, 1 / 3))


@pytest.fixture
def table() -> pd.DataFrame:
    return crafted.table()


@pytest.fixture
def kept() -> dict[str, Any]:
    return record.make({"seed": 42}, crafted.split(), RECORDINGS, STATISTICS, crafted.ABOUT)


@pytest.fixture
def ckpt(tmp_path: Path) -> Path:
    return crafted.whole(tmp_path / "checkpoints" / "best.ckpt")


def more(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The table with one more utterance."""
    return utterance_table(pd.concat([table.iloc[:1].assign(**values), table]), crafted.LABELS)


def test_record_survives_a_checkpoint_and_json(kept: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"ser": kept}, tmp_path / "best.ckpt")
    loaded = record.read(tmp_path / "best.ckpt")["ser"]
    assert loaded == kept
    assert json.loads(json.dumps(kept)) == kept
    assert loaded["normalisation"] == {"mean": list(STATISTICS.mean), "deviation": list(STATISTICS.deviation)}


def test_record_says_who_was_heard(kept: dict[str, Any]) -> None:
    assert kept["speakers"] == {"train": ["01", "02"], "val": ["02", "03"], "test": ["20", "21", "22"]}
    assert kept["statements"] == {"train": ["1", "2"], "val": ["1", "2"]}
    assert kept["val"] == ["02-2", "03-1", "03-2"]
    assert kept["labels"] == list(crafted.LABELS)


def test_a_run_folder_means_its_best_checkpoint(ckpt: Path) -> None:
    for folder in (ckpt.parent.parent, ckpt.parent):
        assert record.read(folder)["ser"] == record.read(ckpt)["ser"]
    with pytest.raises(CheckpointError, match=r"no such checkpoint(.|\n)*one of its checkpoints"):
        record.read(ckpt.parent.parent.parent)


def test_a_run_folder_without_a_best_checkpoint_means_its_last(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert record.find(tmp_path).name == "last.ckpt"
    (tmp_path / "checkpoints" / "best.ckpt").touch()
    assert record.find(tmp_path).name == "best.ckpt"


@pytest.mark.parametrize("other", [None, [], {}, {"schema": 1}, {"schema": record.SCHEMA + 1, "labels": ["sad"]}])
def test_a_foreign_checkpoint_is_refused(other: object, tmp_path: Path) -> None:
    torch.save({"ser": other}, tmp_path / "old.ckpt")
    with pytest.raises(CheckpointError, match=r"not a checkpoint of this version(.|\n)*old.ckpt(.|\n)*train again"):
        record.read(tmp_path / "old.ckpt")


@pytest.mark.parametrize("content", ["text", [1], {"state_dict": {}}, {"ser": "text"}])
def test_other_files_of_torch_are_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="not a checkpoint of this version"):
        record.read(tmp_path / "other.ckpt")


@pytest.mark.parametrize("name", [*record.LISTS, *record.MAPPINGS])
def test_a_record_that_is_not_whole_is_refused(name: str, ckpt: Path, tmp_path: Path) -> None:
    bad = crafted.craft(ckpt, tmp_path / "bad.ckpt", lambda content: content["ser"].update({name: "text"}))
    lacking = crafted.craft(ckpt, tmp_path / "lacking.ckpt", lambda content: content["ser"].pop(name))
    for path in (bad, lacking):
        with pytest.raises(CheckpointError, match=rf"record lacks {name}\n.*{path.name}"):
            record.read(path)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:2000], lambda data: b"no checkpoint" * 99])
def test_torn_and_other_files_are_refused(damage: Callable[[bytes], bytes], ckpt: Path) -> None:
    ckpt.write_bytes(damage(ckpt.read_bytes()))
    with pytest.raises(CheckpointError, match="truncated, damaged or holding code"):
        record.read(ckpt)


def test_a_flipped_bit_in_the_weights_is_found(ckpt: Path) -> None:
    weights = record.read(ckpt)["state_dict"]["net.linear.weight"].numpy().tobytes()
    data = bytearray(ckpt.read_bytes())
    data[data.index(weights) + 5] ^= 1
    ckpt.write_bytes(data)
    torch.load(ckpt, weights_only=True)  # does not find it
    with pytest.raises(CheckpointError, match=r"damaged: .*data/\d"):
        record.read(ckpt)


def test_speakers_kept_for_test_are_scored(kept: dict[str, Any], table: pd.DataFrame) -> None:
    assert record.rows_to_score(kept, table, "test", None) == (6, 7, 8, 9)


@pytest.mark.parametrize("speakers", [["21"], [21]])
def test_chosen_speakers_are_scored(speakers: list[object], kept: dict[str, Any], table: pd.DataFrame) -> None:
    assert record.rows_to_score(kept, table, "test", speakers) == (8, 9)


def test_validation_part_is_found_in_a_corpus_with_more(kept: dict[str, Any], table: pd.DataFrame) -> None:
    assert record.rows_to_score(kept, more(table, utterance="00"), "val", None) == (4, 5, 6)


def test_incomplete_validation_part_is_refused(kept: dict[str, Any], table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"2 of the 3 validation utterances(.|\n)*data.root="):
        record.rows_to_score(kept, table.drop(index=4), "val", None)


@pytest.mark.parametrize(
    ("tested", "named"), [(["01", "20"], "01"), ([3], "3"), (["3"], "3"), ([3, "2", 1], "3, 2, 1"), (["001"], "001")]
)
def test_speakers_who_were_trained_or_chosen_by_are_not_tested(
    tested: list[object], named: str, kept: dict[str, Any], table: pd.DataFrame
) -> None:
    with pytest.raises(CheckpointError, match=f"speakers {named} were trained on or validated on"):
        record.rows_to_score(kept, table, "test", tested)


@pytest.mark.parametrize("tested", [None, ["22"], [22], ["nobody"]])
def test_corpus_without_the_test_speakers_is_refused(
    tested: list[object] | None, kept: dict[str, Any], table: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match=r"no utterance of the test speakers (20, 21, )?(22|nobody)(.|\n)*split=val"):
        record.rows_to_score(kept, table[table["speaker"] < "20"], "test", tested)


def test_a_chosen_speaker_who_is_absent_is_refused(kept: dict[str, Any], table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no utterance of the test speakers 22"):
        record.rows_to_score(kept, table, "test", ["21", "22"])


def test_other_parts_are_refused(kept: dict[str, Any], table: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"no part 'train'(.|\n)*split=test or split=val"):
        record.rows_to_score(kept, table, "train", None)
    with pytest.raises(ConfigError, match="test_speakers has no say in split=val"):
        record.rows_to_score(kept, table, "val", ["20"])


def test_a_corpus_with_other_labels_is_refused(kept: dict[str, Any]) -> None:
    others = crafted.table(crafted.LABELS[::-1])
    with pytest.raises(CheckpointError, match=r"labels are neutral, .*; those of the corpus are happy, "):
        record.rows_to_score(kept, others, "test", None)


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
    facts = {"part": part, "speakers": seen, "enrolment": "none", "shared_with_training": shared}
    assert record.facts(kept, scored, part) == {**crafted.ABOUT, **facts}


def test_statements_that_are_not_known_are_not_counted(kept: dict[str, Any], table: pd.DataFrame) -> None:
    scored = table.iloc[6:]
    unknown = {**kept, "statements": {"train": [], "val": []}}
    for found in (record.facts(kept, scored.assign(statement=""), "test"), record.facts(unknown, scored, "test")):
        assert found["shared_with_training"] == {"speakers": 0, "statements": None}
