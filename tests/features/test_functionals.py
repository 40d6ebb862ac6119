from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ser.features import pitch
from ser.features.functionals import STATISTICS, TIMING, Functionals, _statistics

FEATURE = Functionals(
    sample_rate=16000,
    window=0.04,
    hop=0.015,
    n_mels=40,
    n_mfcc=14,
    f0_min=60.0,
    f0_max=600.0,
    voicing=0.45,
    range_db=35.0,
)


def voice(f0: float = 200.0, seconds: float = 1.0, rate: int = 16000, level: float = 0.1) -> Tensor:
    time = torch.arange(int(rate * seconds)) / rate
    return level * sum((torch.sin(2 * torch.pi * f0 * k * time) / k for k in range(1, 13)), torch.zeros(()))


def values(wave: Tensor, rate: int = 16000) -> dict[str, float]:
    return dict(zip(FEATURE.names, FEATURE(wave, rate)[0].tolist(), strict=True))


def test_every_dimension_has_a_name_and_a_family() -> None:
    vector = FEATURE(voice(), 16000)
    assert vector.shape == (1, len(FEATURE.names))
    assert vector.dtype == torch.float32
    assert len(set(FEATURE.names)) == len(FEATURE.names) == len(FEATURE.families)
    assert set(FEATURE.families) == {"pitch", "voicing", "level", "mel", "mfcc", "delta", "spectrum", "timing"}
    assert len(replace(FEATURE, n_mels=20).names) == len(FEATURE.names) - 2 * 20 * len(STATISTICS)


@pytest.mark.parametrize("f0", [70.0, 110.0, 153.0, 220.0, 307.0, 440.0, 530.0])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_known_pitch(f0: float, rate: int) -> None:
    found = values(voice(f0, rate=rate), rate)
    assert 27.5 * 2 ** (found["pitch_semitones_voiced_p50"] / 12) == pytest.approx(f0, rel=0.005)
    assert found["voicing_strength_voiced_p50"] > 0.95
    assert found["timing_voiced_fraction"] == pytest.approx(1.0, abs=0.05)


def test_pitch_follows_a_glide() -> None:
    hertz = torch.linspace(100, 300, 32000)
    phase = 2 * torch.pi * torch.cumsum(hertz / 16000, 0)
    found = values(sum((torch.sin(k * phase) / k for k in range(1, 9)), torch.zeros(())) * 0.1)
    for quantile, share in (("p20", 0.2), ("p50", 0.5), ("p80", 0.8)):
        expected = 100 + 200 * share
        assert 27.5 * 2 ** (found[f"pitch_semitones_voiced_{quantile}"] / 12) == pytest.approx(expected, rel=0.03)
    assert found["pitch_semitones_voiced_slope"] > 0


def test_noise_is_not_voiced() -> None:
    found = values(torch.randn(16000, generator=torch.Generator().manual_seed(0)) * 0.1)
    assert found["timing_voiced_fraction"] * found["timing_speech_duration"] < 0.1


def test_level_is_absolute() -> None:
    loud, soft = values(voice(level=0.1)), values(voice(level=0.01))
    assert loud["level_db_mean"] - soft["level_db_mean"] == pytest.approx(20, abs=0.01)
    assert loud["mel_05_mean"] - soft["mel_05_mean"] == pytest.approx(20, abs=0.1)
    for same in ("pitch_semitones_voiced_mean", "spectrum_centroid_mean", "timing_voiced_fraction"):
        assert loud[same] == pytest.approx(soft[same], rel=0.02)


def test_timing() -> None:
    pause = torch.zeros(8000)
    found = values(torch.cat((pause, voice(), pause, voice(), pause)))
    assert found["timing_clip_duration"] == pytest.approx(3.5)
    assert found["timing_speech_duration"] == pytest.approx(2.5, abs=0.1)
    assert found["timing_voiced_rate"] == pytest.approx(2 / 2.5, abs=0.05)
    assert found["timing_voiced_length"] == pytest.approx(1, abs=0.1)
    assert len(TIMING) == sum(name.startswith("timing_") for name in FEATURE.names)


@pytest.mark.parametrize("samples", [0, 1, 639, 640, 700, 16000])
@pytest.mark.parametrize("kind", ["silence", "constant", "noise", "full scale"])
def test_finite_whatever_the_wave(samples: int, kind: str) -> None:
    noise = torch.rand(samples, generator=torch.Generator().manual_seed(1)) - 0.5
    waves = {"silence": 0 * noise, "constant": 0 * noise + 0.3, "noise": noise, "full scale": noise.sign()}
    for rate in (16000, 48000):
        assert FEATURE(waves[kind], rate).isfinite().all()


def test_statistics() -> None:
    column = torch.tensor([1.0, 5.0, 2.0, 9.0, 4.0])
    found = dict(zip(STATISTICS, _statistics(column[:, None]).tolist(), strict=True))
    assert found["mean"] == pytest.approx(4.2)
    assert found["sd"] == pytest.approx(float(column.std(correction=0)))
    for name, share in (("p05", 0.05), ("p20", 0.2), ("p50", 0.5), ("p80", 0.8), ("p95", 0.95)):
        assert found[name] == pytest.approx(float(column.quantile(share)))
    assert found["skew"] == pytest.approx(float(((column - 4.2) / column.std(correction=0)).pow(3).mean()))
    assert found["slope"] == pytest.approx(2.0)  # from -1 to 1 over the clip: (9 / 2 + 4 - 5 / 2 - 1) / 2.5
    assert _statistics(torch.empty(0, 3)).tolist() == [0.0] * 3 * len(STATISTICS)


def test_the_windows_autocorrelation_is_that_of_a_hann_window() -> None:
    size, window = 1024, torch.hann_window(640, dtype=torch.float64)
    basis = pitch._basis(640, size // 2 + 1, 16000, 100)
    hertz = torch.arange(len(basis)) * 16000 / size
    fade = torch.cos(hertz * (torch.pi / 2 / pitch.BAND)).square() * 2 / size
    fade[0] /= 2
    found = fade[10] * torch.cos(2 * torch.pi * hertz[10] * 90 / pitch.LAGS) / basis[10, 90]
    lag = round(90 / pitch.LAGS * 16000)
    assert float(found) == pytest.approx(float((window[lag:] * window[:-lag]).sum() / window.square().sum()), abs=1e-3)


def test_threads_agree() -> None:
    waves = [voice(f0, 0.5) for f0 in (90.0, 150.0, 220.0, 300.0)] * 3
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda wave: FEATURE(wave, 16000), waves))
    assert all(torch.equal(FEATURE(wave, 16000), values) for wave, values in zip(waves, together, strict=True))
