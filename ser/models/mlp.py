"""A multilayer perceptron on one vector per utterance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from ser.models.shape import vector_size


class MLP(nn.Module):
    """Linear, batch norm, ReLU and dropout for each size of `hidden`, then linear; `shape` is `(dim, 1)`."""

    def __init__(
        self, shape: Sequence[int], classes: int, hidden: Sequence[int], dropout: float, input_dropout: float
    ) -> None:
        super().__init__()
        sizes = [vector_size(shape), *hidden]
        layers: list[nn.Module] = [nn.Dropout(input_dropout)]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], classes))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, dim, 1)`, normalised by dimension, to logits `(batch, class)`; all lengths are 1."""
        logits: Tensor = self.layers(x[..., 0])
        return logits
