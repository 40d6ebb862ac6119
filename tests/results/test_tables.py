from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from example_predictions import FACTS, LABELS, chosen, made_up

from ser.results import tables

Shown = Callable[..., list[str]]

SUMMARY = {
    "model": "cnn",
    "seed": 42,
    "protocol": "reference",
    "protocol_settings": {
        "dev_speakers": ["01", "02", "03"],
        "test_speakers": [20, 21, 22, 23, 24],
        "val_fraction": 0.34,
        "folds": [],
        "group": None,
    },
    "overlap": {
        "train_val": {"speakers": 19, "statements": 2, "twins": 254},
        "train_test": None,
        "val_test": {"speakers": 0},
    },
    "validation": "seen speakers",
    "best_epoch": 45,
    "epochs": 70,
    "val_loss": 0.61234,
    "val_accuracy": 0.835,
    "val_uar": 0.8312,
    "val_macro_f1": 0.82,
    "train_seconds": 7012.123,
}


@pytest.fixture(scope="module")
def scored() -> pd.DataFrame:
    return made_up(range(20, 25))


@pytest.fixture
def all_happy() -> pd.DataFrame:
    """A model that says happy whatever it hears."""
    return chosen(LABELS, ["happy"] * 8, ["01"] * 8)


def strictly(text: str) -> Any:
    """JSON without NaN and infinities, which only Python takes for JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_metrics_json_says_what_was_promised(scored: pd.DataFrame, tmp_path: Path) -> None:
    returned = tables.write_all(scored, tmp_path, FACTS)
    found = strictly((tmp_path / "metrics.json").read_text())
    assert found == returned
    whole = ("accuracy", "uar", "macro_f1", "n_utterances", "n_speakers", "accuracy_ci95", "uar_ci95")
    assert tuple(found) == (*whole, "per_emotion", "per_speaker", *FACTS)
    assert found["n_utterances"] == 300
    assert found["n_speakers"] == 5
    assert tuple(found["per_emotion"]) == LABELS
    assert set(found["per_emotion"]["calm"]) == {"precision", "recall", "f1", "support"}
    assert list(found["per_speaker"]) == ["20", "21", "22", "23", "24"]
    assert set(found["per_speaker"]["20"]) == {"accuracy", "uar", "n"}
    assert found["protocol"] == "reference"


def test_parts_of_the_metrics_add_up(scored: pd.DataFrame) -> None:
    found = tables.summarise(scored, {})
    emotions, speakers = found["per_emotion"].values(), found["per_speaker"].values()
    assert found["accuracy"] == pytest.approx(scored["correct"].mean())
    assert found["accuracy"] == pytest.approx(sum(of["recall"] * of["support"] for of in emotions) / 300)
    assert found["accuracy"] == pytest.approx(sum(of["accuracy"] * of["n"] for of in speakers) / 300)
    assert found["uar"] == pytest.approx(sum(of["recall"] for of in emotions) / 8)
    assert found["macro_f1"] == pytest.approx(sum(of["f1"] for of in emotions) / 8)


def test_tables_hold_what_metrics_json_holds(scored: pd.DataFrame, tmp_path: Path) -> None:
    summary = tables.write_all(scored, tmp_path, FACTS)
    emotions = pd.read_csv(tmp_path / "per_emotion.csv", index_col="emotion")
    speakers = pd.read_csv(tmp_path / "per_speaker.csv", index_col="speaker", dtype={"speaker": str})
    assert speakers.pop("sex").tolist() == ["female", "male", "female", "male", "female"]
    for table, kind in ((emotions, "per_emotion"), (speakers, "per_speaker")):
        expected = pd.DataFrame(summary[kind]).T
        assert list(table.index) == list(expected.index)
        assert list(table.columns) == list(expected.columns)
        assert table.to_numpy() == pytest.approx(expected.to_numpy())


def test_scores_that_are_not_defined_are_null_and_empty(all_happy: pd.DataFrame, tmp_path: Path) -> None:
    tables.write_all(all_happy, tmp_path, {})
    found = strictly((tmp_path / "metrics.json").read_text())
    assert found["accuracy_ci95"] is None
    assert found["per_emotion"]["sad"] == {"precision": None, "recall": 0.0, "f1": 0.0, "support": 1}
    assert "sad,,0.0,0.0,1" in (tmp_path / "per_emotion.csv").read_text().splitlines()


def test_facts_that_are_no_json_leave_the_old_metrics(scored: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("old")
    with pytest.raises(ValueError, match="JSON compliant"):
        tables.write_all(scored, tmp_path, {"loss": float("nan")})
    assert (tmp_path / "metrics.json").read_text() == "old"


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Lines on a terminal, its runs of spaces and rules as one space."""

    def show(print_it: Any, summary: dict[str, Any], title: str = "a run", width: int = 80) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        print_it(summary, title)
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= width
        return [re.sub(r"[ ─]+", " ", line).strip() for line in lines]

    return show


def test_scores_stand_last_on_the_terminal(shown: Shown, scored: pd.DataFrame) -> None:
    lines = shown(tables.show_metrics, tables.summarise(scored, SUMMARY | FACTS))
    found = tables.summarise(scored, {})
    low, high = found["uar_ci95"]
    assert lines[-5] == "300 utterances % 95% interval (speakers: 5)"
    assert lines[-3].startswith(f"accuracy {100 * found['accuracy']:.1f} ")
    assert lines[-2] == f"UAR {100 * found['uar']:.1f} {100 * low:.1f} to {100 * high:.1f}"
    assert lines[-1] == f"macro-F1 {100 * found['macro_f1']:.1f}"


def test_emotions_speakers_and_facts_are_shown(shown: Shown, scored: pd.DataFrame) -> None:
    lines = shown(tables.show_metrics, tables.summarise(scored, {**FACTS, "shared_with_training": {"speakers": 0}}))
    of = tables.per_emotion(scored).set_index("emotion").loc["sad"]
    assert f"sad {100 * of.recall:.1f} {100 * of.precision:.1f} {100 * of.f1:.1f} 40" in lines
    of = tables.per_speaker(scored).set_index("speaker").loc["23"]
    assert f"23 {100 * of.accuracy:.1f} {100 * of.uar:.1f} 60" in lines
    assert "speakers unseen in training" in lines
    assert "shared with training speakers: 0" in lines


def test_what_is_not_defined_is_shown_as_such(shown: Shown, all_happy: pd.DataFrame) -> None:
    lines = shown(tables.show_metrics, tables.summarise(all_happy, {}))
    assert "sad 0.0 - 0.0 1" in lines
    assert "8 utterances % 95% interval (speakers: 1)" in lines
    assert "UAR 12.5" in lines


def test_summary_ends_with_the_scores_of_the_best_epoch(shown: Shown) -> None:
    lines = shown(tables.show_summary, SUMMARY)
    assert lines[-3] == "validation, seen speakers loss accuracy % UAR % macro-F1 %"
    assert lines[-1] == "best epoch 45 0.6123 83.5 83.1 82.0"


def test_facts_read_well(shown: Shown) -> None:
    lines = shown(tables.show_summary, SUMMARY)
    assert "train seconds 7012" in lines
    first = lines.index("overlap train val: speakers 19, statements 2, twins 254")
    assert lines[first + 1 : first + 3] == ["train test: -", "val test: speakers 0"]
    first = lines.index("protocol settings dev speakers: 01, 02, 03")
    assert lines[first + 1 : first + 5] == [
        "test speakers: 20, 21, 22, 23, 24",
        "val fraction: 0.34",
        "folds: none",
        "group: -",
    ]


@pytest.mark.parametrize("show", [tables.show_metrics, tables.show_summary])
def test_brackets_in_a_folder_are_no_markup(shown: Shown, show: Any, scored: pd.DataFrame) -> None:
    assert "runs/[red]cnn[1]" in shown(show, SUMMARY | tables.summarise(scored, {}), title="runs/[red]cnn[1]")


def test_narrow_terminals_fold_long_facts(shown: Shown) -> None:
    assert "0123456789abcdef" in "".join(shown(tables.show_summary, SUMMARY | {"of": "0123456789abcdef"}, width=36))


def test_long_names_and_paths_fold_in_their_own_column(shown: Shown) -> None:
    """In 80 columns every number is whole, and so is a name when its pieces are put together."""
    emotion, speaker, path = "surprised_" * 9, "speaker/" * 12, "/a/long/folder" * 9
    rows = chosen(["sad", emotion], ["sad", "sad"], [speaker, "01"], labels=["sad", emotion])
    lines = shown(tables.show_metrics, tables.summarise(rows, {"checkpoint": path}), title="runs/" * 30)
    said = "\n".join(lines)
    assert f"checkpoint {path}" in said.replace("\n", "")
    assert "sad 100.0 50.0 66.7 1\n" in said
    for name, numbers in ((emotion, " 0.0 - 0.0 1\n"), (speaker, " 100.0 100.0 1\n")):
        assert numbers in said
        assert name in said.replace(numbers, "").replace("\n", "")
