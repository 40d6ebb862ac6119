from __future__ import annotations

import pytest
import torch

from ser.errors import ConfigError
from ser.models.encoder_head import EncoderHead

ONES = torch.ones(64, dtype=torch.int64)


def test_layers_to_logits() -> None:
    model = EncoderHead((30, 1), 8, layers=3, hidden=16, dropout=0.5)
    assert model(torch.randn(4, 30, 1), ONES[:4]).shape == (4, 8)
    assert [layer.in_features for layer in model.head if isinstance(layer, torch.nn.Linear)] == [10, 16]


def test_it_is_the_weighted_sum_of_the_layers() -> None:
    model = EncoderHead((6, 1), 2, layers=3, hidden=4, dropout=0.0)
    torch.nn.init.constant_(model.mixture, 0.0)
    x = torch.arange(6.0)[None, :, None]
    torch.testing.assert_close(model(x, ONES[:1]), model.head(torch.tensor([[2.0, 3.0]])))  # the layers' mean
    model.mixture.data = torch.tensor([0.0, 50.0, 0.0])
    torch.testing.assert_close(model(x, ONES[:1]), model.head(x[:, 2:4, 0]))


def test_it_finds_the_layer_that_tells() -> None:
    torch.manual_seed(1)
    truth = torch.randint(0, 2, (64,))
    x = torch.randn(64, 4, 3)
    x[:, 2] += 4.0 * truth[:, None]
    model = EncoderHead((12, 1), 2, layers=4, hidden=8, dropout=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x.flatten(1)[..., None], ONES), truth).backward()
        optimizer.step()
    assert model.mixture.argmax() == 2


def test_frames_are_refused() -> None:
    with pytest.raises(ConfigError, match="one vector per utterance, not 64 x 352"):
        EncoderHead((64, 352), 8, layers=2, hidden=16, dropout=0.5)
