from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example_predictions import LABELS, chosen, made_up, utterances
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.errors import DataError
from ser.results import predictions

HEADER = (
    "utterance,path,speaker,sex,emotion,intensity,statement,predicted,correct,score_neutral,score_calm,score_happy,"
    "score_sad,score_angry,score_fearful,score_disgust,score_surprised"
)


@pytest.fixture
def three() -> pd.DataFrame:
    """Two speakers, three utterances, the last one wrong."""
    return chosen(["neutral", "calm", "sad"], ["neutral", "calm", "angry"], ["01", "02", "02"])


@pytest.fixture
def csv(three: pd.DataFrame, tmp_path: Path) -> Path:
    predictions.write(three, tmp_path / "test_results.csv")
    return tmp_path / "test_results.csv"


def test_file_holds_a_row_per_utterance(csv: Path) -> None:
    header, first, _, third = csv.read_text().splitlines()
    assert header == HEADER
    assert first == (
        "clip-0000,Actor_01/clip-0000.wav,01,male,neutral,normal,01,neutral,True,0.65,0.05,0.05,0.05,0.05,0.05,0.05,0.05"
    )
    assert third.startswith("clip-0002,Actor_02/clip-0002.wav,02,female,sad,normal,01,angry,False,")


def test_highest_probability_is_predicted_and_the_first_of_equals() -> None:
    equal = np.full((2, 8), 0.125)
    equal[1] = [0.1, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.1]
    found = predictions.build(utterances(["sad", "sad"], ["01", "01"]), equal)
    assert found["predicted"].tolist() == ["neutral", "sad"]
    assert found["correct"].tolist() == [False, True]


def test_rows_keep_the_order_of_the_probabilities() -> None:
    table = utterances(["sad", "calm", "angry"], ["01"] * 3).iloc[[2, 0]]
    found = predictions.build(table, np.eye(8)[[4, 3]])
    assert found["utterance"].tolist() == ["clip-0002", "clip-0000"]
    assert found["correct"].all()


def test_diverged_model_is_named_as_such() -> None:
    likely = np.full((2, 8), 0.125)
    likely[1, 3] = np.nan
    with pytest.raises(DataError, match=r"not probabilities: row 2, utterance 'clip-0001'(.|\n)*diverged"):
        predictions.build(utterances(["sad", "sad"], ["01", "01"]), likely)


name = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@st.composite
def built(draw: st.DrawFn) -> pd.DataFrame:
    """Predictions over any labels, for any speakers, some columns unknown."""
    labels = draw(st.lists(name, min_size=1, max_size=4, unique=True))
    weights = st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels)).filter(lambda row: sum(row) > 1e-3)
    row = st.tuples(name, name, st.sampled_from(["001", "S 1", "é,b", "NA"]) | name, st.sampled_from(labels), weights)
    ids, paths, speakers, truth, weight = zip(
        *draw(st.lists(row, min_size=1, max_size=5, unique_by=lambda row: row[0])), strict=True
    )
    table = utterances(truth, speakers, labels).assign(utterance=ids, path=paths, speaker=speakers)
    table["sex"] = draw(st.sampled_from(["", "female", "male"]))
    table["statement"] = draw(st.sampled_from(["", "01", "kids, dogs"]))
    return predictions.build(table, np.array(weight) / np.sum(weight, axis=1, keepdims=True))


@settings(max_examples=60, deadline=None)
@given(built())
def test_reading_gives_the_same_bits_as_were_written(written: pd.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder, "one.csv"), Path(folder, "other.csv")
        predictions.write(written, one)
        read = predictions.read(one)
        predictions.write(read, other)
        pd.testing.assert_frame_equal(read, written, check_exact=True)
        assert one.read_bytes() == other.read_bytes()


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30) | st.lists(st.sampled_from([*HEADER.split(","), ",", "\n", "0.5", '"'])).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(DataError):
            predictions.read(Path(folder, "a.csv"))


@pytest.mark.parametrize("number", ["NA", "nan", "1e5", " 007", 'say "a, b"', "true"])
def test_ids_that_look_like_something_else_stay_text(number: str, tmp_path: Path) -> None:
    written = predictions.build(utterances(["sad"], ["01"]).assign(utterance=number, path=number), np.eye(8)[[3]])
    predictions.write(written, tmp_path / "a.csv")
    assert predictions.read(tmp_path / "a.csv")["utterance"].tolist() == [number]


def test_file_may_have_passed_through_a_spreadsheet(csv: Path, three: pd.DataFrame) -> None:
    text = csv.read_text().replace("True", "TRUE").replace("False", "FALSE")
    rows = [f"{line},a note" for line in text.splitlines()]
    csv.write_bytes(("\ufeff" + "\r\n".join(rows)).encode())
    pd.testing.assert_frame_equal(predictions.read(csv), three)


def test_labels_and_their_order_are_those_of_the_score_columns(csv: Path, three: pd.DataFrame) -> None:
    three[list(three)[::-1]].to_csv(csv, index=False)
    read = predictions.read(csv)
    assert tuple(read["emotion"].cat.categories) == tuple(read["predicted"].cat.categories) == LABELS[::-1]
    truth, predicted, classes = predictions.class_pairs(read)
    assert (truth.tolist(), predicted.tolist(), classes) == ([7, 6, 4], [7, 6, 3], 8)
    pd.testing.assert_frame_equal(read[list(three)].astype(str), three.astype(str))


def test_file_of_an_earlier_version_is_refused(csv: Path) -> None:
    csv.write_text(csv.read_text().replace("speaker", "actor", 1))
    with pytest.raises(DataError, match=r"it has no speaker(.|\n)*write it again with `python evaluate.py"):
        predictions.read(csv)


def test_sex_intensity_and_statement_may_be_unknown(csv: Path) -> None:
    csv.write_text(re.sub(r",(fe)?male,(\w+),normal,0\d,", r",,\2,,,", csv.read_text()))
    read = predictions.read(csv)
    assert read["emotion"].tolist() == ["neutral", "calm", "sad"]
    assert (read[["sex", "intensity", "statement"]] == "").all(axis=None)


Change = Callable[[str], str]


def instead(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


FAULTS: dict[str, tuple[Change, str]] = {
    "empty": (lambda text: "", "No columns"),
    "no rows": (lambda text: f"{HEADER}\n", "no utterance"),
    "column missing": (instead("intensity", "loudness"), "it has no intensity"),
    "semicolons": (lambda text: text.replace(",", ";"), "it has no utterance, path"),
    "cell too many": (lambda text: text[:-1] + ",0.1\n", "Expected 17 fields in line 4, saw 18"),
    "no scores": (instead("score_", "p_"), "it has no score_<emotion>"),
    "cut off": (lambda text: text[:-30], "convert"),
    "label without a score": (
        lambda text: re.sub("(?m),[^,]*$", "", text).replace(",sad,", ",surprised,"),
        "an emotion is none of neutral, calm, happy, sad, angry, fearful, disgust\n",
    ),
    "emotion": (instead(",sad,", ",bored,"), "an emotion is none of neutral, calm"),
    "prediction": (instead(",angry,", ",bored,"), "predicted is not the emotion with the highest score"),
    "wrongly predicted": (instead("angry,False", "happy,False"), "predicted is not the emotion"),
    "score": (instead("True,0.65", "True,much"), "convert string to float: 'much'"),
    "no score": (instead("True,0.65", "True,"), "convert string to float: ''"),
    "nan": (instead("True,0.65", "True,nan"), "not probabilities: row 1, utterance 'clip-0000'"),
    "infinite": (instead("True,0.65", "True,inf"), "not probabilities: row 1"),
    "negative": (instead("True,0.65,0.05", "True,-0.65,1.35"), "not probabilities: row 1"),
    "percent": (instead("True,0.65", "True,65"), "not probabilities: row 1"),
    "sum": (instead("True,0.65", "True,0.66"), "not probabilities: row 1"),
}


@pytest.mark.parametrize(("fault", "what"), FAULTS.values(), ids=FAULTS)
def test_bad_file_is_refused_with_its_name_and_what_to_do(fault: Change, what: str, csv: Path) -> None:
    csv.write_text(fault(csv.read_text()))
    with pytest.raises(DataError, match=what) as refusal:
        predictions.read(csv)
    assert str(csv) in str(refusal.value)
    assert "evaluate.py ckpt=" in str(refusal.value)


@pytest.mark.parametrize("content", ["é".encode("latin-1"), "a,b\n1,2".encode("utf-16")], ids=["latin-1", "utf-16"])
def test_file_that_is_not_utf8_is_refused(content: bytes, csv: Path) -> None:
    csv.write_bytes(content)
    with pytest.raises(DataError, match="not a table of predictions"):
        predictions.read(csv)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No such file(.|\n)*nowhere.csv(.|\n)*give the test_results.csv"):
        predictions.read(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="not a table of predictions"):
        predictions.read(tmp_path)


def test_whole_test_set_survives_the_file(tmp_path: Path) -> None:
    rows = made_up(range(20, 25))
    predictions.write(rows, tmp_path / "test_results.csv")
    pd.testing.assert_frame_equal(predictions.read(tmp_path / "test_results.csv"), rows, check_exact=True)
    assert len(rows) == 300
