"""Augmentations: random, but by the generators that the training step seeds; every one of `conf/augment/`."""

from __future__ import annotations

import math

import pytest
import torch
from conftest import ROOT
from omegaconf import OmegaConf

from ser.augment.augmentation import Augmentation
from ser.augment.chain import Chain
from ser.augment.crop_level import CropLevel
from ser.augment.speed import Speed
from ser.build import build
from ser.errors import ConfigError

CHOICES = {path.stem: build(OmegaConf.to_container(OmegaConf.load(path))) for path in ROOT.glob("conf/augment/*.yaml")}
MIDDLE = torch.full((200,), 0.5)


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_it_depends_on_the_default_generator_alone(name: str) -> None:
    def once(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(seed)
        places = CHOICES[name].places(MIDDLE)
        return places, CHOICES[name](torch.zeros(8, 5, 20), torch.full((8,), 20))

    for one, other in zip(once(3), once(3), strict=True):
        assert torch.equal(one, other)
    different = any(not torch.equal(one, other) for one, other in zip(once(3), once(4), strict=True))
    assert different == (name != "none")


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_places_are_places_and_values_keep_their_shape(name: str) -> None:
    places = CHOICES[name].places(MIDDLE)
    assert ((places >= 0) & (places <= 1)).all()
    x = CHOICES[name](torch.randn(8, 5, 20), torch.randint(1, 21, (8,)))
    assert x.shape == (8, 5, 20)
    assert x.isfinite().all()


def test_crop_level_places_evenly_and_shifts_each_utterance_as_a_whole() -> None:
    torch.manual_seed(0)
    augment = CropLevel(level=4.0)
    places = augment.places(torch.full((10_000,), 0.5))
    assert places.mean().item() == pytest.approx(0.5, abs=0.02)
    shifts = augment(torch.zeros(10_000, 2, 3), torch.full((10_000,), 3))
    assert (shifts == shifts[:, :1, :1]).all()
    assert shifts[:, 0, 0].std().item() == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(("factor", "hertz"), [(0.9, 900), (1.1, 1100)])
def test_speed_changes_time_and_pitch(factor: float, hertz: float) -> None:
    wave = torch.sin(2 * math.pi * 1000 / 16000 * torch.arange(16000))
    changed = Speed(factor)(wave, 16000)
    assert len(changed) == math.ceil(16000 / factor)
    assert float(torch.fft.rfft(changed).abs().argmax()) * 16000 / len(changed) == pytest.approx(hertz, abs=1)
    assert torch.equal(Speed(1.0)(wave, 16000), wave)


@pytest.mark.parametrize("factor", [0.0, 0.4, 2.1, math.nan])
def test_a_speed_that_nobody_speaks_at_is_refused(factor: float) -> None:
    with pytest.raises(ConfigError, match=r"augment\.copies"):
        Speed(factor)


def test_a_chain_takes_its_steps_in_order_and_leaves_vectors_alone() -> None:
    chain = Chain({"one": Times(2.0), "other": CropLevel(level=0.0), "last": Times(3.0)}, {"slow": Speed(0.9)})
    assert (chain(torch.ones(2, 5, 4), torch.full((2,), 4)) == 6).all()
    assert (chain(torch.ones(2, 5, 1), torch.ones(2, dtype=torch.long)) == 1).all()
    assert chain.places(MIDDLE).unique().numel() > 1
    assert chain.versions() == (Speed(0.9),)
    assert Chain().versions() == Augmentation().versions() == ()


class Times(Augmentation):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return x * self.factor
