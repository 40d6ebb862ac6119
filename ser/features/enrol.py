"""Speaker enrolment: what a speaker's own recordings, without labels, tell of the voice, taken out of the features.

Every speaker's values are moved and stretched to the mean and deviation of the average training speaker. Those of a
speaker with few recordings are weighed against that average, as a Bayesian would with a conjugate prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ser.errors import ConfigError, DataError
from ser.features import normalise
from ser.features.normalise import Normalisation
from ser.protocols.split import draw


@dataclass(frozen=True)
class Enrolment:
    """`clips`: of a tested speaker's recordings, drawn by `seed`, or "all"; 0: no enrolment.

    `prior`: how many recordings the average training speaker counts as.

    Raises:
        ConfigError: if a number is negative.
    """

    clips: int | Literal["all"]
    prior: float
    seed: int

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if self.clips != "all" and self.clips < 0:
            raise ConfigError(f"nobody gives {self.clips} recordings", where="enrol.clips", do="give 0 or more, or all")
        if self.prior < 0:
            raise ConfigError(f"{self.prior} is no weight", where="enrol.prior", do="give 0 or more")

    def drawn(self, utterances: Sequence[str], speakers: Sequence[str]) -> tuple[list[int], list[int]]:
        """Numbers of the utterances that are given, and of those that are left to be told; all are both.

        Raises:
            DataError: if a speaker has none left.
        """
        numbers = list(range(len(utterances)))
        if self.clips == "all":
            return numbers, numbers
        given: set[int] = set()
        for speaker, own in _by_speaker(speakers).items():
            if len(own) <= self.clips:
                what = f"speaker {speaker} has {len(own)} recordings, so none is left when {self.clips} are given"
                raise DataError(what, where="enrol.clips", do="give fewer, or enrol=all")
            given |= set(sorted(own.tolist(), key=lambda number: draw(self.seed, utterances[number]))[: self.clips])
        return sorted(given), [number for number in numbers if number not in given]

    def __bool__(self) -> bool:
        return self.clips != 0

    def __str__(self) -> str:
        if not self:
            return "none"
        return "all own recordings (transductive)" if self.clips == "all" else f"{self.clips} own recordings"


@dataclass(frozen=True)
class Voice:
    """`(x - mean) * scale + average`, each `(dim,)`: from a speaker's values to those of the average speaker."""

    mean: Tensor
    scale: Tensor
    average: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Rows `(row, dim)`, of features, not of silence."""
        return (rows - self.mean) * self.scale + self.average


def average_speaker(rows: Tensor, starts: Tensor, lengths: Tensor, speakers: Sequence[str]) -> Normalisation:
    """Mean of all utterances, and the deviation of a speaker's about the own mean, by dimension.

    Args:
        rows: `(row, dim)`; utterance number i begins at `starts[i]` and has `lengths[i]` of them.
        speakers: of each utterance.
    """
    found = [normalise.fit(rows, starts[some], lengths[some], True) for some in _by_speaker(speakers).values()]
    deviation = torch.tensor([one.deviation for one in found]).square().mean(0).sqrt()
    return Normalisation(normalise.fit(rows, starts, lengths, True).mean, tuple(deviation.tolist()))


def voice(rows: Tensor, starts: Tensor, lengths: Tensor, average: Normalisation, prior: float) -> Voice:
    """The voice that these utterances of one speaker tell of; see `average_speaker` for the arguments.

    Mean and variance are those of the utterances and, counted as `prior` of them, of the average speaker.
    """
    mean, deviation = average.tensors(torch.device("cpu"))
    if not len(starts):
        return Voice(mean, torch.ones_like(mean), mean)
    own = normalise.fit(rows, starts, lengths, True)
    own_mean, own_deviation = own.tensors(torch.device("cpu"))
    weight = len(starts) / (len(starts) + prior)
    variance = weight * own_deviation.square() + (1 - weight) * deviation.square()
    return Voice(torch.lerp(mean, own_mean, weight), deviation / variance.sqrt(), mean)


def voices(
    rows: Tensor,
    starts: Tensor,
    lengths: Tensor,
    speakers: Sequence[str],
    given: Sequence[int],
    average: Normalisation,
    prior: float,
) -> dict[str, Voice]:
    """The voice of every speaker of the utterances that are `given`, by their numbers; see `average_speaker`."""
    chosen = torch.tensor(given, dtype=torch.long)
    found = _by_speaker([speakers[number] for number in given])
    return {
        speaker: voice(rows, starts[chosen[some]], lengths[chosen[some]], average, prior)
        for speaker, some in found.items()
    }


def changed(
    rows: Tensor, starts: Tensor, lengths: Tensor, speakers: Sequence[str], known: Mapping[str, Voice]
) -> Tensor:
    """A copy of the rows in which the utterances of each known speaker are changed by the speaker's voice."""
    result = rows.clone()
    for start, length, speaker in zip(starts.tolist(), lengths.tolist(), speakers, strict=True):
        if speaker in known:
            result[start : start + length] = known[speaker](rows[start : start + length])
    return result


def _by_speaker(speakers: Sequence[str]) -> dict[str, Tensor]:
    """The numbers of each speaker's utterances."""
    found: dict[str, list[int]] = {}
    for number, speaker in enumerate(speakers):
        found.setdefault(speaker, []).append(number)
    return {speaker: torch.tensor(numbers) for speaker, numbers in found.items()}
