"""Predictions and training history → figures for a paper; everything drawn from the CSV files of a run alone.

Single-column width, at least 7 pt, the colours of Okabe and Ito (doi:10.1038/nmeth.1618), and no meaning by colour
alone. Figures are plain `Figure` objects: no pyplot, so no display is needed and nothing stays behind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
import pandas as pd

from ser import metrics, tables
from ser.predictions import read
from ser.table import EMOTIONS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

WIDTH = 3.4
"""A column of a two-column page, in inches."""

BLUE, ORANGE, GREEN, VERMILLION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"

STYLE: dict[RcKeyType, Any] = {
    "font.size": 8,
    "axes.labelsize": 8,
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
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType: text in the PDF stays text, as publishers ask
}

P = ParamSpec("P")


def _in_style(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


@_in_style
def confusion_matrix(predictions: pd.DataFrame) -> Figure:
    """Counts in the cells, zeros left blank; the colour is the share of the row, so the diagonal shows recall.

    Emotions that neither occur nor are predicted are left out; a row without utterances is grey.
    """
    counts = metrics.confusion(predictions["emotion"], predictions["predicted"])
    here = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    counts, names = counts[np.ix_(here, here)], [EMOTIONS[i] for i in here]
    total = counts.sum(axis=1, keepdims=True)
    share = np.where(total > 0, 100 * counts / np.maximum(total, 1), np.nan)
    figure, axes = _figure(2.75)
    figure.set_layout_engine("compressed")  # the colour bar as high as the square matrix
    from matplotlib.colors import LinearSegmentedColormap

    # One hue by lightness alone: read alike by all eyes and on a grey printer.
    colours = LinearSegmentedColormap.from_list("white to blue", ["#FFFFFF", BLUE, "#00304B"]).with_extremes(
        bad="#DDDDDD"
    )
    image = axes.imshow(np.ma.masked_invalid(share), cmap=colours, vmin=0, vmax=100)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            white = share[row, column] > 40
            axes.text(column, row, str(count), ha="center", va="center", color="white" if white else "black", size=7)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.spines[:].set(visible=True, color=GREY)
    axes.set(xlabel="predicted emotion", ylabel="true emotion")
    bar = figure.colorbar(image, ax=axes, aspect=25, label="share of the true emotion (%)")
    bar.outline.set_visible(False)
    return figure


@_in_style
def per_emotion(predictions: pd.DataFrame) -> Figure:
    """Recall, precision and F1 of the emotions that occur or are predicted; "n/a" where one is not defined.

    Behind its name stands how often an emotion occurs.
    """
    table = tables.per_emotion(predictions).dropna(subset="f1").reset_index(drop=True)
    figure, axes = _figure(0.7 + 0.36 * len(table))
    bars = {"recall": BLUE, "precision": ORANGE, "f1": "#B0B0B0"}
    for i, (score, colour) in enumerate(bars.items()):
        at = np.arange(len(table)) + 0.27 * (i - 1)
        axes.barh(at, 100 * table[score].fillna(0), 0.25, color=colour, label="F1" if score == "f1" else score)
        for y in at[table[score].isna()]:
            axes.text(1, y, "n/a", va="center", color=GREY, size=7)
    axes.set_yticks(range(len(table)), [f"{row.emotion} ({row.support})" for row in table.itertuples()])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    _percent_axis(axes, "score (%)")
    _legend(axes, 3)
    return figure


@_in_style
def per_actor(predictions: pd.DataFrame) -> Figure:
    """Accuracy of every actor, best first, sex by colour and shape, with the mean over actors and chance."""
    table = tables.per_actor(predictions).sort_values(["accuracy", "actor"], ascending=[False, True])
    table["row"] = range(len(table))
    figure, axes = _figure(0.95 + 0.15 * max(len(table), 3))
    for sex, colour, marker in (("female", VERMILLION, "o"), ("male", BLUE, "s")):
        of_sex = table[table["sex"] == sex]
        if len(of_sex):
            label = f"{sex} (mean {100 * of_sex['accuracy'].mean():.1f})"
            axes.plot(100 * of_sex["accuracy"], of_sex["row"], marker, color=colour, label=label, clip_on=False)
    mean, chance = 100 * table["accuracy"].mean(), 100 / len(EMOTIONS)
    axes.axvline(mean, color="black", linewidth=0.8, zorder=1, label=f"mean {mean:.1f}")
    axes.axvline(chance, color=GREY, linewidth=0.8, linestyle="--", zorder=1, label=f"chance {chance:.1f}")
    axes.set_yticks(range(len(table)), table["actor"])
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("actor")
    _percent_axis(axes, "accuracy (%)")
    _legend(axes, 2)
    return figure


@_in_style
def learning_curves(history: pd.DataFrame) -> Figure:
    """Loss above, validation scores below, by epoch; the epoch of the lowest `val/loss` marked.

    Args:
        history: the logger's `metrics.csv`: `epoch`, and any of `train/loss`, `val/loss`, `val/accuracy`, `val/uar`,
            `val/macro_f1`. An epoch may take several rows, each with a part of the values.
    """
    from matplotlib.ticker import MaxNLocator

    epochs = history.groupby("epoch").last()  # the last value of an epoch that is there
    figure, (losses, scores) = _figure(3.6, rows=2)
    _curves(losses, epochs, {"train/loss": ("training", GREY, "o--"), "val/loss": ("validation", BLUE, "s-")})
    curves = {"val/accuracy": ("accuracy", BLUE, "o-"), "val/uar": ("UAR", ORANGE, "s--")}
    _curves(scores, 100 * epochs, curves | {"val/macro_f1": ("macro-F1", GREEN, "^:")})
    if "val/loss" in epochs and epochs["val/loss"].notna().any():
        best = int(epochs.index[int(epochs["val/loss"].argmin())])
        losses.axvline(best, color="black", linewidth=0.8, linestyle=":", zorder=1, label=f"best epoch {best}")
        scores.axvline(best, color="black", linewidth=0.8, linestyle=":", zorder=1)
    losses.set_ylabel("cross-entropy")
    losses.set_ylim(bottom=0)
    scores.set(xlabel="epoch", ylabel="validation score (%)", ylim=(0, 100))
    scores.set_xlim(epochs.index.min() - 0.5, epochs.index.max() + 0.5)
    scores.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    for axes in (losses, scores):
        if axes.lines:
            _legend(axes, 3)
    return figure


def save(figure: Figure, path: str | Path) -> list[Path]:
    """Write `<path>.png` (300 dpi) and `<path>.pdf`; equal figures give equal bytes."""
    import matplotlib

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = [path.with_name(f"{path.name}.{kind}") for kind in ("png", "pdf")]
    with matplotlib.rc_context(STYLE):
        for file in written:
            figure.savefig(file, metadata={"CreationDate": None} if file.suffix == ".pdf" else None)
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
    from matplotlib.figure import Figure

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
