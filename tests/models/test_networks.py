"""What the networks of `conf/model` that take frames have in common, built as their YAMLs say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT
from omegaconf import OmegaConf
from torch import Tensor, nn

from ser.build import build
from ser.errors import ConfigError
from ser.models import pooling

NAMES = ("cnn_attention", "crnn", "resnet", "transformer")
FROZEN = {
    "cnn_attention": (999.95693, [-0.020115, -0.044633, 0.064967, -0.020063, 0.029166, -0.036999, 0.007822, -0.062544]),
    "crnn": (115.22975, [0.06923, 0.243304, -0.10399, -0.037903, -0.09261, 0.331248, 0.212609, 0.090989]),
    "resnet": (860.13384, [0.018452, 0.082462, 0.070499, 0.010505, -0.018608, 0.045012, 0.085487, -0.060752]),
    "transformer": (1186.80978, [-1.034416, -0.164854, 0.467421, -0.031553, -1.176481, 0.58677, -0.142605, -0.167131]),
}
"""The sum of the initial weights, and the logits of one utterance."""


def network(name: str, shape: tuple[int, int], **settings: Any) -> nn.Module:
    torch.manual_seed(0)
    given = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "model" / f"{name}.yaml")["net"])
    return build(given | settings, shape=shape, classes=8)


def spectrograms(batch: int, mel: int, frames: int) -> Tensor:
    """Inputs with the strides that gathered frames have."""
    return torch.randn(batch, frames, mel, generator=torch.Generator().manual_seed(1)).mT


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small(name: str) -> None:
    assert 200_000 < sum(value.numel() for value in network(name, (64, 128)).parameters()) < 600_000


@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize(("mel", "frames"), [(64, 32), (64, 128), (41, 33), (80, 131)])
@pytest.mark.parametrize("name", NAMES)
def test_any_size_and_length_becomes_logits(name: str, mel: int, frames: int, mixed: bool) -> None:
    model, x = network(name, (mel, frames)), spectrograms(3, mel, frames)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        logits = model(x, torch.tensor([1, frames // 2, frames]))
    assert logits.shape == (3, 8)
    logits.float().square().sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_after_an_utterance_is_not_seen(name: str) -> None:
    model, x, lengths = network(name, (64, 256)).eval(), spectrograms(2, 64, 256), torch.tensor([64, 256])
    other = x.clone()
    other[0, :, 160:] = 30.0  # further away than convolutions reach
    seen, unseen = model(x, lengths), model(other, lengths)
    torch.testing.assert_close(seen, unseen)
    assert not torch.allclose(model(x, lengths.flip(0))[0], seen[0])


@pytest.mark.parametrize("name", NAMES)
def test_it_takes_the_type_of_its_weights(name: str) -> None:
    model, x = network(name, (64, 32)).double(), spectrograms(2, 64, 32).double()
    assert model(x, torch.tensor([20, 32])).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_initial_weights_and_result_are_frozen(name: str) -> None:
    model, x = network(name, (64, 32)).eval(), spectrograms(2, 64, 32)
    total, expected = FROZEN[name]
    assert sum(float(value.detach().double().sum()) for value in model.parameters()) == pytest.approx(total, abs=1e-4)
    assert model(x, torch.tensor([20, 32]))[0].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_learns_a_handful_of_utterances_by_heart(name: str) -> None:
    model = network(name, (64, 32), dropout=0.0)
    x, y, lengths = spectrograms(16, 64, 32), torch.arange(16) % 8, torch.arange(17, 33)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, lengths), y)
        loss.backward()
        optimizer.step()
    assert loss < 0.2


@pytest.mark.parametrize("name", NAMES)
def test_one_vector_per_utterance_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"(?s)not 88 x 1 .*features=mel"):
        network(name, (88, 1))


def test_attentive_statistics_are_a_weighted_mean_and_deviation() -> None:
    torch.manual_seed(0)
    pool, x, inside = pooling.AttentiveStatistics(5, 4), torch.randn(2, 5, 7), torch.ones(2, 7, dtype=torch.bool)
    nn.init.zeros_(pool.attention.score[2].weight)  # every frame counts as much
    torch.testing.assert_close(pool(x, inside), torch.cat((x.mean(2), x.std(2, correction=0)), 1))
    inside[0, 3:] = False
    torch.testing.assert_close(pool(x, inside)[0, :5], x[0, :, :3].mean(1))
    torch.testing.assert_close(pooling.mean(x, inside)[0], x[0, :, :3].mean(1))


def test_a_frame_that_is_in_part_of_the_utterance_counts() -> None:
    inside = pooling.within(torch.tensor([1, 8, 9, 32]), frames=4, stride=8)
    assert inside.sum(1).tolist() == [1, 1, 2, 4]
