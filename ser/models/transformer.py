"""A small transformer on a convolutional front.

Sources: Vaswani et al. (2017), arXiv:1706.03762; norms before each part, Xiong et al. (2020), arXiv:2002.04745.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.errors import ConfigError
from ser.models.pooling import Attention, within

STRIDE = 4  # frames of the input for one that is attended to


class Transformer(nn.Module):
    """Two convolutions over time, positions, encoder layers with norms first, attention over frames, a linear layer.

    No attention sees the padding after an utterance. Shapes for 64 mel bands, 128 frames and a width of 128:

        input                                   (batch,  64, 128)
        two convolutions, stride 2, GELU        (batch, 128,  32)
        positions, dropout                      (batch,  32, 128)
        depth x attention, two linear           (batch,  32, 128)
        norm, weighted mean of frames           (batch, 128)
        dropout, linear                         (batch, class)

    Args:
        shape: `(dim, frame)`.
        depth: how many encoder layers there are.
        width: of a frame within the encoder; even, and a multiple of `heads`.
        inner: width between the two linear layers.

    Raises:
        ConfigError: if there are fewer than `STRIDE` frames.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int,
        width: int,
        depth: int,
        heads: int,
        inner: int,
        dropout: float,
    ) -> None:
        super().__init__()
        dim, frames = shape
        if frames < STRIDE:
            what = f"this model takes {STRIDE} frames or more, not {dim} x {frames} values"
            raise ConfigError(what, where="features", do="features=mel, or features.pool=none input=frames")
        self.front = nn.Sequential(
            *(nn.Conv1d(dim, width, 3, stride=2, padding=1), nn.GELU()),
            *(nn.Conv1d(width, width, 3, stride=2, padding=1), nn.GELU()),
        )
        self.register_buffer("positions", _positions(math.ceil(frames / STRIDE), width), persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(  # not nn.TransformerEncoder, whose layers all begin with equal weights
            nn.TransformerEncoderLayer(width, heads, inner, dropout, "gelu", batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, width // 2)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, dim, frame)` and the frames up to each utterance's end, `(batch,)`, to logits `(batch, class)`."""
        frames = self.dropout(self.front(x).mT + self.positions)
        inside = within(lengths, frames.shape[1], STRIDE)
        for layer in self.layers:
            frames = layer(frames, src_key_padding_mask=~inside)
        frames = self.norm(frames).mT
        scores: Tensor = self.head(self.dropout((self.attention(frames, inside) * frames).sum(2)))
        return scores


def _positions(frames: int, width: int) -> Tensor:
    """Sines and cosines of wavelengths from 2 pi to 10,000 times as long, `(frame, width)`."""
    rates = 10_000 ** -(torch.arange(0, width, 2) / width)
    phase = torch.arange(frames)[:, None] * rates
    return torch.stack((phase.sin(), phase.cos()), 2).flatten(1)
