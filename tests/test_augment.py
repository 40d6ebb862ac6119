"""Augmentations: random, but by the generators that the training step seeds; every one of `conf/augment/`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest
import torch
from conftest import ROOT
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from ser.augment.augmentation import Augmentation
from ser.augment.chain import Chain
from ser.augment.crop_level import CropLevel
from ser.augment.noise import Noise
from ser.augment.reverb import Reverb
from ser.augment.specaugment import SpecAugment
from ser.augment.speed import Speed
from ser.augment.vtlp import VTLP
from ser.build import build
from ser.errors import ConfigError
from ser.features.copied import WaveTransform


def composed(choice: str) -> Augmentation:
    import train  # noqa: F401 - registers what the configurations need

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[f"augment={choice}"])
    return build(OmegaConf.to_container(cfg.augment, resolve=True))


NAMES = sorted(path.stem for path in ROOT.glob("conf/augment/*.yaml"))
MIDDLE = torch.full((200,), 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_it_depends_on_the_default_generator_alone(name: str) -> None:
    choice = composed(name)

    def once(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(seed)
        places = choice.places(MIDDLE)
        return places, choice(torch.zeros(8, 5, 20), torch.full((8,), 20))

    for one, other in zip(once(3), once(3), strict=True):
        assert torch.equal(one, other)
    different = any(not torch.equal(one, other) for one, other in zip(once(3), once(4), strict=True))
    assert different == (name != "none")


@pytest.mark.parametrize("name", NAMES)
def test_places_are_places_and_values_keep_their_shape(name: str) -> None:
    choice = composed(name)
    places = choice.places(MIDDLE)
    assert ((places >= 0) & (places <= 1)).all()
    x = choice(torch.randn(8, 5, 20), torch.randint(1, 21, (8,)))
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


def test_choices_can_be_combined() -> None:
    strong, listed = composed("strong"), composed("[speed,reverb,noise,specaugment]")
    assert isinstance(strong, Chain)
    assert strong == listed
    assert list(strong.steps) == ["crop_level", "specaugment"]
    assert list(strong.copies) == ["slower", "faster", "room", "white", "pink"]


def test_every_choice_but_none_places_at_random() -> None:
    assert {name for name in NAMES if composed(name).places(MIDDLE).unique().numel() == 1} == {"none"}


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


WAVE = torch.rand(16000, generator=torch.Generator().manual_seed(1)) - 0.5
WAVES = {
    "white": Noise(1, [10, 30], "white"),
    "pink": Noise(1, [10, 30], "pink"),
    "room": Reverb(1, [0.2, 0.8], [0, 10]),
}


def power(wave: torch.Tensor) -> float:
    return 10 * math.log10(float(wave.square().mean()))


@pytest.mark.parametrize("name", WAVES)
def test_a_copy_depends_on_seed_and_wave_alone(name: str) -> None:
    change = WAVES[name]
    torch.manual_seed(0)
    before, state = WAVE.clone(), torch.get_rng_state()
    once = change(WAVE, 16000)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert torch.equal(change(WAVE, 16000), once)
    assert torch.equal(WAVE, before)
    assert not torch.allclose(replace(change, seed=2)(WAVE, 16000), once)
    assert not torch.allclose(change(WAVE.flip(0), 16000).flip(0), once)


@pytest.mark.parametrize("samples", [1, 2, 800, 16000])
@pytest.mark.parametrize("name", WAVES)
def test_a_copy_is_as_long_and_finite(name: str, samples: int) -> None:
    for wave in (WAVE[:samples], torch.zeros(samples)):
        changed = WAVES[name](wave, 16000)
        assert changed.shape == wave.shape
        assert changed.isfinite().all()


@pytest.mark.parametrize("colour", ["white", "pink"])
def test_noise_is_as_loud_as_asked_for(colour: Literal["white", "pink"]) -> None:
    noise = Noise(1, [12, 12], colour)(WAVE, 16000) - WAVE
    assert power(WAVE) - power(noise) == pytest.approx(12, abs=0.01)
    spectrum = torch.fft.rfft(noise).abs().square()
    octaves = 10 * math.log10(float(spectrum[1000:2000].sum() / spectrum[4000:8000].sum()))
    assert octaves == pytest.approx(-6 if colour == "white" else 0, abs=0.5)


def test_echoes_die_away_at_their_rate_and_keep_the_level() -> None:
    click = torch.zeros(16000)
    click[0] = 0.5
    heard = Reverb(1, [0.4, 0.4], [3, 3])(click, 16000)
    assert power(heard) == pytest.approx(power(click), abs=0.01)
    assert 20 * math.log10(float(heard[0] / torch.linalg.vector_norm(heard[1:]))) == pytest.approx(3, abs=0.01)
    assert power(heard[100:1000]) - power(heard[3300:4200]) == pytest.approx(60 * 0.2 / 0.4, abs=1)


@pytest.mark.parametrize(
    "change", [lambda: Noise(1, [30, 10], "pink"), lambda: Noise(1, [1], "pink"), lambda: Reverb(1, [0, 1], [0, 1])]
)
def test_what_is_no_range_is_refused(change: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match=r"no range\n.*augment\.copies"):
        change()


def test_masks_hide_whole_bands_and_frames_of_the_utterance_by_its_mean() -> None:
    torch.manual_seed(0)
    lengths = torch.randint(10, 41, (500,))
    x = torch.randn(500, 16, 40) + 5
    masked = SpecAugment(frequency=1, bands=4, time=1, share=0.25)(x.clone(), lengths)
    within = torch.arange(40) < lengths[:, None]
    assert torch.equal(masked.mT[~within], x.mT[~within])
    hidden = masked != x
    mean = torch.stack([values[:, :length].mean() for values, length in zip(x, lengths, strict=True)])
    torch.testing.assert_close(masked[hidden], mean[:, None, None].expand_as(x)[hidden])
    bands = (hidden | ~within[:, None]).all(2).sum(1)
    frames = (hidden.all(1)).sum(1)
    assert (bands.min(), bands.max()) == (0, 4)
    assert bands.float().mean().item() == pytest.approx(2, abs=0.2)
    assert (frames <= lengths // 4).all()
    assert torch.equal(hidden.sum((1, 2)), frames * 16 + bands * (lengths - frames))


def test_no_masks_change_nothing() -> None:
    x = torch.randn(3, 16, 40)
    assert torch.equal(SpecAugment(0, 4, 0, 0.5)(x.clone(), torch.tensor([1, 20, 40])), x)
    assert torch.equal(SpecAugment(2, 0, 2, 0.0)(x.clone(), torch.tensor([1, 20, 40])), x)


def test_vtlp_moves_bands_and_keeps_the_lowest_and_the_highest() -> None:
    torch.manual_seed(0)
    ramp = torch.arange(64.0)[None, :, None].expand(200, 64, 3)
    warped = VTLP(spread=0.1, knee=0.8)(ramp.clone(), torch.full((200,), 3))
    torch.testing.assert_close(warped[:, [0, 63]], ramp[:, [0, 63]])
    assert (warped.diff(dim=1) >= 0).all()
    warps = warped[:, 40, 0] / 40
    assert 0.9 <= warps.min() < 0.92
    assert 1.08 < warps.max() <= 1.1
    torch.testing.assert_close(VTLP(spread=0.0, knee=0.8)(ramp.clone(), torch.full((200,), 3)), ramp)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Speed(0.9), [-0.46013, -0.08616, -0.01612]),
        (WAVES["white"], [-0.08924, -0.39035, -0.30738]),
        (WAVES["pink"], [-0.09968, -0.38674, -0.31046]),
        (WAVES["room"], [-0.06285, -0.37012, -0.40555]),
    ],
)
def test_copies_are_frozen(change: WaveTransform, expected: list[float]) -> None:
    assert change(WAVE, 16000)[1000:1003].tolist() == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(
    ("step", "expected"), [(SpecAugment(2, 4, 2, 0.2), 1421628.944), (VTLP(spread=0.1, knee=0.8), 1432839.65)]
)
def test_steps_are_frozen(step: Augmentation, expected: float) -> None:
    torch.manual_seed(0)
    x = torch.linspace(-60, 0, 2 * 20 * 30).view(2, 20, 30)
    assert float(step(x, torch.tensor([20, 30])).double().square().sum()) == pytest.approx(expected, rel=1e-6)
