"""One vector per utterance: statistics of pitch, voicing, level, mel bands, MFCC and spectral shape."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ser.errors import ConfigError
from ser.features import pitch
from ser.features.pitch import FLOOR
from ser.features.resample import resample
from ser.features.trim import check, trim

STATISTICS = ("mean", "sd", "p05", "p20", "p50", "p80", "p95", "skew", "slope")
QUANTILES = (0.05, 0.2, 0.5, 0.8, 0.95)
SHAPE = ("centroid", "spread", "rolloff25", "rolloff85", "flatness", "flux", "slope", "alpha", "hammarberg")
CONTOUR = ("pitch_semitones", "voicing_harmonicity", "pitch_jitter", "level_shimmer")
TIMING = ("clip_duration", "speech_duration", "voiced_fraction", "voiced_rate", "voiced_length", "peak_rate")


@dataclass(frozen=True)
class Functionals:
    """Statistics of frames of `window` s every `hop` s, over all frames and over the voiced ones.

    Pitch is searched between `f0_min` and `f0_max` Hz; a frame is voiced if its autocorrelation at the period is at
    least `voicing` and it is less than `range_db` below the clip's loudest. Units: semitones re 27.5 Hz for pitch, dB
    for levels, kHz for spectral shape, s for time. `trim_db`: see `ser.features.trim`.

    Raises:
        ConfigError: if a size is not positive.
    """

    silence: ClassVar[float] = 0.0

    sample_rate: int
    window: float
    hop: float
    n_mels: int
    n_mfcc: int
    f0_min: float
    f0_max: float
    voicing: float
    range_db: float
    trim_db: float | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that give no frames."""
        for name in ("sample_rate", "window", "hop", "n_mels", "n_mfcc"):
            if (value := getattr(self, name)) <= 0:
                raise ConfigError(f"{value} is too small", where=f"features.{name}", do="give more than 0")
        check(self.trim_db)

    @property
    def names(self) -> tuple[str, ...]:
        """`family_descriptor_statistic`, one per dimension."""
        whole = ["level_db", "voicing_strength"]
        whole += [f"mel_{band:02d}" for band in range(self.n_mels)]
        whole += [f"{kind}_{number:02d}" for kind in ("mfcc", "delta") for number in range(self.n_mfcc)]
        whole += [f"spectrum_{name}" for name in SHAPE]
        named = [f"{name}_{statistic}" for name in whole for statistic in STATISTICS]
        named += [f"{name}_voiced_{statistic}" for name in (*CONTOUR, *whole) for statistic in STATISTICS]
        return (*named, *(f"timing_{name}" for name in TIMING))

    @property
    def families(self) -> tuple[str, ...]:
        """What each dimension is a statistic of: pitch, voicing, level, mel, mfcc, delta, spectrum or timing."""
        return tuple(name.split("_", 1)[0] for name in self.names)

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """Wave `(samples,)` at `rate` Hz to `(1, dim)` float32, finite whatever the wave."""
        wave = resample(trim(wave, rate, self.trim_db), rate, self.sample_rate)
        size, hop = round(self.window * self.sample_rate), round(self.hop * self.sample_rate)
        frames = F.pad(wave, (0, max(0, size - len(wave)))).unfold(0, size, hop)
        frames = frames - frames.mean(1, keepdim=True)
        level = _decibel(torch.linalg.vector_norm(frames, dim=1).square() / size)
        power = _power(frames.mul_(_window(size)), pitch.fft_size(size, self.sample_rate, self.f0_min))
        semitones, strength = pitch.track(power, size, self.sample_rate, self.f0_min, self.f0_max, sure=self.voicing)
        voiced = (strength > self.voicing) & (level > level.max() - self.range_db) & (level > -90)
        at = voiced.nonzero()[:, 0]
        bands = (power @ _mel_bank(power.shape[1], self.n_mels, self.sample_rate)).clamp(min=FLOOR)
        mel = _decibel(bands)
        mfcc = mel @ _dct(self.n_mels, self.n_mfcc)
        shape = _shape(power, bands, mel, self.sample_rate)
        odds = strength.clamp(1e-3, 0.999)
        harmonicity = 10 * torch.log10(odds / (1 - odds))
        whole = torch.cat((level[:, None], strength[:, None], mel, mfcc, _delta(mfcc), shape), 1)
        contour = torch.stack((semitones, harmonicity, _change(semitones), _change(level)), 1)
        timing = _timing(level, at, len(wave) / self.sample_rate, self.hop)
        return torch.cat((_statistics(whole), _statistics(torch.cat((contour, whole), 1)[at]), timing))[None]


def _power(frames: Tensor, fft_size: int) -> Tensor:
    """`(frame, sample)` to `(frame, bin)`; `abs` would take ten times as long."""
    real, imaginary = torch.view_as_real(torch.fft.rfft(frames, fft_size)).unbind(2)
    return torch.addcmul(real * real, imaginary, imaginary)


def _shape(power: Tensor, bands: Tensor, mel: Tensor, rate: int) -> Tensor:
    """`SHAPE`, `(frame, descriptor)`, of power `(frame, bin)` and of mel bands `(frame, mel)`, power and dB."""
    khz = torch.linspace(0, rate / 2000, power.shape[1])
    below = power.cumsum(1)
    total = below[:, -1:].clamp(min=FLOOR)
    centroid, square = (power @ torch.stack((khz, khz.square()), 1) / total).unbind(1)
    spread = (square - centroid.square()).clamp(min=0).sqrt()
    parts = total * torch.tensor([0.25, 0.85])
    rolloffs = khz[torch.searchsorted(below, parts).clamp(max=len(khz) - 1)].unbind(1)
    ramp = torch.linspace(-1, 1, mel.shape[1])
    slope = mel @ (ramp / ramp.square().sum())
    flatness = mel.mean(1) - _decibel(bands.mean(1))
    root = (bands / bands.sum(1, keepdim=True)).sqrt()
    flux = F.pad(root.diff(dim=0).square().sum(1), (1, 0))
    hum, one, two, five = torch.searchsorted(khz, torch.tensor([0.05, 1.0, 2.0, 5.0])).tolist()
    alpha = _decibel(power[:, hum:one].sum(1)) - _decibel(power[:, one:five].sum(1))
    hammarberg = _decibel(power[:, :two].amax(1)) - _decibel(power[:, two:five].amax(1))
    return torch.stack((centroid, spread, *rolloffs, flatness, flux, slope, alpha, hammarberg), 1)


def _decibel(power: Tensor) -> Tensor:
    return 10 * power.clamp(min=FLOOR).log10()


def _change(contour: Tensor) -> Tensor:
    return F.pad(contour.diff().abs(), (1, 0))


def _delta(values: Tensor) -> Tensor:
    """Slope per frame over two frames to either side, `(frame, dim)`."""
    padded = torch.cat((values[:1], values[:1], values, values[-1:], values[-1:]))
    return (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) / 10


def _statistics(values: Tensor) -> Tensor:
    """`STATISTICS` of each column of `(frame, dim)`, `(dim * statistic,)`; zeros if there are no frames."""
    count, dim = values.shape
    if not count:
        return torch.zeros(dim * len(STATISTICS))
    values = values.T.contiguous()
    mean = values.mean(1)
    centred = values - mean[:, None]
    square = centred.square()
    deviation = square.mean(1).sqrt()
    skew = (square * centred).mean(1) / deviation.clamp(min=1e-5).pow(3)
    place = torch.tensor(QUANTILES) * (count - 1)
    ordered = torch.from_numpy(np.sort(values.numpy(), axis=1))  # torch sorts indices too, and takes ten times as long
    quantiles = torch.lerp(ordered[:, place.floor().long()], ordered[:, place.ceil().long()], place.frac())
    time = torch.linspace(-1, 1, count) if count > 1 else torch.zeros(1)
    slope = centred @ time / time.square().sum().clamp(min=1)
    return torch.cat((torch.stack((mean, deviation), 1), quantiles, torch.stack((skew, slope), 1)), 1).flatten()


def _timing(level: Tensor, at: Tensor, seconds: float, hop: float) -> Tensor:
    """`TIMING` of the level `(frame,)` in dB, the numbers of voiced frames, the clip's length and the hop in seconds.

    A run is a stretch of voiced frames; a peak of the smoothed level counts as a syllable.
    """
    smooth = F.avg_pool1d(level[None], 9, 1, 4, count_include_pad=False)[0]
    summit = F.max_pool1d(smooth[None], 11, 1, 5)[0]
    peaks = int((smooth == summit)[at].sum())
    speech = float(at[-1] - at[0] + 1) * hop if len(at) else 0.0
    runs = int((at.diff() > 1).sum()) + 1 if len(at) else 0
    span, voiced = max(speech, hop), len(at) * hop
    return torch.tensor([seconds, speech, voiced / span, runs / span, voiced / max(runs, 1), peaks / span])


@lru_cache
def _window(size: int) -> Tensor:
    """Hann's, of unit energy, so that a power spectrum needs no division."""
    window = torch.hann_window(size)
    return window / window.square().sum().sqrt()


@lru_cache
def _mel_bank(bins: int, n_mels: int, rate: int) -> Tensor:
    from torchaudio.functional import melscale_fbanks

    return torch.as_tensor(melscale_fbanks(bins, 20.0, rate / 2, n_mels, rate, mel_scale="slaney"))


@lru_cache
def _dct(n_mels: int, n_mfcc: int) -> Tensor:
    from torchaudio.functional import create_dct

    return torch.as_tensor(create_dct(n_mfcc, n_mels, "ortho"))
