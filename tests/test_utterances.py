from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser.errors import ConfigError, DataError
from ser.utterances import class_indices, labels_of, relabelled, rows_of, speaker_key, utterance_table

LABELS = ["0", "1", "2"]


def table(emotions: list[str], speakers: list[str] | None = None) -> pd.DataFrame:
    names = [f"clip {row:03d}" for row in range(len(emotions))]
    rows = pd.DataFrame({"utterance": names, "path": names, "emotion": emotions, "speaker": speakers or "a"})
    return utterance_table(rows, LABELS)


@pytest.mark.parametrize(
    ("choice", "labels", "indices"),
    [
        (None, ("0", "1", "2"), [0, 1, 2, 1]),
        ([2, 1], ("1", "2"), [0, 1, 0]),
        (["1"], ("1",), [0, 0]),
        ({0: 5, "2": None}, ("5", "1"), [0, 1, 1]),
        ({"2": "0"}, ("0", "1"), [0, 1, 0, 1]),
    ],
)
def test_labels_are_chosen_merged_and_left_out(choice: Any, labels: tuple[str, ...], indices: list[int]) -> None:
    found = relabelled(table(["0", "1", "2", "1"]), choice)
    assert labels_of(found) == labels
    assert class_indices(found).tolist() == indices


def test_a_label_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"(?s)called 7.*data\.labels.*use 0, 1, 2"):
        relabelled(table(["0"]), [7])


@given(st.integers(0, 999))
def test_leading_zeros_do_not_make_another_speaker(number: int) -> None:
    assert speaker_key(number) == speaker_key(f"{number:04d}") == speaker_key(f" {number} ") == str(number)


def test_speakers_are_found_by_any_spelling_and_never_confused() -> None:
    found = table(["0", "0", "1"], ["01", "B 2", "10"])
    assert rows_of(found, [1]) == rows_of(found, ["1"]) == rows_of(found, ["01"]) == (0,)
    assert rows_of(found, ["B 2", 10]) == (1, 2)
    with pytest.raises(DataError, match="leading zeros alone: 01, 1"):
        table(["0", "0"], ["01", "1"])
