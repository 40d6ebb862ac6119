"""Predictions and training history → figures for a paper; everything drawn from the CSV files of a run alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ser.atomic import replacing
from ser.results import metrics, style, tables
from ser.results.predictions import class_pairs, read
from ser.results.style import BLUE, GREEN, GREY, ORANGE, VERMILLION
from ser.utterances import labels_of

MARKERS = {"female": (VERMILLION, "o"), "male": (BLUE, "s")}
"""Colour and shape by sex."""

MOST_NAMED = 55
"""The most speakers that are named."""


@style.in_style
def confusion_matrix(predictions: pd.DataFrame) -> Figure:
    """The share of its row in every cell, as percentage and colour, above the count; a zero is left blank.

    The diagonal shows recall. Emotions that neither occur nor are predicted are left out; a row without utterances is
    grey.
    """
    import seaborn

    counts = metrics.confusion(*class_pairs(predictions))
    here = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    names, counts = [labels_of(predictions)[i] for i in here], counts[np.ix_(here, here)]
    share = metrics.shares(counts)
    side = max(2.4, 0.3 * len(names))  # a cell holds "100%"
    figure, axes = style.page(side + 1.3, side + 1)
    seaborn.heatmap(share, cmap="Blues", vmin=0, vmax=1, cbar=False, square=True, linewidths=0.5, ax=axes)
    for row, column in zip(*counts.nonzero(), strict=True):
        colour = ink(share[row, column])
        percent = f"{np.floor(100 * share[row, column] + 0.5):.0f}%"  # a half goes up, not to the even number
        axes.text(column + 0.5, row + 0.5, percent, ha="center", va="bottom", size=7, color=colour)
        axes.text(column + 0.5, row + 0.54, str(counts[row, column]), ha="center", va="top", size=6, color=colour)
    axes.set_facecolor("#DDDDDD")
    axes.set_xticks(axes.get_xticks(), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(axes.get_yticks(), names, rotation=0)
    axes.tick_params(length=0)
    axes.set(xlabel="predicted emotion", ylabel="true emotion", title="share of the true emotion, utterances beneath")
    return figure


def ink(share: float) -> str:
    """The colour of text on a cell of the confusion matrix: a contrast of at least 4.5:1, as WCAG 2.1 asks."""
    return "white" if share > 0.715 else "black"


@style.in_style
def per_emotion(predictions: pd.DataFrame) -> Figure:
    """Recall, precision and F1 of the emotions that occur or are predicted; "n/a" where one is not defined.

    The number after an emotion's name is how often it occurs.
    """
    table = tables.per_emotion(predictions).dropna(subset="f1")
    figure, axes = style.page(0.7 + 0.3 * max(len(table), 3))
    # Dark, middle and light: the bars differ on a grey printer too.
    for i, (score, colour) in enumerate({"recall": BLUE, "precision": ORANGE, "f1": "#C8C8C8"}.items()):
        at = np.arange(len(table)) + 0.27 * (i - 1)
        axes.barh(at, 100 * table[score].fillna(0), 0.25, color=colour, label="F1" if score == "f1" else score)
        for y in at[table[score].isna()]:
            axes.text(1, y, "n/a", va="center", color=GREY, size=7)
    style.rows(axes, [f"{row.emotion} ({row.support})" for row in table.itertuples()], "emotion (utterances)")
    axes.set(xlim=(0, 100), xlabel="score (%)")
    style.legend(axes, 3)
    return figure


@style.in_style
def per_speaker(predictions: pd.DataFrame) -> Figure:
    """Accuracy of every speaker, best first, with the mean over speakers and chance.

    Chance is that of guessing evenly among the labels that occur in the truth, 1 / their number. Sex is told by colour
    and shape. More speakers than have room on a page are not named.
    """
    table = tables.per_speaker(predictions).sort_values(["accuracy", "speaker"], ascending=[False, True])
    table = table.assign(row=range(len(table)), percent=100 * table["accuracy"])
    figure, axes = style.page(0.95 + 0.15 * min(max(len(table), 3), MOST_NAMED))
    for sex, of_sex in table.groupby("sex"):
        colour, marker = MARKERS.get(str(sex), (GREY, "D"))
        label = f"{sex or 'unknown'!s} (mean {of_sex['percent'].mean():.1f}%)"
        axes.plot(of_sex["percent"], of_sex["row"], marker, color=colour, label=label, clip_on=False)
    mean, chance = table["percent"].mean(), 100 / predictions["emotion"].nunique()
    axes.axvline(mean, color="black", linewidth=0.8, zorder=1, label=f"mean {mean:.1f}%")
    axes.axvline(chance, color=GREY, linewidth=0.8, linestyle="--", zorder=1, label=f"chance {chance:.1f}%")
    style.rows(axes, table["speaker"].tolist(), "speaker")
    if len(table) > MOST_NAMED:
        axes.set_yticks([])
    axes.grid(axis="y")
    axes.set(xlim=(0, 100), xlabel="accuracy (%)")
    style.legend(axes, 2)
    return figure


@style.in_style
def learning_curves(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss above, validation scores below, by epoch, and the best epoch as a line; without validation, the loss.

    Args:
        history: a run's `metrics.csv`: `epoch`, and any of `train/loss`, `val/loss`, `val/accuracy`, `val/uar`,
            `val/macro_f1`.
        best_epoch: the one whose checkpoint is kept as the best.
    """
    epochs = history.set_index("epoch").replace([np.inf, -np.inf], np.nan)
    if epochs.filter(like="val/").isna().all(axis=None):
        figure, axes = style.page(1.9)
        _curves(axes, epochs, {"train/loss": ("training", GREY, "--")})
        axes.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
        axes.xaxis.get_major_locator().set_params(integer=True)
        return figure
    figure, (losses, scores) = style.page(3.4, rows=2)
    losses.axvline(best_epoch, color="black", linewidth=0.8, linestyle=":", label=f"best epoch {best_epoch}")
    scores.axvline(best_epoch, color="black", linewidth=0.8, linestyle=":")
    _curves(losses, epochs, {"train/loss": ("training", GREY, "--"), "val/loss": ("validation", BLUE, "-")})
    curves = {"val/accuracy": ("accuracy", BLUE, "-"), "val/uar": ("UAR", ORANGE, "--")}
    _curves(scores, 100 * epochs, curves | {"val/macro_f1": ("macro-F1", GREEN, ":")})
    losses.set(ylabel="cross-entropy", ylim=(0, None))
    scores.set(xlabel="epoch", ylabel="validation score (%)", ylim=(0, 100))
    scores.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _curves(axes: Axes, epochs: pd.DataFrame, curves: dict[str, tuple[str, str, str]]) -> None:
    """Draw those columns that are there, as (label, colour, line); a single epoch as a marker."""
    for column, (label, colour, line) in curves.items():
        if column in epochs:
            values = epochs[column].dropna()  # of an epoch that diverged, or was not validated
            shape = line if len(values) > 1 else "o"
            axes.plot(values.index, values, shape, color=colour, label=label, clip_on=False)
    axes.grid(axis="y")
    style.legend(axes, 3)


@style.in_style
def save(figure: Figure, path: str | Path) -> list[Path]:
    """Write `<path>.png` (300 dpi) and `<path>.pdf`, each whole or not at all; equal figures give equal bytes."""
    written = [Path(f"{path}.{kind}") for kind in ("png", "pdf")]
    for file in written:
        with replacing(file) as scratch:
            metadata = {"CreationDate": None} if file.suffix == ".pdf" else None
            figure.savefig(scratch, format=file.suffix[1:], metadata=metadata)
        figure.set_layout_engine("none")  # it is laid out now, and to do it again takes as long as to draw it
    return written


def draw_all(predictions: pd.DataFrame, folder: str | Path) -> list[Path]:
    """Draw and save all that can be seen in predictions; the files written."""
    drawn = (confusion_matrix, per_emotion, per_speaker)
    return [file for draw in drawn for file in save(draw(predictions), Path(folder, draw.__name__))]


def redraw(csv_path: str | Path, out_folder: str | Path) -> list[Path]:
    """Draw all figures again from `test_results.csv` alone; the files written."""
    return draw_all(read(csv_path), out_folder)
