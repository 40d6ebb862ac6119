"""Noise: hiss or rumble beside the voice, as loud as in a quiet or a busy room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ser.augment import drawn
from ser.errors import ConfigError


@dataclass(frozen=True)
class Noise:
    """Gaussian noise; the ratio of the voice's power to its own is drawn for each recording.

    Args:
        seed: of the copy; another one gives other noise.
        ratio: the least and the greatest ratio, in dB.
        colour: "white", equal power in every Hz, or "pink", in every octave.

    Raises:
        ConfigError: if `ratio` is no range.
    """

    seed: int
    ratio: Sequence[float]
    colour: Literal["white", "pink"]

    def __post_init__(self) -> None:
        """Refuse what is no range."""
        if len(self.ratio) != 2 or self.ratio[0] > self.ratio[1]:
            raise ConfigError(f"{self.ratio} is no range", where="augment.copies", do="give ratio=[10,30], in dB")

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """`(samples,)` to as many."""
        generator = drawn.generator(wave, self.seed)
        ratio = drawn.between(self.ratio, generator)
        noise = torch.randn(len(wave), generator=generator)
        if self.colour == "pink":
            spectrum = torch.fft.rfft(noise)
            spectrum /= torch.arange(len(spectrum)).clamp(min=1).sqrt()
            noise = torch.fft.irfft(spectrum, len(wave))
        scale = wave.square().mean().sqrt() / noise.square().mean().sqrt().clamp(min=1e-9)
        return wave + noise * scale * 10 ** (-ratio / 20)
