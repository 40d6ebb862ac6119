"""Random numbers for a copy: the same for the same wave, whichever thread computes it and in whatever order."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor


def generator(wave: Tensor, seed: int) -> torch.Generator:
    """Seeded by the samples of the wave and by `seed`; the copies of two recordings have different noise."""
    return torch.Generator().manual_seed(zlib.crc32(wave.numpy().tobytes(), seed))  # of which it takes 32 bits alone


def between(bounds: Sequence[float], generator: torch.Generator) -> float:
    """Uniform."""
    low, high = bounds
    return low + (high - low) * float(torch.rand((), generator=generator))
