"""SpecAugment: masks in time and frequency.

Source: Park et al. (2019), arXiv:1904.08779, without its time warping, which it found to matter least.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ser.augment.augmentation import Augmentation


@dataclass(frozen=True)
class SpecAugment(Augmentation):
    """Up to `bands` bands and `share` of an utterance's frames are hidden at once, `frequency` and `time` times.

    Hidden values become the utterance's own mean. Silence instead would be an onset and an offset of 60 dB or more,
    which emotions differ in, and more so for the loud than for the soft; the mean says nothing.

    Args:
        frequency: how many masks there are in frequency.
        bands: the widest, in bands.
        time: how many masks there are in time.
        share: the widest, as a part of the utterance; a mask begins and ends within the utterance.
    """

    frequency: int
    bands: int
    time: int
    share: float

    def __call__(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, dim, frame)`; frames of silence before the utterance count as its own."""
        batch, dim, frames = x.shape
        band, frame = torch.arange(dim, device=x.device), torch.arange(frames, device=x.device)
        within = frame < lengths[:, None]
        dims = torch.full((batch,), dim, device=x.device)
        hidden = _masks(band, dims, self.frequency, dims.clamp(max=self.bands))[:, :, None] & within[:, None]
        hidden |= (_masks(frame, lengths, self.time, self.share * lengths) & within)[:, None]
        mean = (x * within[:, None]).sum((1, 2)) / (dim * lengths)
        return torch.where(hidden, mean[:, None, None].to(x.dtype), x)


def _masks(index: Tensor, size: Tensor, count: int, widest: Tensor) -> Tensor:
    """`count` intervals in each utterance's `size`, of widths up to `widest`, `(batch,)`: `(batch, index)`."""
    width = torch.rand(len(size), count, device=size.device) * (widest[:, None] + 1)  # floored: 0 to the widest
    width = width.floor().minimum(widest[:, None].floor())
    begin = (torch.rand(len(size), count, device=size.device) * (size[:, None] - width + 1)).floor()
    inside = (index >= begin[..., None]) & (index < (begin + width)[..., None])
    return inside.any(1)
