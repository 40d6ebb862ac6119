from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ser.errors import ConfigError, DataError
from ser.features.enrol import Enrolment, average_speaker, changed, voice, voices

LENGTHS = torch.tensor([3, 5, 2, 4, 6, 3])
STARTS = LENGTHS.cumsum(0) - LENGTHS
SPEAKERS = ["a", "a", "a", "b", "b", "b"]


def bank() -> torch.Tensor:
    """Values of two speakers with other means and deviations, and a last row of silence."""
    rows = torch.randn(24, 4, generator=torch.Generator().manual_seed(1))
    rows[:10] = rows[:10] * 2 + 5
    rows[-1] = -100
    return rows


def test_all_own_recordings_bring_speakers_to_one_mean_and_deviation() -> None:
    rows = bank()
    average = average_speaker(rows, STARTS, LENGTHS, SPEAKERS)
    found = changed(rows, STARTS, LENGTHS, SPEAKERS, voices(rows, STARTS, LENGTHS, SPEAKERS, range(6), average, 0.0))
    mean, deviation = average.tensors(torch.device("cpu"))
    for own in (found[:10], found[10:23]):
        torch.testing.assert_close(own.mean(0), mean, rtol=0, atol=1e-4)
        torch.testing.assert_close(own.std(0, correction=0), deviation, rtol=1e-4, atol=0)
    assert torch.equal(found[-1], rows[-1])
    assert torch.equal(rows, bank())


def test_the_average_speaker_s_deviation_is_within_speakers() -> None:
    deviation = torch.tensor(average_speaker(bank(), STARTS, LENGTHS, SPEAKERS).deviation)
    assert (deviation < bank()[:-1].std(0)).all()


def test_a_prior_weighs_few_recordings_against_the_average() -> None:
    rows = bank()
    average = average_speaker(rows, STARTS, LENGTHS, SPEAKERS)
    mean = torch.tensor(average.mean)
    distance = [
        float((voice(rows, STARTS[:count], LENGTHS[:count], average, prior).mean - mean).norm())
        for count, prior in ((0, 4.0), (1, 1e9), (1, 4.0), (1, 0.0))
    ]
    assert distance == sorted(distance)
    assert distance[0] == 0
    unknown = voice(rows, STARTS[:0], LENGTHS[:0], average, 4.0)
    assert torch.equal(unknown(rows), rows - mean + mean)


def test_who_is_not_known_stays() -> None:
    rows = bank()
    average = average_speaker(rows, STARTS, LENGTHS, SPEAKERS)
    known = voices(rows, STARTS, LENGTHS, SPEAKERS, [0, 1], average, 4.0)
    assert set(known) == {"a"}
    found = changed(rows, STARTS, LENGTHS, SPEAKERS, known)
    assert torch.equal(found[10:], rows[10:])
    assert not torch.equal(found[:10], rows[:10])


@given(st.integers(1, 5), st.integers(0, 9), st.lists(st.integers(6, 12), min_size=1, max_size=4))
def test_what_is_given_is_not_told_and_every_speaker_gives_as_much(clips: int, seed: int, sizes: list[int]) -> None:
    speakers = [f"s{number}" for number, size in enumerate(sizes) for _ in range(size)]
    names = [f"u{number}" for number in range(len(speakers))]
    taken, rest = Enrolment(clips, 4.0, seed).drawn(names, speakers)
    assert sorted([*taken, *rest]) == list(range(len(names)))
    assert all(sum(speakers[number] == speaker for number in taken) == clips for speaker in set(speakers))
    assert Enrolment(clips, 4.0, seed).drawn(names, speakers) == (taken, rest)


def test_all_are_given_and_told() -> None:
    assert Enrolment("all", 4.0, 1).drawn(["u", "v"], ["a", "b"]) == ([0, 1], [0, 1])


def test_what_means_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="speaker a has 2 recordings, so none is left when 2 are given"):
        Enrolment(2, 4.0, 1).drawn(["u", "v"], ["a", "a"])
    with pytest.raises(ConfigError, match="nobody gives -1 recordings"):
        Enrolment(-1, 4.0, 1)
    with pytest.raises(ConfigError, match="no weight"):
        Enrolment(1, -4.0, 1)
