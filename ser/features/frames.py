"""Utterances of any length to a fixed number of frames, a whole batch at once."""

from __future__ import annotations

import torch
from torch import Tensor


def sources(starts: Tensor, lengths: Tensor, place: Tensor, frames: int, silence: int) -> Tensor:
    """The row that each frame of an utterance comes from, so that it is padded with silence or cropped to `frames`.

    Args:
        starts, lengths: `(utterance,)`, where each utterance lies in the rows of all.
        place: `(utterance,)` in [0, 1]: where the utterance stands in the frame (or the frame in a longer utterance);
            0 is the earliest place, 0.5 the middle, 1 the latest.
        silence: the row that is silence.

    Returns:
        `(utterance, frame)`.
    """
    spare = frames - lengths
    # A short clip starts at `shift` >= 0; of a long one, the first -shift rows are cut off.
    shift = (place * (spare.abs() + 1)).long().clamp(max=spare.abs()) * spare.sign()
    source = torch.arange(frames) - shift[:, None]
    inside = (source >= 0) & (source < lengths[:, None])
    return torch.where(inside, starts[:, None] + source, silence)


def gather(rows: Tensor, source: Tensor) -> Tensor:
    """Rows `(row, dim)` and their numbers `(utterance, frame)` to `(utterance, frame, dim)`."""
    return rows.index_select(0, source.flatten()).view(*source.shape, rows.shape[1])


def as_input(values: Tensor, framed: bool) -> Tensor:
    """What a network takes: `(batch, 3, dim, frame)`, channels sharing memory, or `(batch, dim)` if not `framed`.

    Args:
        values: `(batch, frame, dim)`; a single frame if not `framed`.
    """
    return values.mT[:, None].expand(-1, 3, -1, -1) if framed else values[:, 0]
