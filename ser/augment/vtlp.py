"""Vocal tract length perturbation: the spectrum stretched or shrunk, as by a shorter or longer throat.

Source: Jaitly and Hinton (2013), ICML workshop on deep learning for audio, speech and language.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ser.augment.augmentation import Augmentation


@dataclass(frozen=True)
class VTLP(Augmentation):
    """Band `b` takes the value at `warp * b`, and above `knee` of all bands what leaves the highest band in its place.

    The source warps frequencies before they become bands; here the mel axis itself is warped, which needs no spectrum
    and moves low frequencies by less. Values between two bands are interpolated in dB.

    Args:
        spread: the warp is uniform in `1 - spread` to `1 + spread`.
        knee: from which part of the bands on the warp is undone; `knee * (1 + spread)` is 1 at most.
    """

    spread: float
    knee: float

    def __call__(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, dim, frame)`."""
        batch, dim, _ = x.shape
        warp = 1 + self.spread * (2 * torch.rand(batch, 1, device=x.device) - 1)
        band, top = torch.arange(dim, device=x.device), dim - 1
        knee = self.knee * top
        above = warp * knee + (band - knee) * (top - warp * knee) / max(top - knee, 1e-6)
        place = torch.where(band < knee, warp * band, above).clamp(0, top)
        low = place.floor().long()
        lower, upper = (x.gather(1, at[..., None].expand_as(x)) for at in (low, (low + 1).clamp(max=top)))
        return torch.lerp(lower, upper, (place - low)[..., None].to(x.dtype))
