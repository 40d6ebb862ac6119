"""Pitch from the autocorrelation of every frame, after Boersma (1993), read off the power spectrum."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

REFERENCE = 27.5  # Hz; pitch is in semitones above this A
BAND = 2000.0  # Hz; pitch is searched below, where voices are periodic
LAGS = 10000.0  # Hz; how densely the autocorrelation is sampled: a parabola must fit its peaks
OCTAVE_COST = 0.02  # a period must beat one of half its length by this much; Boersma's default is 0.01
DRIFT_COST = 0.15  # of a candidate an octave away from the clip's own median, when pitch is picked the second time
FLOOR = 1e-10  # power that counts as silence, full scale being 1: -100 dB


def track(power: Tensor, window: int, rate: int, f0_min: float, f0_max: float, sure: float) -> tuple[Tensor, Tensor]:
    """Pitch in semitones re 27.5 Hz and autocorrelation at the period, `(frame,)` each.

    A second pass picks again with the clip's median as a guide, which fixes most octave errors.

    Args:
        power: `(frame, bin)`, of frames under a Hann window padded to hold the longest period as well.
        window: samples of a frame, at `rate` Hz.
        f0_min, f0_max: Hz.
        sure: the autocorrelation from which a frame has a say in the median.
    """
    shortest, longest = int(LAGS / f0_max), math.ceil(LAGS / f0_min)
    basis = _basis(window, power.shape[1], rate, longest)
    correlation = power[:, : len(basis)] @ basis
    correlation = correlation / correlation[:, :1].clamp(min=FLOOR)
    candidates = correlation[:, shortest - 1 :]
    before, centre, after = candidates[:, :-2], candidates[:, 1:-1], candidates[:, 2:]
    octaves = torch.log2(torch.arange(shortest, longest + 1) * (f0_min / LAGS))
    score = torch.where((centre >= before) & (centre > after), centre, 0.0) - OCTAVE_COST * octaves
    first = score.argmax(1)
    trusted = centre.gather(1, first[:, None])[:, 0] > sure
    if trusted.any():
        score -= DRIFT_COST * (octaves - octaves[first[trusted]].median()).abs()
    lag = score.argmax(1, keepdim=True)
    low, top, high = (part.gather(1, lag)[:, 0] for part in (before, centre, after))
    bend = (low - 2 * top + high).clamp(max=-1e-6)
    offset = (0.5 * (low - high) / bend).clamp(-0.5, 0.5)
    frequency = LAGS / (lag[:, 0] + shortest + offset)
    return 12 * torch.log2(frequency / REFERENCE), (top - 0.25 * (low - high) * offset).clamp(0, 1)


def fft_size(window: int, rate: int, f0_min: float) -> int:
    """Samples of a transform with room for the longest period: the autocorrelation must not wrap around."""
    return int(2 ** math.ceil(math.log2(window + rate / f0_min + 2)))


@lru_cache
def _basis(window: int, bins: int, rate: int, longest: int) -> Tensor:
    """From power to autocorrelation, `(bin, lag)`: the cosines of the bins below `BAND` at lags 0 to `longest` + 1.

    The autocorrelation of a windowed frame is divided by the window's own (Boersma's equations 7 and 8). Without the
    highs, which a raised cosine fades out, it is smooth, so a peak between two samples is found as high as it is.
    """
    size = 2 * (bins - 1)
    hertz = torch.arange(bins, dtype=torch.float64) * rate / size
    hertz = hertz[hertz < BAND]
    fade = torch.cos(hertz * (math.pi / 2 / BAND)).square() * 2 / size
    fade[0] /= 2  # every other bin stands for its negative frequency, too
    lag = torch.arange(longest + 2, dtype=torch.float64) / LAGS
    share = (lag * rate / window).clamp(max=1)  # of the window; what follows is its autocorrelation, in closed form
    turn = 2 * math.pi * share
    own = (1 - share) * (2 / 3 + torch.cos(turn) / 3) + torch.sin(turn) / (2 * math.pi)
    return (fade[:, None] * torch.cos(2 * math.pi * hertz[:, None] * lag) / own.clamp(min=1e-3)).float()
