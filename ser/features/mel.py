"""Mel spectrogram in dB: torchaudio's, absolute, so that the level of the voice stays in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torchaudio.transforms import MelSpectrogram, Resample


@dataclass(frozen=True)
class Mel:
    """`n_mels` mel bands between `f_min` and `f_max` Hz (`None`: half the rate), every `hop_length` samples.

    Values are 10 log10 of power, dB re full scale, no lower than `floor_db`.
    """

    sample_rate: int
    n_fft: int
    hop_length: int
    n_mels: int
    f_min: float
    f_max: float | None
    floor_db: float

    @property
    def silence(self) -> float:
        """What stands where no sound is: the floor, in dB."""
        return self.floor_db

    @property
    def names(self) -> tuple[str, ...]:
        """One name a band, from the lowest."""
        return tuple(f"mel_{band:02d}" for band in range(self.n_mels))

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """Wave `(samples,)` at `rate` Hz to `(frame, mel)` in dB, frames centred on multiples of the hop."""
        if rate != self.sample_rate and len(wave):
            wave = _resampler(rate, self.sample_rate)(wave)
        if len(wave) <= self.n_fft // 2:  # reflection at the ends needs more than half a window
            wave = torch.nn.functional.pad(wave, (0, self.n_fft // 2 + 1 - len(wave)))
        power: Tensor = _transform(self)(wave)
        return power.clamp(min=10 ** (self.floor_db / 10)).log10().mul(10).T.contiguous()


@lru_cache
def _transform(mel: Mel) -> MelSpectrogram:
    from torchaudio.transforms import MelSpectrogram

    return MelSpectrogram(
        sample_rate=mel.sample_rate,
        n_fft=mel.n_fft,
        hop_length=mel.hop_length,
        n_mels=mel.n_mels,
        f_min=mel.f_min,
        f_max=mel.f_max,
    )


@lru_cache
def _resampler(rate: int, target: int) -> Resample:
    from torchaudio.transforms import Resample

    return Resample(rate // math.gcd(rate, target), target // math.gcd(rate, target))
