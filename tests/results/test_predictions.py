from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example_predictions import chosen, made_up, utterances
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.errors import DataError
from ser.results import predictions
from ser.utterances import EMOTIONS

HEADER = (
    "utterance,path,actor,sex,emotion,intensity,statement,predicted,correct,score_neutral,score_calm,score_happy,"
    "score_sad,score_angry,score_fearful,score_disgust,score_surprised"
)


@pytest.fixture
def three() -> pd.DataFrame:
    """Two actors, three utterances, the last one wrong."""
    return chosen(["neutral", "calm", "sad"], ["neutral", "calm", "angry"], [1, 2, 2])


@pytest.fixture
def csv(three: pd.DataFrame, tmp_path: Path) -> Path:
    predictions.write(three, tmp_path / "test_results.csv")
    return tmp_path / "test_results.csv"


def test_file_holds_a_row_an_utterance(csv: Path) -> None:
    header, first, _, third = csv.read_text().splitlines()
    assert header == HEADER
    assert first == (
        "clip-0000,Actor_01/clip-0000.wav,01,male,neutral,normal,1,neutral,True,0.65,0.05,0.05,0.05,0.05,0.05,0.05,0.05"
    )
    assert third.startswith("clip-0002,Actor_02/clip-0002.wav,02,female,sad,normal,1,angry,False,")


def test_highest_probability_is_predicted_and_the_first_of_equals() -> None:
    equal = np.full((2, 8), 0.125)
    equal[1] = [0.1, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.1]
    found = predictions.build(utterances(["sad", "sad"], [1, 1]), equal)
    assert found["predicted"].tolist() == ["neutral", "sad"]
    assert found["correct"].tolist() == [False, True]


def test_rows_keep_the_order_of_the_probabilities() -> None:
    table = utterances(["sad", "calm", "angry"], [1, 1, 1]).iloc[[2, 0]]
    found = predictions.build(table, np.eye(8)[[4, 3]])
    assert found["utterance"].tolist() == ["clip-0002", "clip-0000"]
    assert found["correct"].all()


@pytest.mark.parametrize("shape", [(2, 8), (3, 7), (24,)])
def test_probabilities_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        predictions.build(utterances(["sad"] * 3, [1] * 3), np.full(shape, 0.125))


def test_diverged_model_is_named_as_such() -> None:
    likely = np.full((2, 8), 0.125)
    likely[1, 3] = np.nan
    with pytest.raises(DataError, match=r"not finite(.|\n)*probabilities, row 2, utterance 'clip-0001'(.|\n)*diverged"):
        predictions.build(utterances(["sad", "sad"], [1, 1]), likely)


name = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
weights = st.lists(st.floats(0, 1), min_size=8, max_size=8).filter(lambda row: sum(row) > 1e-3)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(name, st.tuples(name, st.sampled_from(EMOTIONS), weights), min_size=1, max_size=5))
def test_reading_gives_the_same_bits_as_were_written(rows: dict[str, tuple[str, str, list[float]]]) -> None:
    paths, truth, weight = zip(*rows.values(), strict=True)
    table = utterances(truth, range(1, len(rows) + 1)).assign(utterance=list(rows), path=paths)
    written = predictions.build(table, np.array(weight) / np.sum(weight, axis=1, keepdims=True))
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder, "one.csv"), Path(folder, "other.csv")
        predictions.write(written, one)
        read = predictions.read(one)
        predictions.write(read, other)
        pd.testing.assert_frame_equal(read, written, check_exact=True)
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("number", ["NA", "nan", "1e5", " 007", 'say "a, b"', "true"])
def test_ids_that_look_like_something_else_stay_text(number: str, tmp_path: Path) -> None:
    written = predictions.build(utterances(["sad"], [1]).assign(utterance=number, path=number), np.eye(8)[[3]])
    predictions.write(written, tmp_path / "a.csv")
    assert predictions.read(tmp_path / "a.csv")["utterance"].tolist() == [number]


def test_file_may_have_passed_through_a_spreadsheet(csv: Path, three: pd.DataFrame) -> None:
    text = csv.read_text().replace("True", "TRUE").replace("False", "FALSE").replace(",01,", ",1,")
    rows = [f"{line},a note" for line in text.splitlines()]
    csv.write_bytes(("\ufeff" + "\r\n".join(rows)).encode())
    pd.testing.assert_frame_equal(predictions.read(csv), three)


def test_columns_may_stand_in_another_order(csv: Path, three: pd.DataFrame) -> None:
    three[list(three)[::-1]].to_csv(csv, index=False)
    pd.testing.assert_frame_equal(predictions.read(csv), three)


Change = Callable[[str], str]


def instead(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


FAULTS: dict[str, tuple[Change, str, str]] = {
    "empty": (lambda text: "", "No columns", ""),
    "no rows": (lambda text: f"{HEADER}\n", "without a row", ""),
    "column missing": (instead("score_calm", "calm"), "without score_calm", ""),
    "semicolons": (lambda text: text.replace(",", ";"), "without utterance, path, actor", ""),
    "cell too many": (lambda text: text[:-1] + ",0.1\n", "Expected 17 fields in line 4, saw 18", ""),
    "cut off": (lambda text: text[:-30], "score_.* can't be ''", "row 3"),
    "no id": (instead("clip-0001,", ","), "without an id", "row 2, utterance ''"),
    "equal ids": (instead("clip-0002,", "clip-0000,"), "stands twice", "row 3, utterance 'clip-0000'"),
    "actor": (instead(",01,", ",one,"), "actor can't be 'one'", "row 1"),
    "sex": (instead(",male,", ",m,"), "neither male nor female", "row 1, utterance 'clip-0000'"),
    "two sexes": (instead(",01,", ",02,"), "more than one sex", r"row 1, utterance 'clip-0000' \(and 2 more rows\)"),
    "emotion": (instead(",sad,", ",bored,"), "emotion is none of neutral, calm", "row 3, utterance 'clip-0002'"),
    "prediction": (instead(",angry,", ",bored,"), "predicted is none of neutral, calm", "row 3, utterance 'clip-0002'"),
    "statement": (instead("normal,2", "normal,dogs"), "statement can't be 'dogs'", "row 2"),
    "correct": (instead("False", "maybe"), "correct can't be 'maybe'", "row 3"),
    "wrongly correct": (instead("False", "True"), "correct does not say", "row 3, utterance 'clip-0002'"),
    "wrongly predicted": (instead("angry,False", "happy,False"), "not the emotion with the highest", "row 3"),
    "score": (instead("True,0.65", "True,much"), "score_neutral can't be 'much'", "row 1"),
    "no score": (instead("True,0.65", "True,"), "score_neutral can't be ''", "row 1"),
    "nan": (instead("True,0.65", "True,nan"), "not finite", "row 1, utterance 'clip-0000'"),
    "infinite": (instead("True,0.65", "True,inf"), "not finite", "row 1, utterance 'clip-0000'"),
    "negative": (instead("True,0.65", "True,-0.65"), "from 0 to 1", "row 1, utterance 'clip-0000'"),
    "percent": (instead("True,0.65", "True,65"), "from 0 to 1", "row 1, utterance 'clip-0000'"),
    "sum": (instead("True,0.65", "True,0.66"), "sum to 1", "row 1, utterance 'clip-0000'"),
}


@pytest.mark.parametrize(("fault", "what", "row"), FAULTS.values(), ids=FAULTS)
def test_bad_file_is_refused_with_its_name_the_row_and_what_to_do(
    fault: Change, what: str, row: str, csv: Path
) -> None:
    csv.write_text(fault(csv.read_text()))
    with pytest.raises(DataError, match=what) as refusal:
        predictions.read(csv)
    said = str(refusal.value)
    assert str(csv) in said
    assert re.search(row, said)
    assert "evaluate.py ckpt=" in said


@pytest.mark.parametrize("content", ["é".encode("latin-1"), "a,b\n1,2".encode("utf-16")], ids=["latin-1", "utf-16"])
def test_file_that_is_not_utf8_is_refused(content: bytes, csv: Path) -> None:
    csv.write_bytes(content)
    with pytest.raises(DataError, match="not a table of predictions"):
        predictions.read(csv)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such table(.|\n)*nowhere.csv(.|\n)*give a test_results.csv"):
        predictions.read(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="not a table of predictions"):
        predictions.read(tmp_path)


def test_contradictions_are_not_written_over_a_good_file(three: pd.DataFrame, csv: Path) -> None:
    before = csv.read_bytes()
    with pytest.raises(DataError, match="correct does not say"):
        predictions.write(three.assign(correct=True), csv)
    assert csv.read_bytes() == before
    assert list(csv.parent.iterdir()) == [csv]


def test_whole_test_set_survives_the_file(tmp_path: Path) -> None:
    rows = made_up(range(20, 25))
    predictions.write(rows, tmp_path / "test_results.csv")
    pd.testing.assert_frame_equal(predictions.read(tmp_path / "test_results.csv"), rows, check_exact=True)
    assert len(rows) == 300
