"""torchaudio's resampling of one wave as one matrix product: several times as fast as its convolution on a CPU."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

ROW = 16  # samples that a row of the product gives, at least: with fewer it is slow, with more most factors are 0
AT_ONCE = 1 << 16  # rows of a product, which are in memory one by one though they overlap in the wave
FINEST = 1000  # the largest number in a ratio of rates, so that the filter takes 4 MB at most; usual ones need 640


def resample(wave: Tensor, rate: int, target: int) -> Tensor:
    """Wave `(samples,)` from `rate` to `target` Hz, as `torchaudio.functional.resample` gives it.

    If the ratio of the two needs larger numbers than `FINEST`, as from 44,101 to 16,000 Hz, the nearest ratio is
    taken: time and pitch are off by less than 0.06%, a hundredth of a semitone.
    """
    given, taken = _ratio(rate, target).as_integer_ratio()
    if given == taken or not len(wave):
        return wave
    matrix, width, step = _matrix(taken, given)
    samples = math.ceil(len(wave) * given / taken)
    rows = math.ceil(samples / matrix.shape[1])
    padded = torch.nn.functional.pad(wave, (width, (rows - 1) * step + len(matrix) - width - len(wave)))
    found = torch.empty(rows, matrix.shape[1])
    overlapping = padded.unfold(0, len(matrix), step)
    for part, result in zip(torch.split(overlapping, AT_ONCE), torch.split(found, AT_ONCE), strict=True):
        torch.mm(part, matrix, out=result)
    return found.flatten()[:samples]


def _ratio(rate: int, target: int) -> Fraction:
    """Samples given for samples taken: the fraction of numbers up to `FINEST` that is nearest to the exact one."""
    ratio = Fraction(min(rate, target), max(rate, target)).limit_denominator(FINEST)
    return ratio if target < rate else 1 / ratio


@lru_cache(maxsize=16)
def _matrix(taken: int, given: int) -> tuple[Tensor, int, int]:
    """The filter at every sample of a block, `(in, out)`; how far it reaches back; samples from block to block."""
    from torchaudio.transforms import Resample

    transform = Resample(taken, given)
    kernel = transform.kernel[:, 0].T
    repeats = math.ceil(ROW / given)
    matrix = torch.zeros((repeats - 1) * taken + len(kernel), repeats * given)
    for i in range(repeats):
        matrix[i * taken : i * taken + len(kernel), i * given : (i + 1) * given] = kernel
    return matrix, transform.width, repeats * taken
