"""What a model of one vector per utterance listens to: permutation importance of whole families of features.

The values of a family are exchanged between utterances, all its dimensions together, and the score is taken again
(Breiman 2001, doi:10.1023/A:1010933404324). Families are exchanged whole because single dimensions stand in for each
other: without one of a hundred statistics of the same thing nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ser.atomic import write_text
from ser.results import figures, metrics, style

REPEATS = 10


def permutation(
    predict: Callable[[Tensor], Tensor], inputs: Tensor, truth: Tensor, families: Sequence[str], classes: int, seed: int
) -> pd.DataFrame:
    """One row per family, the most important first: `family`, `dimensions`, `drop` and `sd`, as fractions of UAR.

    Args:
        predict: `(utterance, dim, 1)` to scores `(utterance, class)`.
        inputs: `(utterance, dim, 1)`, not trained on.
        truth: class indices, `(utterance,)`.
        families: a name for each dimension.
        classes: how many there are.
        seed: of the permutations; `drop` is the mean over `REPEATS`, `sd` their standard deviation.
    """

    def uar(changed: Tensor) -> float:
        return float(metrics.uar(metrics.confusion(truth.cpu(), predict(changed).argmax(1).cpu(), classes)))

    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(inputs), generator=generator).to(inputs.device) for _ in range(REPEATS)]
    whole, rows = uar(inputs), []
    for family in dict.fromkeys(families):
        columns = torch.tensor([i for i, name in enumerate(families) if name == family], device=inputs.device)
        drops = []
        for order in orders:
            exchanged = inputs.clone()
            exchanged[:, columns] = inputs[order[:, None], columns]
            drops.append(whole - uar(exchanged))
        rows.append((family, len(columns), np.mean(drops), np.std(drops, ddof=1)))
    table = pd.DataFrame(rows, columns=["family", "dimensions", "drop", "sd"])
    return table.sort_values(["drop", "family"], ascending=[False, True], ignore_index=True)


def write(table: pd.DataFrame, folder: Path) -> None:
    """Write `feature_importance.csv`, and `.png` and `.pdf` drawn from it."""
    write_text(folder / "feature_importance.csv", table.to_csv(index=False, lineterminator="\n"))
    figures.save(draw(table), folder / "feature_importance")


@style.in_style
def draw(table: pd.DataFrame) -> Figure:
    """A bar per family with the standard deviation over permutations; its number of dimensions after its name."""
    figure, axes = style.page(0.7 + 0.2 * max(len(table), 5))
    bars = {"color": style.BLUE, "ecolor": "black", "error_kw": {"linewidth": 0.8}}
    axes.barh(range(len(table)), 100 * table["drop"], 0.7, xerr=100 * table["sd"], **bars)
    axes.axvline(0, color="black", linewidth=0.6)
    style.rows(axes, [f"{row.family} ({row.dimensions})" for row in table.itertuples()], "family (dimensions)")
    axes.set(xlabel="UAR lost by permutation (points)")
    return figure
