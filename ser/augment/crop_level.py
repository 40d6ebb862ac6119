"""Random crop (or padding) and random level."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ser.augment.augmentation import Augmentation


@dataclass(frozen=True)
class CropLevel(Augmentation):
    """Every utterance is placed at random in its frames, and made louder or softer.

    `level`: standard deviation in dB of the shift, for features in dB; padding is shifted, too.
    """

    level: float

    def places(self, middle: Tensor) -> Tensor:
        """Uniform in [0, 1)."""
        return torch.rand(len(middle))

    def __call__(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, dim, frame)` in dB."""
        return x.add_(self.level * torch.randn(len(x), 1, 1, device=x.device))
