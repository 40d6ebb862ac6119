from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch import Tensor

from ser.results import importance

FAMILIES = ["pitch", "energy", "energy", "voice quality", "pitch"]
TRUTH = torch.arange(90) % 3


def inputs() -> Tensor:
    """`(utterance, dim, 1)`; the first dimension of energy is the class, the rest is noise."""
    values = torch.randn(90, len(FAMILIES), 1, generator=torch.Generator().manual_seed(0))
    values[:, 1, 0] = TRUTH.float()
    return values


def listens_to_energy(x: Tensor) -> Tensor:
    """Logits `(utterance, 3)`: the class nearest to the first dimension of energy."""
    assert x.shape[1:] == (len(FAMILIES), 1)
    return -(x[:, 1] - torch.arange(3)).abs()


@pytest.fixture
def found() -> pd.DataFrame:
    return importance.permutation(listens_to_energy, inputs(), TRUTH, FAMILIES, classes=3, seed=1)


def test_only_the_family_that_the_model_listens_to_is_important(found: pd.DataFrame) -> None:
    assert found["family"].tolist() == ["energy", "pitch", "voice quality"]
    assert found["dimensions"].tolist() == [2, 2, 1]
    assert found.loc[0, "drop"] == pytest.approx(2 / 3, abs=0.05), "from always right to chance"
    assert found.loc[0, "sd"] > 0
    assert (found.loc[1:, ["drop", "sd"]] == 0).all(axis=None)


def test_dimensions_of_a_family_are_exchanged_together() -> None:
    """A model that hears whether two dimensions agree loses nothing as long as they come from the same utterance."""
    x = inputs()
    x[:, 2] = x[:, 1]

    def agree(x: Tensor) -> Tensor:
        return torch.stack([(x[:, 1] == x[:, 2])[:, 0], (x[:, 1] != x[:, 2])[:, 0]], dim=1).float()

    truth = torch.zeros(90, dtype=torch.int64)
    together = importance.permutation(agree, x, truth, FAMILIES, classes=2, seed=1).set_index("family")
    apart = importance.permutation(agree, x, truth, ["a", "b", "c", "d", "e"], classes=2, seed=1).set_index("family")
    assert together.loc["energy", "drop"] == 0
    assert apart.loc["b", "drop"] > 0.5


def test_seed_decides_the_permutations(found: pd.DataFrame) -> None:
    again, other = (importance.permutation(listens_to_energy, inputs(), TRUTH, FAMILIES, 3, seed) for seed in (1, 2))
    pd.testing.assert_frame_equal(again, found)
    assert other.loc[0, "drop"] != found.loc[0, "drop"]


def test_inputs_are_left_as_they_were() -> None:
    x = inputs()
    importance.permutation(listens_to_energy, x, TRUTH, FAMILIES, 3, 1)
    assert torch.equal(x, inputs())


def test_table_and_pictures_are_written(found: pd.DataFrame, tmp_path: Path) -> None:
    importance.write(found, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"feature_importance.{kind}" for kind in ("csv", "pdf", "png")
    ]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "feature_importance.csv"), found)


def test_a_bar_per_family_is_as_long_as_what_is_lost(found: pd.DataFrame) -> None:
    axes = importance.draw(found).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["energy (2)", "pitch (2)", "voice quality (1)"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(100 * np.array(found["drop"]))


def test_all_that_is_written_on_the_picture_is_within_it(found: pd.DataFrame) -> None:
    figure = importance.draw(found)
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    for text in (axes.xaxis.label, axes.yaxis.label, *axes.get_yticklabels()):
        box = text.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1, text.get_text()
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1, text.get_text()
