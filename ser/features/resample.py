"""torchaudio's resampling of one wave as one matrix product: several times as fast as its convolution on a CPU."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

ROW = 16
"""Samples that a row of the product gives, at least: of fewer, a product is slow; more multiply more zeros."""


def resample(wave: Tensor, rate: int, target: int) -> Tensor:
    """Wave `(samples,)` from `rate` to `target` Hz, as `torchaudio.functional.resample` gives it."""
    if rate == target or not len(wave):
        return wave
    matrix, width, step = _matrix(rate, target)
    samples = math.ceil(len(wave) * target / rate)
    rows = math.ceil(samples / matrix.shape[1])
    padded = torch.nn.functional.pad(wave, (width, (rows - 1) * step + len(matrix) - width - len(wave)))
    return (padded.unfold(0, len(matrix), step) @ matrix).flatten()[:samples]


@lru_cache
def _matrix(rate: int, target: int) -> tuple[Tensor, int, int]:
    """The filter at every sample of a block, `(in, out)`; how far it reaches back; samples from block to block."""
    from torchaudio.transforms import Resample

    divisor = math.gcd(rate, target)
    taken, given = rate // divisor, target // divisor
    transform = Resample(taken, given)
    kernel = transform.kernel[:, 0].T
    repeats = math.ceil(ROW / given)
    matrix = torch.zeros((repeats - 1) * taken + len(kernel), repeats * given)
    for i in range(repeats):
        matrix[i * taken : i * taken + len(kernel), i * given : (i + 1) * given] = kernel
    return matrix, transform.width, repeats * taken
