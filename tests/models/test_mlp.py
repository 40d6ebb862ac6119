from __future__ import annotations

import pytest
import torch

from ser.errors import ConfigError
from ser.models.mlp import MLP

ONES = torch.ones(64, dtype=torch.int64)
"""The lengths of vectors."""


def test_one_vector_to_logits() -> None:
    model = MLP((10, 1), 8, hidden=[16, 12], dropout=0.5, input_dropout=0.1)
    assert model(torch.randn(4, 10, 1), ONES[:4]).shape == (4, 8)
    assert [layer.out_features for layer in model.modules() if isinstance(layer, torch.nn.Linear)] == [16, 12, 8]


def test_without_a_hidden_layer_it_is_linear() -> None:
    model = MLP((10, 1), 8, hidden=[], dropout=0.5, input_dropout=0.0)
    x, y = torch.randn(2, 3, 10, 1)
    ones = ONES[:3]
    torch.testing.assert_close(model(x + y, ones) - model(y, ones), model(x, ones) - model(torch.zeros(3, 10, 1), ones))


def test_it_learns() -> None:
    torch.manual_seed(0)
    model, y = MLP((10, 1), 8, hidden=[32], dropout=0.1, input_dropout=0.0), torch.arange(64) % 8
    x = torch.randn(64, 10, 1) + 3 * torch.nn.functional.one_hot(y, 10)[..., None]
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x, ONES), y).backward()
        optimizer.step()
    assert (model.eval()(x, ONES).argmax(1) == y).float().mean() > 0.9


def test_frames_are_refused() -> None:
    with pytest.raises(ConfigError, match="one vector per utterance, not 64 x 352"):
        MLP((64, 352), 8, hidden=[16], dropout=0.5, input_dropout=0.0)
