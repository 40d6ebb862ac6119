"""Reverberation: the voice in a room, by an impulse response of noise that dies away.

Source: the statistical model of late reverberation, Polack (1988), as in Habets (2007), chapter 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ser.augment import drawn
from ser.errors import ConfigError


@dataclass(frozen=True)
class Reverb:
    """The direct sound and its echoes, as loud in all as the voice was; both ranges are drawn from for each recording.

    Args:
        seed: of the copy; another one gives other rooms.
        seconds: the least and the greatest time in which echoes fall by 60 dB.
        direct: the least and the greatest ratio of direct to reverberant power, in dB.

    Raises:
        ConfigError: if one of them is no range.
    """

    seed: int
    seconds: Sequence[float]
    direct: Sequence[float]

    def __post_init__(self) -> None:
        """Refuse what is no range."""
        for name, low in (("seconds", 0.01), ("direct", -math.inf)):
            bounds = getattr(self, name)
            if len(bounds) != 2 or not low <= bounds[0] <= bounds[1]:
                what = f"{name}: {bounds} is no range"
                raise ConfigError(what, where="augment.copies", do="give such as seconds=[0.2,0.8] direct=[0,10]")

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """`(samples,)` at `rate` Hz to as many: the echoes of the end are cut off."""
        from torchaudio.functional import fftconvolve

        generator = drawn.generator(wave, self.seed)
        seconds, direct = drawn.between(self.seconds, generator), drawn.between(self.direct, generator)
        time = torch.arange(1, max(2, round(seconds * rate))) / rate
        echoes = torch.randn(len(time), generator=generator) * 10 ** (-3 * time / seconds)
        echoes *= 10 ** (-direct / 20) / torch.linalg.vector_norm(echoes)
        heard: Tensor = fftconvolve(wave, torch.cat((torch.ones(1), echoes)))[: len(wave)]
        level: Tensor = torch.linalg.vector_norm(wave) / torch.linalg.vector_norm(heard).clamp(min=1e-9)
        return heard * level
