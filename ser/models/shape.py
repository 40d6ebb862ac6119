"""What a model is told about its input, and what it says about the shape of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ser.errors import ConfigError

if TYPE_CHECKING:
    from ser.features.cache import Feature


def given(net: Mapping[str, Any], feature: Feature, frames: int, classes: int) -> dict[str, Any]:
    """What a network is built with besides its settings; one that has the setting `layers` is told the feature's.

    Args:
        net: the settings of the network.
        feature: what its input is made of.
        frames: of one input.
        classes: how many there are.
    """
    told: dict[str, Any] = {"shape": (len(feature.names), frames), "classes": classes}
    if "layers" not in net:
        return told
    layers = getattr(feature, "layers", 1)
    if layers < 2:
        what = "this model chooses between the layers of an encoder, and gets one alone"
        raise ConfigError(what, where="features", do="use features=encoder features.layer=all")
    return told | {"layers": layers}


def vector_size(shape: Sequence[int]) -> int:
    """The dimensions of one vector per utterance, whose shape is `(dim, 1)`; a ConfigError if it is another."""
    dim, frames = shape
    if frames != 1:
        what = f"this model takes one vector per utterance, not {dim} x {frames} values"
        raise ConfigError(what, where="features", do="features=functionals, egemaps, compare or encoder")
    return dim


def spectrogram_size(shape: Sequence[int], bands: int, frames: int) -> tuple[int, int]:
    """Bands and frames of a spectrogram, whose shape is `(mel, frame)`; a ConfigError if there are fewer than these."""
    if shape[0] < bands or shape[1] < frames:
        what = f"this model takes a spectrogram, {bands} x {frames} or more, not {shape[0]} x {shape[1]} values"
        raise ConfigError(what, where="features", do=f"features=mel, and input.frames of at least {frames}")
    return shape[0], shape[1]
