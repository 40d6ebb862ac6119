"""One vector an utterance: statistics of pitch, voicing, level, mel bands, MFCC and spectral shape.

All frames of a clip are handled at once, from a single short-time Fourier transform.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ser.features.mel import _resampler

STATISTICS = ("mean", "sd", "p05", "p20", "p50", "p80", "p95", "skew", "slope")
QUANTILES = (0.05, 0.2, 0.5, 0.8, 0.95)
SHAPE = ("centroid", "spread", "rolloff25", "rolloff85", "flatness", "flux", "slope", "alpha", "hammarberg")
TIMING = (
    "timing_clip_duration",
    "timing_speech_duration",
    "timing_voiced_fraction",
    "timing_voiced_rate",
    "timing_voiced_length",
    "timing_peak_rate",
)

FLOOR = 1e-10
"""Power that counts as silence, full scale being 1: -100 dB."""

PITCH_BAND = 2000.0
"""Hz; pitch is searched below, where voices are periodic."""

OCTAVE_COST = 0.02
"""A period must beat one of half its length by this much: Boersma (1993), whose default is 0.01."""

DRIFT_COST = 0.15
"""What an octave away from the clip's own median costs a candidate when pitch is picked the second time."""


def family(name: str) -> str:
    """What a dimension is a statistic of: pitch, voicing, level, mel, mfcc, delta, spectrum or timing."""
    return name.split("_", 1)[0]


@dataclass(frozen=True)
class Functionals:
    """Statistics of frames of `window` s every `hop` s, over all frames and over the voiced ones.

    Pitch is searched between `f0_min` and `f0_max` Hz; a frame is voiced if its autocorrelation at the period is at
    least `voicing` and it is less than `range_db` below the clip's loudest. Units: semitones re 27.5 Hz for pitch, dB
    for levels, kHz for spectral shape, s for time.
    """

    sample_rate: int
    window: float
    hop: float
    n_mels: int
    n_mfcc: int
    f0_min: float
    f0_max: float
    voicing: float
    range_db: float

    @property
    def silence(self) -> float:
        """The value of every dimension where no sound is."""
        return 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """`family_descriptor_statistic`, one a dimension."""
        return _names(self)

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """Wave `(samples,)` at `rate` Hz to `(1, dim)` float32, finite whatever the wave."""
        if rate != self.sample_rate and len(wave):
            wave = _resampler(rate, self.sample_rate)(wave)
        size, hop = round(self.window * self.sample_rate), round(self.hop * self.sample_rate)
        seconds = len(wave) / self.sample_rate
        frames = torch.nn.functional.pad(wave, (0, max(0, size - len(wave)))).unfold(0, size, hop)
        frames = frames - frames.mean(1, keepdim=True)
        window, mel_bank, dct = _window(size), _mel_bank(self), _dct(self.n_mels, self.n_mfcc)
        power = torch.fft.rfft(frames * window, _fft_size(self)).abs().square() / window.square().sum()
        level = _decibel(frames.square().mean(1))
        pitch, strength = self._pitch(power)
        voiced = (strength > self.voicing) & (level > level.max() - self.range_db) & (level > -90)
        mel = _decibel(power @ mel_bank)
        mfcc = mel @ dct
        harmonicity = 10 * torch.log10(strength.clamp(1e-3, 0.999) / (1 - strength.clamp(1e-3, 0.999)))
        whole = torch.cat((level[:, None], strength[:, None], mel, mfcc, _delta(mfcc), self._shape(power)), 1)
        contour = torch.stack((pitch, harmonicity, _change(pitch), _change(level)), 1)
        values = (
            _statistics(whole),
            _statistics(torch.cat((contour, whole), 1)[voiced]),
            _timing(level, voiced, seconds, self.hop),
        )
        return torch.cat(values)[None]

    def _pitch(self, power: Tensor) -> tuple[Tensor, Tensor]:
        """Pitch in semitones and autocorrelation at the period, `(frame,)` each, of power `(frame, bin)`.

        The autocorrelation of the windowed frame is divided by the window's own, after Boersma (1993). Without the
        highs it is smooth, so a peak between two samples is found as high as it is. A second pass picks again with the
        clip's median as a guide, which mends most octave errors.
        """
        shortest, longest = int(self.sample_rate / self.f0_max), math.ceil(self.sample_rate / self.f0_min)
        correlation = torch.fft.irfft(power * _lowpass(self))[:, : longest + 2]
        correlation = correlation / correlation[:, :1].clamp(min=FLOOR) * _window_gain(self)[: longest + 2]
        centre, before, after = correlation[:, 1:-1], correlation[:, :-2], correlation[:, 2:]
        peak = (centre >= before) & (centre > after)
        octaves = torch.log2(torch.arange(1, longest + 1) * (self.f0_min / self.sample_rate))
        score = torch.where(peak, centre, 0.0) - OCTAVE_COST * octaves
        score[:, : shortest - 1] = -1.0
        first = score.argmax(1, keepdim=True)
        sure = centre.gather(1, first)[:, 0] > self.voicing
        if sure.any():
            score = score - DRIFT_COST * (octaves - octaves[first[sure, 0]].median()).abs()
        lag = score.argmax(1, keepdim=True)
        low, top, high = (part.gather(1, lag)[:, 0] for part in (before, centre, after))
        bend = (low - 2 * top + high).clamp(max=-1e-6)
        offset = (0.5 * (low - high) / bend).clamp(-0.5, 0.5)
        frequency = self.sample_rate / (lag[:, 0] + 1 + offset)
        return 12 * torch.log2(frequency / 27.5), (top - 0.25 * (low - high) * offset).clamp(0, 1)

    def _shape(self, power: Tensor) -> Tensor:
        """Spectral shape `(frame, descriptor)`, as `SHAPE` names it, of power `(frame, bin)`."""
        khz = torch.linspace(0, self.sample_rate / 2000, power.shape[1])
        share = power / power.sum(1, keepdim=True).clamp(min=FLOOR)
        centroid = share @ khz
        spread = (share @ khz.square() - centroid.square()).clamp(min=0).sqrt()
        below = share.cumsum(1)
        rolloffs = [khz[(below < part).sum(1).clamp(max=len(khz) - 1)] for part in (0.25, 0.85)]
        decibel = _decibel(power)
        flatness = decibel.mean(1) - _decibel(power.mean(1))
        root = share.sqrt()
        flux = torch.nn.functional.pad((root[1:] - root[:-1]).square().sum(1), (1, 0))
        ramp = khz - khz.mean()
        slope = decibel @ (ramp / ramp.square().sum())

        def band(low: float, high: float) -> Tensor:
            return power[:, (khz >= low) & (khz < high)]

        alpha = _decibel(band(0.05, 1).sum(1)) - _decibel(band(1, 5).sum(1))
        hammarberg = _decibel(band(0, 2).amax(1)) - _decibel(band(2, 5).amax(1))
        return torch.stack((centroid, spread, *rolloffs, flatness, flux, slope, alpha, hammarberg), 1)


def _decibel(power: Tensor) -> Tensor:
    return 10 * power.clamp(min=FLOOR).log10()


def _change(contour: Tensor) -> Tensor:
    """Size of the step from the frame before, `(frame,)`."""
    return torch.nn.functional.pad(contour.diff().abs(), (1, 0))


def _delta(values: Tensor) -> Tensor:
    """Slope a frame over two frames to either side, `(frame, dim)`; the ends are repeated."""
    padded = torch.cat((values[:1], values[:1], values, values[-1:], values[-1:]))
    return (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) / 10


def _statistics(values: Tensor) -> Tensor:
    """`STATISTICS` of each column of `(frame, dim)`, `(dim * statistic,)`; zeros if there are no frames."""
    count, dim = values.shape
    if not count:
        return torch.zeros(dim * len(STATISTICS))
    mean = values.mean(0)
    centred = values - mean
    deviation = centred.square().mean(0).sqrt()
    skew = (centred / deviation.clamp(min=1e-5)).pow(3).mean(0)
    place = torch.tensor(QUANTILES) * (count - 1)
    ordered = values.sort(0).values
    quantiles = torch.lerp(ordered[place.floor().long()], ordered[place.ceil().long()], place.frac()[:, None])
    time = torch.linspace(-1, 1, count) if count > 1 else torch.zeros(1)
    slope = time @ centred / time.square().sum().clamp(min=1)
    return torch.stack((mean, deviation, *quantiles, skew, slope), 1).flatten()


def _timing(level: Tensor, voiced: Tensor, seconds: float, hop: float) -> Tensor:
    """What `TIMING` names. A run is a stretch of voiced frames; a peak of the smoothed level stands for a syllable."""
    smooth = torch.nn.functional.avg_pool1d(level[None], 9, 1, 4, count_include_pad=False)[0]
    summit = torch.nn.functional.max_pool1d(smooth[None], 11, 1, 5)[0]
    peaks = ((smooth == summit) & voiced).sum()
    at = voiced.nonzero()[:, 0]
    speech = float(at[-1] - at[0] + 1) * hop if len(at) else 0.0
    runs = int((at.diff() > 1).sum()) + 1 if len(at) else 0
    span = max(speech, hop)
    fraction, length = len(at) * hop / span, len(at) * hop / max(runs, 1)
    return torch.tensor([seconds, speech, fraction, runs / span, length, float(peaks) / span])


def _fft_size(settings: Functionals) -> int:
    """Room for the longest period, so that the autocorrelation does not wrap around."""
    needed = settings.window * settings.sample_rate + settings.sample_rate / settings.f0_min + 2
    return int(2 ** math.ceil(math.log2(needed)))


@lru_cache
def _window(size: int) -> Tensor:
    return torch.hann_window(size)


@lru_cache
def _lowpass(settings: Functionals) -> Tensor:
    """Weight of every bin `(bin,)` in the search for pitch: a raised cosine that ends at `PITCH_BAND`."""
    hertz = torch.linspace(0, settings.sample_rate / 2, _fft_size(settings) // 2 + 1)
    return torch.cos(hertz.clamp(max=PITCH_BAND) * (math.pi / 2 / PITCH_BAND)).square()


@lru_cache
def _window_gain(settings: Functionals) -> Tensor:
    """What the window takes from the autocorrelation at every lag, to be multiplied back."""
    window = _window(round(settings.window * settings.sample_rate))
    own = torch.fft.irfft(torch.fft.rfft(window, _fft_size(settings)).abs().square())
    gain: Tensor = own[0] / own.clamp(min=own[0] * 1e-3)
    return gain


@lru_cache
def _mel_bank(settings: Functionals) -> Tensor:
    from torchaudio.functional import melscale_fbanks

    bins = _fft_size(settings) // 2 + 1
    bank = melscale_fbanks(
        bins, 20.0, settings.sample_rate / 2, settings.n_mels, settings.sample_rate, mel_scale="slaney"
    )
    return torch.as_tensor(bank)


@lru_cache
def _dct(n_mels: int, n_mfcc: int) -> Tensor:
    from torchaudio.functional import create_dct

    return torch.as_tensor(create_dct(n_mfcc, n_mels, "ortho"))


@lru_cache
def _names(settings: Functionals) -> tuple[str, ...]:
    whole = ["level_db", "voicing_strength"]
    whole += [f"mel_{band:02d}" for band in range(settings.n_mels)]
    whole += [f"{kind}_{number:02d}" for kind in ("mfcc", "delta") for number in range(settings.n_mfcc)]
    whole += [f"spectrum_{name}" for name in SHAPE]
    contour = ["pitch_semitones", "voicing_harmonicity", "pitch_jitter", "level_shimmer"]
    named = [f"{name}_{statistic}" for name in whole for statistic in STATISTICS]
    named += [f"{name}_voiced_{statistic}" for name in (*contour, *whole) for statistic in STATISTICS]
    return (*named, *TIMING)
