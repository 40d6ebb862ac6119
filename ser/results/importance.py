"""What a model of one vector an utterance listens to: permutation importance of whole families of features.

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
from ser.results import figures, metrics
from ser.utterances import EMOTIONS

REPEATS = 10


def permutation(
    predict: Callable[[Tensor], Tensor], inputs: Tensor, truth: Tensor, families: Sequence[str], seed: int
) -> pd.DataFrame:
    """One row a family, the most important first: `family`, `dimensions`, `drop` and `sd`, as fractions of UAR.

    Args:
        predict: `(utterance, dim)` to logits `(utterance, class)`.
        inputs: `(utterance, dim)`, not trained on.
        truth: `(utterance,)`, class indices.
        families: one name a dimension.
        seed: of the permutations; `drop` is the mean over `REPEATS`, `sd` their standard deviation.
    """
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(inputs), generator=generator).to(inputs.device) for _ in range(REPEATS)]
    names = np.asarray(families)
    whole = _uar(predict(inputs), truth)
    rows = []
    for family in dict.fromkeys(families):
        columns = torch.tensor(np.flatnonzero(names == family), device=inputs.device)
        drops = []
        for order in orders:
            exchanged = inputs.clone()
            exchanged[:, columns] = inputs[order][:, columns]
            drops.append(whole - _uar(predict(exchanged), truth))
        rows.append((family, len(columns), float(np.mean(drops)), float(np.std(drops, ddof=1))))
    table = pd.DataFrame(rows, columns=["family", "dimensions", "drop", "sd"])
    return table.sort_values(["drop", "family"], ascending=[False, True], ignore_index=True)


def write(table: pd.DataFrame, folder: Path) -> None:
    """Write `feature_importance.csv`, and `.png` and `.pdf` drawn from it."""
    write_text(folder / "feature_importance.csv", table.to_csv(index=False, lineterminator="\n"))
    figures.save(draw(pd.read_csv(folder / "feature_importance.csv")), folder / "feature_importance")


@figures.in_style
def draw(table: pd.DataFrame) -> Figure:
    """A bar a family with the standard deviation over permutations; behind its name stands how wide it is."""
    figure = Figure(figsize=(figures.WIDTH, 0.7 + 0.2 * max(len(table), 3)), layout="constrained")
    axes = figure.subplots()
    bars = {"color": figures.BLUE, "ecolor": "black", "error_kw": {"linewidth": 0.8}}
    axes.barh(range(len(table)), 100 * table["drop"], 0.7, xerr=100 * table["sd"], **bars)  # type: ignore[arg-type]
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_yticks(range(len(table)), [f"{row.family} ({row.dimensions})" for row in table.itertuples()])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set(xlabel="UAR lost by permutation (points)", ylabel="family (values)")
    return figure


def _uar(logits: Tensor, truth: Tensor) -> float:
    cells = torch.bincount(truth * len(EMOTIONS) + logits.argmax(1), minlength=len(EMOTIONS) ** 2)
    return metrics.scores_of(cells.view(len(EMOTIONS), len(EMOTIONS)).cpu().numpy())["uar"]
