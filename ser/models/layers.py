"""A step of a scikit-learn Pipeline that keeps one layer of an encoder, so that a search can choose it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from ser.errors import ConfigError


class OneLayer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The values of one of `layers` blocks of equal size, that at `depth`: 0 the first, 1 the last, 0.5 the middle.

    A depth instead of a number, so that one list of them is a search through encoders of any size.
    """

    def __init__(self, depth: float = 0.5, layers: int | None = None) -> None:
        self.depth = depth
        self.layers = layers

    def fit(self, x: NDArray[Any], y: object = None) -> OneLayer:
        """Find the layer; a ConfigError if there is no such depth."""
        if not 0 <= self.depth <= 1:
            raise ConfigError(f"no depth of a layer: {self.depth}", where="model.net.estimator", do="give 0 to 1")
        self.layer_ = round(self.depth * ((self.layers or 1) - 1))
        self.width_ = x.shape[1] // (self.layers or 1)
        return self

    def transform(self, x: NDArray[Any]) -> NDArray[Any]:
        """`(utterance, dim)` to the layer's columns."""
        return x[:, self.layer_ * self.width_ : (self.layer_ + 1) * self.width_]
