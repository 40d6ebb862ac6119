"""A multilayer perceptron on one vector an utterance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from ser.errors import ConfigError


class MLP(nn.Sequential):
    """Linear, batch norm, ReLU and dropout for each hidden size, then linear: `(batch, dim)` to `(batch, class)`.

    Args:
        shape: `(dim,)`, one vector an utterance.
        classes: length of the result.
        hidden: units of each hidden layer.
        dropout: probability, after every hidden layer and, if `input_dropout`, on the input.

    Raises:
        ConfigError: if the features are not one vector an utterance.
    """

    def __init__(
        self, shape: Sequence[int], classes: int, hidden: Sequence[int], dropout: float, input_dropout: float
    ) -> None:
        if len(shape) != 1:
            raise ConfigError(
                f"this model takes one vector an utterance, not {' x '.join(map(str, shape))} values",
                where="features",
                do="features=functionals, features=egemaps or features=compare",
            )
        sizes = [shape[0], *hidden]
        layers: list[nn.Module] = [nn.Dropout(input_dropout)]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear(sizes[-1], classes))

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, dim)`, normalised by dimension, to logits `(batch, class)`."""
        for layer in self:
            x = layer(x)
        return x
