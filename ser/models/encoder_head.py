"""A small network on the layers of a frozen encoder: a learnt mixture of them, then two linear layers.

Source: the weighted sum of SUPERB, Yang et al. (2021), arXiv:2105.01051, on pooled values.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.models.shape import vector_size


class EncoderHead(nn.Module):
    """Softmax-weighted sum over layers, dropout, linear to `hidden`, ReLU, dropout, linear; `shape` is `(dim, 1)`.

    Args:
        layers: how many there are in the `dim` values, each as wide as the others.
        hidden: units.
        dropout: of the mixture's values and of the units.
    """

    def __init__(self, shape: Sequence[int], classes: int, layers: int | None, hidden: int, dropout: float) -> None:
        super().__init__()
        self.count = layers or 1
        self.mixture = nn.Parameter(torch.zeros(self.count))
        width = vector_size(shape) // self.count
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
        )

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, dim, 1)`, normalised by dimension, to logits `(batch, class)`; all lengths are 1."""
        layers = x[..., 0].reshape(len(x), self.count, -1)
        mixed = torch.einsum("l,blw->bw", self.mixture.softmax(0), layers)
        logits: Tensor = self.head(mixed)
        return logits
