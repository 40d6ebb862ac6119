"""Learning rates over a training: pure functions of the step, so that a resumed run needs to know nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ser.errors import ConfigError


class Schedule:
    """What the optimiser's own rate is multiplied by, at each step."""

    def __call__(self, step: int, total: int) -> float:
        """The factor for a step, counted from 0, of so many in all."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """The optimiser's rate, from beginning to end."""

    def __call__(self, step: int, total: int) -> float:
        """Always 1."""
        return 1.0


@dataclass(frozen=True)
class Steps(Schedule):
    """Multiplied by `factor` after each of these shares of the training.

    Raises:
        ConfigError: if a share is not in (0, 1).
    """

    at: Sequence[float]
    factor: float

    def __post_init__(self) -> None:
        for share in self.at:
            _check(0 < share < 1, "at", share)

    def __call__(self, step: int, total: int) -> float:
        """A power of the factor."""
        return float(self.factor ** sum(step >= share * total for share in self.at))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Up in a line over the first share `warm_up` of the training, down to 0 by half a cosine over the rest.

    Source: Loshchilov and Hutter (2017), SGDR: stochastic gradient descent with warm restarts (without restarts).

    Raises:
        ConfigError: if the share is not in [0, 1).
    """

    warm_up: float

    def __post_init__(self) -> None:
        _check(0 <= self.warm_up < 1, "warm_up", self.warm_up)

    def __call__(self, step: int, total: int) -> float:
        """From near 0 to 1 to near 0."""
        rising = self.warm_up * total
        if step < rising:
            return (step + 1) / (rising + 1)
        return _between(1.0, 0.0, (step - rising) / (total - rising))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """From `start` to `peak` by half a cosine over the first share `warm_up` of the training, then down to `end`.

    All three are multiples of the optimiser's rate. The same as torch's OneCycleLR with `cycle_momentum=False`.
    Source: Smith and Topin (2019), Super-convergence.

    Raises:
        ConfigError: if the share is not in [0, 1).
    """

    peak: float
    start: float
    end: float
    warm_up: float

    def __post_init__(self) -> None:
        _check(0 <= self.warm_up < 1, "warm_up", self.warm_up)

    def __call__(self, step: int, total: int) -> float:
        """From start to peak to end."""
        top = self.warm_up * total - 1
        if step < top:
            return _between(self.start, self.peak, step / top)
        return _between(self.peak, self.end, (step - top) / (total - 1 - top))


def _between(one: float, other: float, share: float) -> float:
    """Half a cosine from one value to the other."""
    return other + (one - other) * (1 + math.cos(math.pi * share)) / 2


def _check(fits: bool, name: str, value: float) -> None:
    if not fits:
        raise ConfigError(
            f"{value} is no share of the training", where=f"model.scheduler.{name}", do="give a number from 0 to 1"
        )
