"""How figures look: one column of a paper, its text sizes and colours.

Text has 7 pt or more (6 for the counts in the confusion matrix), the colours are those of Okabe and Ito
(doi:10.1038/nmeth.1618), and nothing is told by colour alone. Figures are plain `Figure` objects: no display is needed
and nothing stays behind in pyplot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 3.4
"""A column of a two-column page, in inches."""

BLUE, ORANGE, GREEN, VERMILLION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7F7F7F"

in_style = matplotlib.rc_context(
    {
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
        "lines.linewidth": 1.0,
        "lines.markersize": 4,
        "text.parse_math": False,  # a name may hold dollar signs
        "savefig.dpi": 300,
        "pdf.fonttype": 42,  # TrueType: text in the PDF stays text, as publishers ask
    }
)
"""Decorates what draws or saves, and leaves the settings of others as they were."""


def page(height: float, width: float = WIDTH, rows: int = 1) -> tuple[Figure, Any]:
    """A figure of this size in inches, and its axes: one, or an array `(rows,)` that share their x."""
    figure = Figure(figsize=(width, height), layout="compressed")
    return figure, figure.subplots(rows, sharex=True)


def rows(axes: Axes, names: Sequence[str], label: str) -> None:
    """Make y a list of names, the first on top, with a grid for x."""
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.5, -0.5), ylabel=label)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def legend(axes: Axes, columns: int) -> None:
    """Put a legend above the axes, where it hides nothing; from the right, as names need room on the left."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, borderaxespad=0.2)
