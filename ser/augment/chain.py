"""Several augmentations in one: copies of the recordings, and steps that every batch takes in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ser.augment.augmentation import Augmentation
from ser.features.copied import WaveTransform


@dataclass(frozen=True)
class Chain(Augmentation):
    """Steps in their order, and copies by other names; names are for the command line alone.

    Steps shift, mask and warp frames: one vector per utterance is left as it is, and gains by the copies alone.
    """

    steps: Mapping[str, Augmentation] = field(default_factory=dict)
    copies: Mapping[str, WaveTransform] = field(default_factory=dict)

    def versions(self) -> tuple[WaveTransform, ...]:
        """All copies, in their order."""
        return tuple(self.copies.values())

    def places(self, middle: Tensor) -> Tensor:
        """As the last step that has a say places them, `(batch,)`."""
        for step in self.steps.values():
            middle = step.places(middle)
        return middle

    def __call__(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, dim, frame)`."""
        if x.shape[2] > 1:
            for step in self.steps.values():
                x = step(x, lengths)
        return x
