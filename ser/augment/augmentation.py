"""What an augmentation is: where an utterance is placed, and what becomes of its values. This one changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from ser.features.copied import WaveTransform


class Augmentation:
    """Called in the training step alone, on the batch's device; an augmentation overrides what it changes.

    Random numbers come from torch's default generators, which the training step seeds by seed, epoch and step: never
    keep a state, or a resumed run would differ.
    """

    def versions(self) -> tuple[WaveTransform, ...]:
        """What changes the waves of training utterances into copies that are heard, too; their features are cached."""
        return ()

    def places(self, middle: Tensor) -> Tensor:
        """Where each utterance is placed in its frames, `(batch,)` in [0, 1] on the CPU; see `ser.features.inputs`.

        Args:
            middle: `(batch,)`, the places without augmentation.
        """
        return middle

    def __call__(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Values before they are normalised to augmented ones, `(batch, dim, frame)`; those given may be overwritten.

        Args:
            x: in the units of the feature, such as dB.
            lengths: `(batch,)`, the frames up to each utterance's end; those after it are padding.
        """
        return x
