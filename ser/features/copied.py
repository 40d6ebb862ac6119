"""A feature of changed waves, such as faster ones: what the cache keeps for a copy of each recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from ser.features.key import told

if TYPE_CHECKING:
    from ser.features.cache import Feature


class WaveTransform(Protocol):
    """Settings that change a wave; a frozen dataclass, called from several threads.

    The same wave always becomes the same: what is random in it is drawn by a seed among the settings and by the wave.
    """

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """`(samples,)` at `rate` Hz to `(samples,)` at the same rate, as many or another number of them."""


@dataclass(frozen=True)
class Copied:
    """What `feature` makes of waves that `transform` has changed."""

    feature: Feature
    transform: WaveTransform

    @property
    def silence(self) -> float:
        """The feature's."""
        return self.feature.silence

    @property
    def names(self) -> tuple[str, ...]:
        """The feature's."""
        return self.feature.names

    def identity(self) -> dict[str, Any]:
        """Code and settings of both: a feature of one's own may be anywhere."""
        return {"feature": told(self.feature), "transform": told(self.transform)}

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """`(samples,)` at `rate` Hz to `(row, dim)`."""
        return self.feature(self.transform(wave, rate), rate)
