"""Utterances of any length to a fixed number of frames, a whole batch at once."""

from __future__ import annotations

import torch
from torch import Tensor


def gather(rows: Tensor, starts: Tensor, lengths: Tensor, place: Tensor, frames: int) -> Tensor:
    """Pad with silence or crop every utterance to `frames` rows.

    Args:
        rows: `(row, dim)`, the rows of all utterances on end; the last row is silence.
        starts, lengths: `(batch,)`, where each utterance lies in `rows`.
        place: `(batch,)` in [0, 1]: where the utterance stands in the frame (or the frame in a longer utterance);
            0 is the earliest place, 0.5 the middle, 1 the latest.

    Returns:
        `(batch, frame, dim)`.
    """
    spare = frames - lengths
    # A short clip starts at `shift` >= 0; of a long one, the first -shift rows are cut off.
    shift = (place * (spare.abs() + 1)).long().clamp(max=spare.abs()) * spare.sign()
    source = torch.arange(frames, device=rows.device) - shift[:, None]
    inside = (source >= 0) & (source < lengths[:, None])
    index = torch.where(inside, starts[:, None] + source, len(rows) - 1)
    return rows.index_select(0, index.flatten()).view(len(starts), frames, rows.shape[1])


def as_input(values: Tensor, framed: bool) -> Tensor:
    """What a network takes: `(batch, 3, dim, frame)`, channels sharing memory, or `(batch, dim)` if not `framed`.

    Args:
        values: `(batch, frame, dim)`; a single frame if not `framed`.
    """
    return values.mT[:, None].expand(-1, 3, -1, -1) if framed else values[:, 0]
