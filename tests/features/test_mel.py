from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram, Resample

from ser.features.mel import Mel

REFERENCE = Mel(48000, n_fft=1024, hop_length=512, n_mels=64, f_min=0.0, f_max=None, floor_db=-100.0)


def sweep(seconds: float = 0.2, rate: int = 48000) -> Tensor:
    """A tone that glides from 100 Hz to 8 kHz and grows from nothing to full scale."""
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    hertz = 100 * 80 ** (time / seconds)
    return (time / seconds * torch.sin(2 * math.pi * torch.cumsum(hertz / rate, 0))).float()


def noise(samples: int) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(samples)) / 10


@pytest.mark.parametrize("samples", [513, 1024, 9600, 9601])
def test_it_is_torchaudios_spectrogram_in_absolute_db(samples: int) -> None:
    wave = noise(samples)
    values = REFERENCE(wave, 48000)
    power = MelSpectrogram(48000, n_fft=1024, hop_length=512, n_mels=64)(wave)
    torch.testing.assert_close(values, AmplitudeToDB("power")(power).T)
    assert values.shape == (1 + samples // 512, 64)
    assert values.dtype == torch.float32
    assert values.is_contiguous()


def test_a_sweep_is_frozen() -> None:
    values = REFERENCE(sweep(), 48000)
    assert values.shape == (19, 64)
    assert values.argmax(1).tolist() == [2, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16, 18, 21, 24, 28, 31, 35, 38, 42]
    assert values.amax(1)[[1, 9, 17]].tolist() == pytest.approx([21.518, 40.228, 44.209], abs=0.01)
    assert values.mean(0)[[0, 10, 30, 63]].tolist() == pytest.approx([-38.180, -27.183, -48.907, -95.028], abs=0.01)


def test_half_the_amplitude_is_six_db_less_everywhere() -> None:
    wave = noise(4800)
    torch.testing.assert_close(REFERENCE(wave, 48000) - REFERENCE(wave / 2, 48000), torch.full((10, 64), 6.0206))


def test_nothing_is_below_the_floor() -> None:
    silent = REFERENCE(torch.zeros(4800), 48000)
    torch.testing.assert_close(silent, torch.full((10, 64), REFERENCE.silence))
    assert replace(REFERENCE, floor_db=-30.0)(noise(4800) / 100, 48000).min() == pytest.approx(-30.0)


def test_another_rate_is_resampled() -> None:
    wave = sweep(rate=44100)
    torch.testing.assert_close(REFERENCE(wave, 44100), REFERENCE(Resample(44100, 48000)(wave), 48000))
    close = REFERENCE(wave, 44100)[2:-2].amax(1) - REFERENCE(sweep(), 48000)[2:-2].amax(1)
    assert close.abs().max() < 0.5


@pytest.mark.parametrize("rate", [48000, 22050, 96000])
@pytest.mark.parametrize("samples", [0, 1, 100, 512])
def test_a_wave_shorter_than_a_window(samples: int, rate: int) -> None:
    values = REFERENCE(noise(samples), rate)
    assert len(values) >= 2
    assert values.isfinite().all()


def test_bands_stay_between_the_limits() -> None:
    narrow = replace(REFERENCE, f_min=1000.0, f_max=2000.0, n_mels=8)
    assert narrow.names == tuple(f"mel_0{band}" for band in range(8))
    loudest = narrow(sweep(), 48000).amax(1)[:-1]  # the end is abrupt, so it holds every frequency
    glide = 100 * 80 ** (torch.arange(18) * 512 / 9600)
    assert (loudest[(glide > 1000) & (glide < 2000)] > 0).all()
    assert (loudest[(glide < 700) | (glide > 3000)] < -10).all()


def test_threads_agree() -> None:
    waves = [noise(samples) for samples in (3000, 5000, 7000)] * 4
    alone = [REFERENCE(wave, 44100) for wave in waves]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda wave: REFERENCE(wave, 44100), waves))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))
