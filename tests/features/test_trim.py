from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ser.errors import ConfigError
from ser.features.functionals import Functionals
from ser.features.mel import Mel
from ser.features.trim import trim

MEL = Mel(16000, n_fft=512, hop_length=256, n_mels=20, f_min=0.0, f_max=None, floor_db=-100.0)
FUNCTIONALS = Functionals(16000, 0.04, 0.015, 40, 14, 60.0, 600.0, 0.45, 35.0)


def noise(samples: int, level: float = 0.0) -> Tensor:
    wave = torch.rand(samples, generator=torch.Generator().manual_seed(1)) - 0.5
    return wave * 10 ** (level / 20)


def spoken(before: int, after: int, level: float) -> Tensor:
    """Two words and a pause, 0.3 s in all at 16 kHz, between `before` and `after` samples of a level in dB."""
    word, pause = noise(1600), noise(1600, level)
    return torch.cat((noise(before, level), word, pause, word, noise(after, level)))


def test_both_ends_are_cut_and_pauses_stay() -> None:
    assert torch.equal(trim(spoken(3200, 4800, -50.0), 16000, 40.0), spoken(0, 0, -50.0))
    wave = spoken(3200, 4800, -30.0)
    assert torch.equal(trim(wave, 16000, 40.0), wave)
    assert trim(wave, 16000, None) is wave


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(8000, 48000))
def test_at_most_a_window_is_left_at_each_end(before: int, after: int, rate: int) -> None:
    found, size = len(trim(spoken(before, after, -70.0), rate, 40.0)), round(0.01 * rate)
    assert 4800 <= found < 4800 + 2 * size


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 161])
def test_short_and_silent_waves_pass(samples: int) -> None:
    for wave in (noise(samples), torch.zeros(samples)):
        assert torch.equal(trim(wave, 16000, 40.0), wave)


@pytest.mark.parametrize("feature", [MEL, FUNCTIONALS])
def test_features_are_those_of_the_trimmed_wave(feature: Mel | Functionals) -> None:
    wave = spoken(3200, 4800, -50.0)
    trimmed = replace(feature, trim_db=40.0)
    assert torch.equal(trimmed(wave, 16000), feature(spoken(0, 0, -50.0), 16000))
    with pytest.raises(ConfigError, match=r"features\.trim_db"):
        replace(feature, trim_db=0.0)
