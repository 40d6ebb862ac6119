"""The search for a layer, and what a model is told of its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from ser.errors import ConfigError
from ser.models.estimator import Estimator
from ser.models.layers import OneLayer
from ser.models.shape import given


@pytest.mark.parametrize(("depth", "first"), [(0.0, 0), (0.17, 2), (0.5, 6), (0.83, 10), (1.0, 12)])
def test_a_depth_is_a_layer(depth: float, first: int) -> None:
    x = np.arange(28.0).reshape(2, 14)
    assert OneLayer(depth, layers=7).fit(x).transform(x).tolist() == x[:, first : first + 2].tolist()


def test_the_grid_of_depths_is_every_layer_of_seven() -> None:
    x = np.arange(7.0)[None]
    grid = [0.0, 0.17, 0.33, 0.5, 0.67, 0.83, 1.0]  # of conf/model/linear_layer.yaml
    assert [OneLayer(depth, layers=7).fit(x).transform(x).item() for depth in grid] == list(range(7))


def test_no_depth_is_refused() -> None:
    with pytest.raises(ConfigError, match="no depth"):
        OneLayer(1.5, layers=7).fit(np.zeros((2, 14)))


def test_a_search_finds_the_layer_that_tells_and_survives_a_checkpoint() -> None:
    generator = torch.Generator().manual_seed(1)
    truth, groups = torch.arange(80) % 2, torch.arange(80) // 20
    x = torch.randn(80, 5, 3, generator=generator)
    x[:, 3] += 3.0 * truth[:, None]
    rows = x.flatten(1)[..., None]
    pipeline = make_pipeline(OneLayer(), LogisticRegression())
    search = GridSearchCV(pipeline, {"onelayer__depth": [0.0, 0.25, 0.5, 0.75, 1.0]}, cv=GroupKFold(4))
    model = Estimator((15, 1), 2, search, layers=5)
    model.fit(rows, truth, seed=1, groups=groups)
    assert model.fitted[0].layer_ == 3
    again = Estimator((15, 1), 2, search, layers=5)
    again.set_extra_state(model.get_extra_state())
    ones = torch.ones(80, dtype=torch.int64)
    assert torch.equal(again(rows, ones), model(rows, ones))


@dataclass(frozen=True)
class Few:
    silence: float = 0.0
    names: tuple[str, ...] = ("a", "b")
    layers: int = 2

    def __call__(self, wave: torch.Tensor, rate: int) -> torch.Tensor:
        return torch.zeros(1, 2)


def test_a_network_is_told_of_layers_if_it_asks() -> None:
    assert given({}, Few(), 5, 8) == {"shape": (2, 5), "classes": 8}
    assert given({"layers": None}, Few(), 1, 8) == {"shape": (2, 1), "classes": 8, "layers": 2}


@pytest.mark.parametrize("feature", [Few(layers=1), Few])
def test_one_layer_alone_is_no_choice(feature: Any) -> None:
    class Plain:
        names = ("a", "b")

    with pytest.raises(ConfigError, match=r"features\.layer=all"):
        given({"layers": None}, Plain() if feature is Few else feature, 1, 8)
