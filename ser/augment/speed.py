"""Speed: faster or slower, and with it higher or lower, as a tape would be.

Source: speed perturbation, Ko et al. (2015), Interspeech, doi:10.21437/Interspeech.2015-711.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ser.errors import ConfigError
from ser.features.resample import FINEST, resample

SLOWEST, FASTEST = 0.5, 2.0  # an octave to either side: beyond, it is no voice


@dataclass(frozen=True)
class Speed:
    """`factor` times the speed and the pitch, for a `factor`-th of the time.

    Raises:
        ConfigError: if the factor is more than an octave away from 1.
    """

    factor: float

    def __post_init__(self) -> None:
        """Refuse what is no voice any more."""
        if not SLOWEST <= self.factor <= FASTEST:
            what = f"nobody speaks {self.factor} times as fast"
            raise ConfigError(what, where="augment.copies", do=f"give a factor from {SLOWEST} to {FASTEST}")

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """`(samples,)` to `(samples / factor,)`, to be played at the same rate."""
        return resample(wave, round(self.factor * FINEST), FINEST)
