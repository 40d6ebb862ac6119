"""Predictions → `metrics.json`, `per_emotion.csv`, `per_speaker.csv`, and tables for the terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ser.atomic import write_text
from ser.errors import printable
from ser.results import metrics
from ser.results.predictions import class_pairs
from ser.utterances import labels_of

NAMES = {"accuracy": "accuracy", "uar": "UAR", "macro_f1": "macro-F1"}
"""Scores of a set of utterances, and how they are written."""

SCORED = (*NAMES, "n_utterances", "n_speakers", "accuracy_ci95", "uar_ci95", "per_emotion", "per_speaker")
"""What `metrics.json` says of the scores; the rest of it are facts about the run."""

OF_JOBS = ("job", "best_epoch", "val_loss", "train_seconds", "error", "folder")
"""Columns of `sweep.csv` besides what sets the jobs apart and percentages."""


class Terminal(Console):
    """Where tables go; that whoever read them has stopped does not end what was to be done."""

    def on_broken_pipe(self) -> None:
        """Say no more."""
        self.quiet = True
        with suppress(OSError, ValueError):  # the interpreter's own flush would fail at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def summarise(predictions: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `metrics.json` holds: scores as fractions, None where one is not defined, then the facts as given."""
    speakers, by_speaker = _by_speaker(predictions)
    counts = by_speaker.sum(axis=0)
    return {
        **metrics.scores(counts),
        "n_utterances": len(predictions),
        "n_speakers": len(speakers),
        **metrics.speaker_bootstrap(by_speaker),
        "per_emotion": dict(zip(labels_of(predictions), metrics.per_class(counts), strict=True)),
        "per_speaker": dict(zip(speakers, metrics.per_speaker(by_speaker), strict=True)),
        **facts,
    }


def per_emotion(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per emotion, in label order: `emotion`, `precision`, `recall`, `f1`, `support`."""
    table = pd.DataFrame(metrics.per_class(metrics.confusion(*class_pairs(predictions))))
    table.insert(0, "emotion", labels_of(predictions))
    return table


def per_speaker(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per speaker, by name: `speaker`, `sex`, `accuracy`, `uar`, `n` utterances."""
    speakers, counts = _by_speaker(predictions)
    table = pd.DataFrame(metrics.per_speaker(counts))
    table.insert(0, "speaker", speakers)
    table.insert(1, "sex", predictions.groupby("speaker")["sex"].first().loc[speakers].tolist())
    return table


def write_all(predictions: pd.DataFrame, folder: str | Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write `metrics.json`, `per_emotion.csv` and `per_speaker.csv` into a folder; return what the first holds."""
    summary = summarise(predictions, facts)
    write_text(Path(folder, "metrics.json"), json.dumps(summary, indent=2, allow_nan=False) + "\n")
    for name, table in {"per_emotion": per_emotion(predictions), "per_speaker": per_speaker(predictions)}.items():
        write_text(Path(folder, f"{name}.csv"), table.to_csv(index=False, lineterminator="\n"))
    return summary


def _by_speaker(predictions: pd.DataFrame) -> tuple[list[str], metrics.Counts]:
    truth, predicted, classes = class_pairs(predictions)
    return metrics.confusion_by_speaker(truth, predicted, predictions["speaker"], classes)


def show_metrics(summary: Mapping[str, Any], title: str) -> None:
    """Print what `metrics.json` holds: facts, scores per emotion, per speaker, and last, to remain in sight, of all."""
    emotions = _table("emotion", "recall %", "precision %", "F1 %", "utterances")
    for emotion, of in summary["per_emotion"].items():
        percent = (_percent(of[score]) for score in ("recall", "precision", "f1"))
        emotions.add_row(_safe(emotion), *percent, str(of["support"]))
    speakers = _table("speaker", "accuracy %", "UAR %", "utterances")
    for speaker, of in summary["per_speaker"].items():
        speakers.add_row(_safe(speaker), _percent(of["accuracy"]), _percent(of["uar"]), str(of["n"]))
    whole = _table(f"{summary['n_utterances']} utterances", "%", f"95% interval (speakers: {summary['n_speakers']})")
    for score in NAMES:
        interval = summary.get(f"{score}_ci95")
        whole.add_row(NAMES[score], _percent(summary[score]), " to ".join(map(_percent, interval or ())), style="bold")
    _print(title, {name: value for name, value in summary.items() if name not in SCORED}, emotions, speakers, whole)


def show_summary(summary: Mapping[str, Any], title: str) -> None:
    """Print a run's summary: one fact per line, and last, to remain in sight, the scores of validation."""
    scored = ("validation", "best_epoch", "val_loss", *(f"val_{score}" for score in NAMES))
    whole = _table(f"validation, {summary['validation']}", "loss", *(f"{NAMES[score]} %" for score in NAMES))
    percent = (_percent(summary[f"val_{score}"]) for score in NAMES)
    which = "last" if summary["validation"] == "none" else "best"
    whole.add_row(f"{which} epoch {summary['best_epoch']}", _text(summary["val_loss"]), *percent, style="bold")
    _print(title, {name: value for name, value in summary.items() if name not in scored}, whole)


def show_sweep(jobs: pd.DataFrame, best: int | None, title: str) -> None:
    """Print a sweep: a job per line with what sets it apart and its scores of validation; the best one in bold."""
    scores = {f"val_{score}": f"{name} %" for score, name in NAMES.items()}
    given = [name for name in jobs if name not in (*scores, *OF_JOBS)]
    short = [str(name).rsplit(".", 1)[-1] for name in given]
    table = _table("job", *short, "epoch", "loss", *scores.values(), "s")
    for job in jobs.astype(object).where(jobs.notna(), None).to_dict("records"):
        line = [str(job["job"]), *(str(job[name]) for name in given)]
        if job["error"]:
            line += ["-", "failed", *("-" for _ in scores), "-"]
        else:
            line += [_text(job["best_epoch"]), _text(job["val_loss"]), *(_percent(job[name]) for name in scores)]
            line += [f"{job['train_seconds']:.0f}"]
        table.add_row(*map(_safe, line), style="bold" if job["job"] == best else None)
    console = Terminal(highlight=False)
    console.print("", _safe(title, "bold"), table, sep="\n")
    if best is not None:
        console.print("\nbest, by the monitored score:", _safe(str(jobs.set_index("job")["folder"].loc[best])))
    for error, of in jobs[jobs["error"] != ""].groupby("error", sort=False):
        console.print(_safe(f"\n{', '.join(of['folder'])}: {error}"), soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    return table


def _print(title: str, facts: Mapping[str, Any], *tables: Table) -> None:
    """The facts in two columns without rules, then the tables; a long text is folded inside its own column."""
    grid = Table.grid(Column(overflow="fold"), Column(overflow="fold"), padding=(0, 2))
    for name, value in facts.items():
        lines = (
            [f"{key.replace('_', ' ')}: {_text(of)}" for key, of in value.items()] if isinstance(value, Mapping) else []
        )
        grid.add_row(_safe(name.replace("_", " ")), _safe("\n".join(lines) or _text(value)))
    console = Terminal(highlight=False)
    console.print("", _safe(title, "bold"), grid, sep="\n")
    for table in tables:
        console.print("", table, sep="\n")


def _safe(text: str, style: str = "") -> Text:
    """Text for the terminal: neither markup nor control characters of names are obeyed."""
    return Text(printable(text), style=style)


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(of)}" for name, of in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return str(value)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"
