from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ser.features import audio
from ser.features.resample import FINEST, _matrix, _ratio, resample

USUAL = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 176400, 192000]


def sine(hertz: float, rate: int, samples: int) -> Tensor:
    return torch.sin(2 * math.pi * hertz / rate * torch.arange(samples, dtype=torch.float64)).float()


@pytest.mark.parametrize("target", [16000, 24000, 48000])
@pytest.mark.parametrize("rate", USUAL)
@pytest.mark.parametrize("samples", [0, 1, 100, 4801])
def test_it_is_that_of_torchaudio(rate: int, target: int, samples: int) -> None:
    from torchaudio.functional import resample as reference

    wave = torch.rand(samples, generator=torch.Generator().manual_seed(0)) - 0.5
    expected = reference(wave, rate, target) if samples else wave
    torch.testing.assert_close(resample(wave, rate, target), expected, atol=2e-5, rtol=0)


@given(st.integers(audio.RATES[0], audio.RATES[-1]), st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000]))
def test_any_rate_has_a_small_filter_and_nearly_the_right_time(rate: int, target: int) -> None:
    ratio = _ratio(rate, target)
    assert max(ratio.numerator, ratio.denominator) <= FINEST
    assert float(ratio) == pytest.approx(target / rate, rel=6e-4)


def test_usual_rates_are_exact() -> None:
    assert all(_ratio(rate, target) * rate == target for rate in USUAL for target in (16000, 24000, 48000))


@pytest.mark.parametrize(("rate", "decibel"), [(44101, -35), (48001, -20), (12345, -45), (383999, -35)])
def test_a_tone_at_an_odd_rate_stays_that_tone(rate: int, decibel: float) -> None:
    found = resample(sine(1000.0, rate, rate), rate, 16000)
    assert len(found) == pytest.approx(16000, abs=2)
    ideal = sine(1000.0, 16000, len(found))
    error = (found - ideal)[200:-200].square().mean() / ideal.square().mean()
    assert 10 * error.log10() < decibel
    assert found[200:-200].square().mean().sqrt() == pytest.approx(math.sqrt(0.5), rel=1e-3)


@pytest.mark.parametrize(("rate", "target"), [(44101, 16000), (4001, 48000), (383999, 16000), (15971, 16000)])
def test_the_filter_of_an_odd_rate_takes_little_memory(rate: int, target: int) -> None:
    given, taken = _ratio(rate, target).as_integer_ratio()
    assert _matrix(taken, given)[0].nbytes < 5_000_000


def test_a_rate_that_can_hardly_be_told_from_the_target_is_the_target() -> None:
    wave = sine(1000.0, 15999, 15999)
    assert torch.equal(resample(wave, 15999, 16000), wave)
