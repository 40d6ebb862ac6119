"""Predictions → `metrics.json`, `per_emotion.csv`, `per_actor.csv`, and tables for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ser.atomic import write_text
from ser.results import metrics

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WHOLE = ("accuracy", "uar", "macro_f1")
"""Scores of a set of utterances."""

SCORED = (*WHOLE, "n_utterances", "n_speakers", "accuracy_ci95", "uar_ci95", "per_emotion", "per_actor")
"""What `metrics.json` says of the scores; the rest of it are facts about the run."""


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
    """Print what `metrics.json` holds: facts, scores by emotion, by actor, and last, to remain in sight, over all."""
    console = console or _console()
    _print_facts(console, title, {name: value for name, value in summary.items() if name not in SCORED})
    emotions = _table("emotion", "recall %", "precision %", "F1 %", "utterances")
    for emotion, of in summary["per_emotion"].items():
        emotions.add_row(emotion, *(_percent(of[score]) for score in ("recall", "precision", "f1")), str(of["support"]))
    actors = _table("actor", "accuracy %", "UAR %", "utterances")
    for actor, of in summary["per_actor"].items():
        actors.add_row(actor, _percent(of["accuracy"]), _percent(of["uar"]), str(of["n"]))
    speakers = f"{summary['n_speakers']} speaker" + "s" * (summary["n_speakers"] > 1)
    whole = _table(f"{summary['n_utterances']} utterances", "%", f"95% interval over {speakers}")
    for score in WHOLE:
        whole.add_row(_label(score), _percent(summary[score]), _interval(summary, score), style="bold")
    console.print("", emotions, "", actors, "", whole, sep="\n")


def show_summary(summary: Mapping[str, Any], title: str = "training", console: Console | None = None) -> None:
    """Print a run's summary: one fact a line, and last, to remain in sight, the scores of validation."""
    console = console or _console()
    scored = ("validation", "best_epoch", "val_loss", *(f"val_{score}" for score in WHOLE))
    _print_facts(console, title, {name: value for name, value in summary.items() if name not in scored})
    whole = _table(f"validation, {summary['validation']}", "loss", "accuracy %", "UAR %", "macro-F1 %")
    percent = (_percent(summary[f"val_{score}"]) for score in WHOLE)
    whole.add_row(f"best epoch {summary['best_epoch']}", f"{summary['val_loss']:.4g}", *percent, style="bold")
    console.print("", whole, sep="\n")


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    return table


def _print_facts(console: Console, title: str, facts: Mapping[str, Any]) -> None:
    """Two columns without rules; a long value is folded inside its own column."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if name == "overlap":
            for pair, counts in value.items():
                table.add_row(Text(f"{pair.replace('_', ' and ')} share"), Text(_counts(counts)))
        else:
            table.add_row(Text(_label(name)), Text(_counts(value) if name == "shared_with_training" else _value(value)))
    console.print("", Text(title, style="bold"), table, sep="\n")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_label(name)} {_value(of)}" for name, of in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _listed(value)
    return str(value)


def _listed(items: Sequence[Any]) -> str:
    """The items; three or more whole numbers that follow each other as "1-19", so that speakers take one line."""
    numbers = all(isinstance(item, int) for item in items)
    runs = groupby(enumerate(items), key=lambda at: at[1] - at[0] if numbers else at[0])
    ends = []
    for _, run in runs:
        values = [_value(value) for _, value in run]
        ends += values if len(values) < 3 else [f"{values[0]}-{values[-1]}"]
    return ", ".join(ends) or "none"


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
