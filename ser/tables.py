"""Predictions → `metrics.json`, `per_emotion.csv`, `per_actor.csv`, and tables for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ser import metrics
from ser.atomic import write_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SCORED = (
    *("accuracy", "uar", "macro_f1", "n_utterances", "n_speakers", "accuracy_ci95", "uar_ci95"),
    *("per_emotion", "per_actor"),
)
"""What `metrics.json` says of the scores; the rest of it are facts about the run."""

FRACTIONS = ("accuracy", "uar", "macro_f1", "precision", "recall", "f1")
"""Scores that are printed in percent; a prefix such as `val_` doesn't matter."""


def summarise(predictions: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `metrics.json` holds: scores as fractions, None where one is not defined, then the facts as given."""
    truth, predicted, actor = predictions["emotion"], predictions["predicted"], predictions["actor"]
    return {
        **metrics.scores(truth, predicted),
        "n_utterances": len(predictions),
        "n_speakers": int(actor.nunique()),
        **metrics.speaker_bootstrap(truth, predicted, actor),
        "per_emotion": metrics.per_emotion(truth, predicted),
        "per_actor": metrics.per_speaker(truth, predicted, actor),
        **facts,
    }


def per_emotion(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row an emotion, in label order: `emotion`, `precision`, `recall`, `f1`, `support`."""
    of_emotion = metrics.per_emotion(predictions["emotion"], predictions["predicted"])
    return pd.DataFrame([{"emotion": emotion, **values} for emotion, values in of_emotion.items()])


def per_actor(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row an actor, by number: `actor` ("01"), `sex`, `accuracy`, `uar`, `n` utterances."""
    sex = dict(zip(predictions["actor"], predictions["sex"], strict=True))
    of_actor = metrics.per_speaker(predictions["emotion"], predictions["predicted"], predictions["actor"])
    return pd.DataFrame([{"actor": actor, "sex": sex[actor], **values} for actor, values in of_actor.items()])


def write_all(predictions: pd.DataFrame, folder: str | Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write `metrics.json`, `per_emotion.csv` and `per_actor.csv` into a folder; return what the first holds."""
    summary = summarise(predictions, facts)
    write_text(Path(folder, "metrics.json"), json.dumps(summary, indent=2, allow_nan=False) + "\n")
    for name, table in {"per_emotion": per_emotion(predictions), "per_actor": per_actor(predictions)}.items():
        write_text(Path(folder, f"{name}.csv"), table.to_csv(index=False, lineterminator="\n"))
    return summary


def show_metrics(summary: Mapping[str, Any], title: str = "evaluation", console: Console | None = None) -> None:
    """Print what `metrics.json` holds as three tables: all, by emotion, by actor. Scores in percent."""
    console = console or _console()
    whole = _table(title, ["score", "%", "95% interval over speakers"])
    for score in ("accuracy", "uar", "macro_f1"):
        whole.add_row(_label(score), _percent(summary[score]), _interval(summary, score))
    console.print(whole)
    console.print(f"{summary['n_utterances']} utterances of {summary['n_speakers']} speakers")
    console.print(_facts({name: value for name, value in summary.items() if name not in SCORED}))
    emotions = _table("by emotion", ["emotion", "recall", "precision", "F1", "utterances"])
    for emotion, of in summary["per_emotion"].items():
        emotions.add_row(emotion, *(_percent(of[score]) for score in ("recall", "precision", "f1")), str(of["support"]))
    console.print(emotions)
    actors = _table("by actor", ["actor", "accuracy", "UAR", "utterances"])
    for actor, of in summary["per_actor"].items():
        actors.add_row(actor, _percent(of["accuracy"]), _percent(of["uar"]), str(of["n"]))
    console.print(actors)


def show_summary(summary: Mapping[str, Any], title: str = "training", console: Console | None = None) -> None:
    """Print a run's summary, one fact a line, nested ones by their path; scores in percent."""
    console = console or _console()
    console.print(f"\n{title}", style="bold", highlight=False)
    console.print(_facts(summary))


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _table(title: str, columns: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    return table


def _facts(values: Mapping[str, Any]) -> Table:
    """Two columns without rules; a long value is folded inside its own column."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, value in _flat(values):
        table.add_row(Text(_label(name)), Text(value))
    return table


def _flat(values: Mapping[str, Any], path: str = "") -> list[tuple[str, str]]:
    lines = []
    for name, value in values.items():
        if isinstance(value, Mapping) and any(isinstance(inner, Mapping) for inner in value.values()):
            lines += _flat(value, f"{path}{name} ")
        else:
            lines.append((f"{path}{name}", _value(name, value)))
    return lines


def _value(name: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{_percent(value)}%" if name.endswith(FRACTIONS) else f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_label(inner)} {_value(inner, of)}" for inner, of in value.items()) or "none"
    if isinstance(value, Sequence | set) and not isinstance(value, str):
        return ", ".join(_value(name, item) for item in value) or "none"
    return str(value)


def _label(name: str) -> str:
    words = name.replace("_", " ").replace("macro f1", "macro-F1")
    return " ".join("UAR" if word == "uar" else word for word in words.split(" "))


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"


def _interval(summary: Mapping[str, Any], score: str) -> str:
    if f"{score}_ci95" not in summary:
        return ""
    interval = summary[f"{score}_ci95"]
    return "none: one speaker" if interval is None else f"{_percent(interval[0])} to {_percent(interval[1])}"
