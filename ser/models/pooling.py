"""From frames to one vector, without a look at the padding after an utterance."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def within(lengths: Tensor, frames: int, stride: int = 1) -> Tensor:
    """Which of `frames` are of the utterance, `(batch, frame)`; of padding, False.

    Args:
        lengths: `(batch,)`, the frames of the input up to each utterance's end.
        frames: that are left of the input's, one for `stride` of them.
        stride: a frame that is in part of the utterance counts.
    """
    ends = lengths.add(stride - 1).div(stride, rounding_mode="floor")
    return torch.arange(frames, device=lengths.device) < ends[:, None]


def mean(x: Tensor, inside: Tensor) -> Tensor:
    """Mean of `(batch, dim, frame)` over the frames that are `inside`, `(batch, frame)`: `(batch, dim)`."""
    weights = inside.to(x.dtype) / inside.sum(1, keepdim=True)
    return (x * weights[:, None]).sum(2)


class Attention(nn.Module):
    """One weight for each frame, by a small network; those of an utterance add up to 1."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Conv1d(dim, hidden, 1), nn.Tanh(), nn.Conv1d(hidden, 1, 1))

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """`(batch, dim, frame)` to weights `(batch, 1, frame)`, 0 where not `inside`, `(batch, frame)`."""
        scores: Tensor = self.score(x).float()  # a softmax of bf16 scores would be coarse
        return scores.masked_fill(~inside[:, None], -torch.inf).softmax(2)


class AttentiveStatistics(nn.Module):
    """Weighted mean and standard deviation over frames: `(batch, dim, frame)` to `(batch, 2 * dim)`.

    Source: attentive statistics pooling, Okabe et al. (2018), arXiv:1803.10963.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.attention = Attention(dim, hidden)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """`inside`: `(batch, frame)`, which frames are of the utterance."""
        weights = self.attention(x, inside)
        centre = (weights * x).sum(2)
        spread = (weights * (x - centre[..., None]).square()).sum(2)
        return torch.cat((centre, spread.clamp(min=1e-6).sqrt()), 1)  # the root has no slope at 0
