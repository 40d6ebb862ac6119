"""Mean and standard deviation, fitted on training utterances alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST_DEVIATION, ROUNDING = 1e-5, 1e-6
"""What varies less is not blown up to a deviation of 1; what varies by less of its mean is shifted alone."""


@dataclass(frozen=True)
class Normalisation:
    """`(x - mean) / deviation`; one value for all dimensions, or one for each."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and deviation, float32, to broadcast over a last axis of dimensions."""
        return torch.tensor(self.mean, device=device), torch.tensor(self.deviation, device=device)


NONE = Normalisation((0.0,), (1.0,))


def fit(rows: Tensor, starts: Tensor, lengths: Tensor, per_dimension: bool) -> Normalisation:
    """Statistics over the utterances that lie at `starts`, for so many `lengths`, in the rows `(row, dim)`.

    The rows may be a memory map: one utterance is read at a time.
    """
    count, (total, squares) = 0, torch.zeros(2, rows.shape[1], dtype=torch.float64)
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        values = rows[start : start + length].double()
        count, total, squares = count + length, total + values.sum(0), squares + values.square().sum(0)
    mean, square = total / count, squares / count
    if not per_dimension:
        mean, square = mean.mean(0, keepdim=True), square.mean(0, keepdim=True)
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    varies = deviation > ROUNDING * mean.abs()
    deviation = torch.where(varies, deviation.clamp(min=SMALLEST_DEVIATION), 1.0)
    return Normalisation(tuple(mean.tolist()), tuple(deviation.tolist()))
