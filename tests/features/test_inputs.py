from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ser.build import build
from ser.errors import ConfigError
from ser.features.inputs import Input, gather, sources

SILENCE = -100.0


def bank(lengths: list[int], dim: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Rows that are all different, then silence; where each utterance starts, and its length."""
    rows = torch.arange(sum(lengths) * dim, dtype=torch.float32).view(-1, dim)
    length = torch.tensor(lengths)
    return torch.cat((rows, torch.full((1, dim), SILENCE))), length.cumsum(0) - length, length


def framed(rows: Tensor, starts: Tensor, lengths: Tensor, place: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Frames `(utterance, frame, dim)`, and where each utterance ends in them."""
    source, ends = sources(starts, lengths, place, frames, silence=len(rows) - 1)
    return gather(rows, source), ends


def slowly(utterance: Tensor, place: float, frames: int) -> tuple[Tensor, int]:
    """One utterance of `(row, dim)`, by the definition: all whole places are equally wide in [0, 1]."""
    spare = abs(frames - len(utterance))
    before = min(int(np.float32(place) * np.float32(spare + 1)), spare)
    if len(utterance) >= frames:
        return utterance[before : before + frames], frames
    window = torch.full((frames, utterance.shape[1]), SILENCE)
    window[before : before + len(utterance)] = utterance
    return window, before + len(utterance)


UTTERANCES = st.lists(st.tuples(st.integers(0, 12), st.floats(0, 1, width=32)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=200)
@given(UTTERANCES, st.integers(1, 8), st.integers(0, 99))
def test_it_is_the_plain_slow_loop(utterances: list[tuple[int, float]], frames: int, seed: int) -> None:
    rows, starts, lengths = bank([length for length, _ in utterances])
    batch = torch.randperm(len(utterances), generator=torch.Generator().manual_seed(seed))
    place = torch.tensor([place for _, place in utterances])
    found, ends = framed(rows, starts[batch], lengths[batch], place[batch], frames)
    parts = [
        slowly(rows[starts[one] : starts[one] + lengths[one]], float(place[one]), frames) for one in batch.tolist()
    ]
    assert torch.equal(found, torch.stack([part for part, _ in parts]))
    assert ends.tolist() == [end for _, end in parts]
    assert ends.dtype == torch.int64


@settings(deadline=None)
@given(UTTERANCES, st.integers(1, 8))
def test_an_utterances_own_rows_come_in_order_with_padding_around(
    utterances: list[tuple[int, float]], frames: int
) -> None:
    rows, starts, lengths = bank([length for length, _ in utterances], dim=1)
    place = torch.tensor([place for _, place in utterances])
    found, ends = framed(rows, starts, lengths, place, frames)
    for values, start, length, end in zip(found[..., 0], starts, lengths.tolist(), ends.tolist(), strict=True):
        spoken = values[values != SILENCE]
        assert len(spoken) == min(length, frames)
        first = end - len(spoken)
        assert torch.equal(values[first:end], spoken)
        own = rows[start : start + length, 0]
        assert not len(spoken) or torch.equal(spoken, own[own >= spoken[0]][:frames])


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
    found, ends = framed(rows, starts, lengths, torch.tensor([place]), 5)
    assert found.flatten().tolist() == expected
    spoken = [at for at, value in enumerate(expected, 1) if value != SILENCE]
    assert not spoken or ends.tolist() == spoken[-1:]


@pytest.mark.parametrize("length", [2, 9])
def test_every_place_is_as_likely(length: int) -> None:
    rows, starts, lengths = bank([length], dim=1)
    evenly = (torch.arange(400) + 0.5) / 400
    found, _ = framed(rows, starts.expand(400), lengths.expand(400), evenly, 5)
    _, counts = torch.unique(found, dim=0, return_counts=True)
    assert counts.tolist() == [400 // (abs(5 - length) + 1)] * (abs(5 - length) + 1)


@pytest.mark.parametrize(("place", "expected"), [("start", [0.0, 0.0]), ("middle", [0.5, 0.5])])
def test_places_when_nothing_is_random(place: str, expected: list[float]) -> None:
    assert Input(32, place, "global").places(2).tolist() == expected


def test_of_long_and_short_the_start_is_kept_at_the_start() -> None:
    rows, starts, lengths = bank([2, 9], dim=1)
    found, ends = framed(rows, starts, lengths, Input(4, "start", "none").places(2), 4)
    assert found[..., 0].tolist() == [[0, 1, SILENCE, SILENCE], [2, 3, 4, 5]]
    assert ends.tolist() == [2, 4]


def test_an_input_has_frames() -> None:
    with pytest.raises(ConfigError, match=r"(?s)0 frames.*input\.frames"):
        Input(0, "middle", "global")
    with pytest.raises(ConfigError, match=r"(?s)place: 'end' is not accepted.*'start', 'middle'"):
        build({"_target_": "ser.features.inputs.Input", "frames": 1, "place": "end", "normalise": "none"})
