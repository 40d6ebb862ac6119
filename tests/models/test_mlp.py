from __future__ import annotations

import pytest
import torch

from ser.errors import ConfigError
from ser.models.mlp import MLP


def test_one_vector_to_logits() -> None:
    model = MLP((10,), 8, hidden=[16, 12], dropout=0.5, input_dropout=0.1)
    assert model(torch.randn(4, 10)).shape == (4, 8)
    assert [layer.out_features for layer in model if isinstance(layer, torch.nn.Linear)] == [16, 12, 8]


def test_without_a_hidden_layer_it_is_linear() -> None:
    model = MLP((10,), 8, hidden=[], dropout=0.5, input_dropout=0.0)
    x, y = torch.randn(2, 3, 10)
    torch.testing.assert_close(model(x + y) - model(y), model(x) - model(torch.zeros(3, 10)))


def test_it_learns() -> None:
    torch.manual_seed(0)
    model, y = MLP((10,), 8, hidden=[32], dropout=0.1, input_dropout=0.0), torch.arange(64) % 8
    x = torch.randn(64, 10) + 3 * torch.nn.functional.one_hot(y, 10)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert (model.eval()(x).argmax(1) == y).float().mean() > 0.9


def test_frames_are_refused() -> None:
    with pytest.raises(ConfigError, match="one vector an utterance, not 3 x 64 x 352"):
        MLP((3, 64, 352), 8, hidden=[16], dropout=0.5, input_dropout=0.0)
