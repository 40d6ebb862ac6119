"""Augmentations: random, but by the generators that the training step seeds; every one of `conf/augment/`."""

from __future__ import annotations

import pytest
import torch
from conftest import ROOT
from omegaconf import OmegaConf

from ser.augment.crop_level import CropLevel
from ser.build import build

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
