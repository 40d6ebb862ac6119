from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ser.features.frames import gather, sources

SILENCE = -100.0


def bank(lengths: list[int], dim: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Rows that are all different, then silence; where each utterance starts, and its length."""
    rows = torch.arange(sum(lengths) * dim, dtype=torch.float32).view(-1, dim)
    length = torch.tensor(lengths)
    return torch.cat((rows, torch.full((1, dim), SILENCE))), length.cumsum(0) - length, length


def framed(rows: Tensor, starts: Tensor, lengths: Tensor, place: Tensor, frames: int) -> Tensor:
    return gather(rows, sources(starts, lengths, place, frames, silence=len(rows) - 1))


def slowly(utterance: Tensor, place: float, frames: int) -> Tensor:
    """One utterance of `(row, dim)`, by the definition: all whole places are equally wide in [0, 1]."""
    spare = abs(frames - len(utterance))
    before = min(int(np.float32(place) * np.float32(spare + 1)), spare)
    if len(utterance) >= frames:
        return utterance[before : before + frames]
    window = torch.full((frames, utterance.shape[1]), SILENCE)
    window[before : before + len(utterance)] = utterance
    return window


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.floats(0, 1, width=32)), min_size=1, max_size=6),
    st.integers(1, 8),
    st.integers(0, 99),
)
def test_it_is_the_plain_slow_loop(utterances: list[tuple[int, float]], frames: int, seed: int) -> None:
    rows, starts, lengths = bank([length for length, _ in utterances])
    batch = torch.randperm(len(utterances), generator=torch.Generator().manual_seed(seed))
    place = torch.tensor([place for _, place in utterances])
    found = framed(rows, starts[batch], lengths[batch], place[batch], frames)
    parts = [
        slowly(rows[starts[one] : starts[one] + lengths[one]], float(place[one]), frames) for one in batch.tolist()
    ]
    assert torch.equal(found, torch.stack(parts))


@pytest.mark.parametrize(
    ("length", "place", "expected"),
    [
        (3, 0.0, [0, 1, 2, SILENCE, SILENCE]),
        (3, 0.5, [SILENCE, 0, 1, 2, SILENCE]),
        (3, 1.0, [SILENCE, SILENCE, 0, 1, 2]),
        (7, 0.0, [0, 1, 2, 3, 4]),
        (7, 0.5, [1, 2, 3, 4, 5]),
        (7, 1.0, [2, 3, 4, 5, 6]),
        (5, 0.3, [0, 1, 2, 3, 4]),
        (0, 0.5, [SILENCE] * 5),
    ],
)
def test_short_ones_are_padded_with_silence_and_long_ones_cropped(
    length: int, place: float, expected: list[float]
) -> None:
    rows, starts, lengths = bank([length], dim=1)
    assert framed(rows, starts, lengths, torch.tensor([place]), 5).flatten().tolist() == expected


@pytest.mark.parametrize("length", [2, 9])
def test_every_place_is_as_likely(length: int) -> None:
    rows, starts, lengths = bank([length], dim=1)
    evenly = (torch.arange(400) + 0.5) / 400
    found = framed(rows, starts.expand(400), lengths.expand(400), evenly, 5)
    _, counts = torch.unique(found, dim=0, return_counts=True)
    assert counts.tolist() == [400 // (abs(5 - length) + 1)] * (abs(5 - length) + 1)
