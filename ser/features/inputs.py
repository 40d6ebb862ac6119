"""Rows of utterances of any length to inputs of one length, a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ser.errors import ConfigError

PLACES = {"start": 0.0, "middle": 0.5}


@dataclass(frozen=True)
class Input:
    """How many frames an utterance is padded or cropped to, where it stands in them, and how values are normalised.

    `normalise`: by mean and deviation of the training part, "global" or of each "dimension".
    """

    frames: int
    place: Literal["start", "middle"]
    normalise: Literal["global", "dimension", "none"]

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ConfigError(f"no input has {self.frames} frames", where="input.frames", do="give 1 or more")

    def places(self, count: int) -> Tensor:
        """The places of so many utterances when nothing is random, `(utterance,)`."""
        return torch.full((count,), PLACES[self.place])


def sources(starts: Tensor, lengths: Tensor, place: Tensor, frames: int, silence: int) -> tuple[Tensor, Tensor]:
    """The row that each frame of an utterance comes from, so that it is padded with silence or cropped to `frames`.

    Args:
        starts, lengths: `(utterance,)`, where each utterance lies in the rows.
        place: `(utterance,)`, from 0 for the earliest place in the frames (or of them in the utterance) to 1.
        silence: the row that is silence.

    Returns:
        Numbers of rows, `(utterance, frame)`, and where the padding after the utterance begins, `(utterance,)`.
    """
    spare = frames - lengths
    # A short clip starts at `shift` >= 0; of a long one, the first -shift rows are cut off.
    shift = (place * (spare.abs() + 1)).long().clamp(max=spare.abs()) * spare.sign()
    source = torch.arange(frames, device=starts.device) - shift[:, None]
    inside = (source >= 0) & (source < lengths[:, None])
    return torch.where(inside, starts[:, None] + source, silence), (shift + lengths).clamp(max=frames)


def gather(rows: Tensor, source: Tensor) -> Tensor:
    """Rows `(row, dim)` and their numbers `(utterance, frame)` to `(utterance, frame, dim)`."""
    return rows.index_select(0, source.flatten()).view(*source.shape, rows.shape[1])
