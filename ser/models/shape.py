"""What a model says about the shape of its input."""

from collections.abc import Sequence

from ser.errors import ConfigError


def vector_size(shape: Sequence[int]) -> int:
    """The dimensions of one vector per utterance, whose shape is `(dim, 1)`; a ConfigError if it is another."""
    dim, frames = shape
    if frames != 1:
        what = f"this model takes one vector per utterance, not {dim} x {frames} values"
        raise ConfigError(what, where="features", do="features=functionals, features=egemaps or features=compare")
    return dim
