"""Predictions and training history → figures for a paper; everything drawn from the CSV files of a run alone.

A column wide, text of 7 pt or more (6 for the counts in the confusion matrix), the colours of Okabe and Ito
(doi:10.1038/nmeth.1618), and no meaning by colour alone. Figures are plain `Figure` objects: no display is needed and
nothing stays behind in pyplot.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ser.atomic import replacing
from ser.results import metrics, tables
from ser.results.predictions import read
from ser.utterances import EMOTIONS

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

WIDTH = 3.4
"""A column of a two-column page, in inches."""

BLUE, ORANGE, GREEN, VERMILLION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"

STYLE: dict[RcKeyType, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 7,
    "axes.titlelocation": "left",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType: text in the PDF stays text, as publishers ask
}

in_style = matplotlib.rc_context(STYLE)
"""Decorates what draws or saves, and leaves the settings of others as they were."""


@in_style
def confusion_matrix(predictions: pd.DataFrame) -> Figure:
    """The share of its row in every cell, as percentage and colour, above the count; a zero is left blank.

    The diagonal shows recall. Emotions that neither occur nor are predicted are left out; a row without utterances is
    grey.
    """
    import seaborn

    counts = metrics.confusion(predictions["emotion"], predictions["predicted"])
    here = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    names, counts = [EMOTIONS[i] for i in here], counts[np.ix_(here, here)]
    with np.errstate(invalid="ignore"):
        share = 100 * counts / counts.sum(axis=1, keepdims=True)
    figure, axes = _figure(3.5)
    seaborn.heatmap(share, cmap="Blues", vmin=0, vmax=100, cbar=False, square=True, linewidths=0.5, ax=axes)
    for row, column in zip(*counts.nonzero(), strict=True):
        colour = "white" if share[row, column] > 55 else "black"
        percent = f"{np.floor(share[row, column] + 0.5):.0f}%"  # a half goes up, not to the even number
        axes.text(column + 0.5, row + 0.5, percent, ha="center", va="bottom", size=7, color=colour)
        axes.text(column + 0.5, row + 0.54, str(counts[row, column]), ha="center", va="top", size=6, color=colour)
    axes.set_facecolor("#DDDDDD")
    axes.set_xticks(axes.get_xticks(), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(axes.get_yticks(), names, rotation=0)
    axes.tick_params(length=0)
    axes.set(xlabel="predicted emotion", ylabel="true emotion", title="share of the true emotion, utterances beneath")
    return figure


@in_style
def per_emotion(predictions: pd.DataFrame) -> Figure:
    """Recall, precision and F1 of the emotions that occur or are predicted; "n/a" where one is not defined.

    Behind its name stands how often an emotion occurs.
    """
    table = tables.per_emotion(predictions).dropna(subset="f1").reset_index(drop=True)
    figure, axes = _figure(0.7 + 0.3 * max(len(table), 3))
    # Dark, middle and light: the bars differ on a grey printer too.
    for i, (score, colour) in enumerate({"recall": BLUE, "precision": ORANGE, "f1": "#C8C8C8"}.items()):
        at = np.arange(len(table)) + 0.27 * (i - 1)
        axes.barh(at, 100 * table[score].fillna(0), 0.25, color=colour, label="F1" if score == "f1" else score)
        for y in at[table[score].isna()]:
            axes.text(1, y, "n/a", va="center", color=GREY, size=7)
    axes.set_yticks(range(len(table)), [f"{row.emotion} ({row.support})" for row in table.itertuples()])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("emotion (utterances)")
    _percent_axis(axes, "score (%)")
    _legend(axes, 3)
    return figure


@in_style
def per_actor(predictions: pd.DataFrame) -> Figure:
    """Accuracy of every actor, best first, sex by colour and shape, with the mean over actors and chance."""
    table = tables.per_actor(predictions).sort_values(["accuracy", "actor"], ascending=[False, True])
    table["row"] = range(len(table))
    figure, axes = _figure(0.95 + 0.15 * max(len(table), 3))
    for sex, colour, marker in (("female", VERMILLION, "o"), ("male", BLUE, "s")):
        of_sex = table[table["sex"] == sex]
        if len(of_sex):
            label = f"{sex} (mean {100 * of_sex['accuracy'].mean():.1f}%)"
            axes.plot(100 * of_sex["accuracy"], of_sex["row"], marker, color=colour, label=label, clip_on=False)
    mean, chance = 100 * table["accuracy"].mean(), 100 / len(EMOTIONS)
    axes.axvline(mean, color="black", linewidth=0.8, zorder=1, label=f"mean {mean:.1f}%")
    axes.axvline(chance, color=GREY, linewidth=0.8, linestyle="--", zorder=1, label=f"chance {chance:.1f}%")
    axes.set_yticks(range(len(table)), table["actor"])
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("actor")
    _percent_axis(axes, "accuracy (%)")
    _legend(axes, 2)
    return figure


@in_style
def learning_curves(history: pd.DataFrame) -> Figure:
    """Loss above, validation scores below, by epoch; the epoch of the lowest `val/loss` marked.

    Args:
        history: a run's `metrics.csv`: `epoch`, and any of `train/loss`, `val/loss`, `val/accuracy`, `val/uar`,
            `val/macro_f1`. An epoch may take several rows, each with a part of the values.
    """
    finite = history.replace([np.inf, -np.inf], np.nan)  # a diverged epoch leaves a gap
    epochs = finite.groupby("epoch").last()  # the last value of an epoch that is there
    figure, (losses, scores) = _figure(3.4, rows=2)
    _curves(losses, epochs, {"train/loss": ("training", GREY, "o--"), "val/loss": ("validation", BLUE, "s-")})
    curves = {"val/accuracy": ("accuracy", BLUE, "o-"), "val/uar": ("UAR", ORANGE, "s--")}
    _curves(scores, 100 * epochs, curves | {"val/macro_f1": ("macro-F1", GREEN, "^:")})
    losses.update_datalim([(epochs.index.min(), 0)])  # so that the margin above is a share of all that is seen
    losses.set(ylabel="cross-entropy", ylim=(0, None))
    if "val/loss" in epochs and epochs["val/loss"].notna().any():
        best = int(epochs.index[int(epochs["val/loss"].argmin())])
        losses.axvline(best, color="black", linewidth=0.8, linestyle=":", zorder=1, label=f"best epoch {best}")
        scores.axvline(best, color="black", linewidth=0.8, linestyle=":", zorder=1)
    scores.set(xlabel="epoch", ylabel="validation score (%)", ylim=(0, 100))
    scores.set_xlim(epochs.index.min() - 0.5, epochs.index.max() + 0.5)
    scores.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    for axes in (losses, scores):
        if axes.lines:
            _legend(axes, 3)
    return figure


@in_style
def save(figure: Figure, path: str | Path) -> list[Path]:
    """Write `<path>.png` (300 dpi) and `<path>.pdf`, each whole or not at all; equal figures give equal bytes."""
    written = []
    for kind, metadata in (("png", None), ("pdf", {"CreationDate": None})):
        file = Path(f"{path}.{kind}")
        with replacing(file) as scratch:
            figure.savefig(scratch, format=kind, metadata=metadata)
        figure.set_layout_engine("none")  # it is laid out now, and to do it again takes as long as to draw it
        written.append(file)
    return written


def draw_all(predictions: pd.DataFrame, folder: str | Path) -> list[Path]:
    """Draw and save all that can be seen in predictions; the files written."""
    drawn = (confusion_matrix, per_emotion, per_actor)
    return [file for draw in drawn for file in save(draw(predictions), Path(folder, draw.__name__))]


def redraw(csv_path: str | Path, out_folder: str | Path) -> list[Path]:
    """Draw all figures again from `test_results.csv` alone; the files written."""
    return draw_all(read(csv_path), out_folder)


def _figure(height: float, rows: int = 1) -> tuple[Figure, Any]:
    """A figure of a column's width, and its axes: one, or an array `(rows,)` that share their x."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, sharex=True)


def _percent_axis(axes: Axes, label: str) -> None:
    axes.set(xlim=(0, 100), xlabel=label)
    axes.grid(axis="x")


def _curves(axes: Axes, epochs: pd.DataFrame, curves: dict[str, tuple[str, str, str]]) -> None:
    """Draw those columns that hold values, as (label, colour, marker and line)."""
    for column, (label, colour, style) in curves.items():
        if column in epochs and epochs[column].notna().any():
            values = epochs[column].dropna()
            # A line through a single epoch can't be seen, a marker at each of many hides the line.
            shape = style[0] if len(values) == 1 else style[1:]
            axes.plot(values.index, values, shape, color=colour, markerfacecolor="none", label=label)
    axes.grid(axis="y")


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)
