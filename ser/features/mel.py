"""Mel spectrogram in dB re full scale: the values of torchaudio's `MelSpectrogram`, in half the time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ser.errors import ConfigError
from ser.features.resample import resample
from ser.features.trim import check, trim

AT_ONCE = 4096  # frames whose spectra are in memory together: an hour has 170,000


@dataclass(frozen=True)
class Mel:
    """`n_mels` mel bands between `f_min` and `f_max` Hz (`None`: half the rate), every `hop_length` samples.

    Values are 10 log10 of power, dB re full scale, no lower than `floor_db`. `trim_db`: see `ser.features.trim`.

    Raises:
        ConfigError: if a size is not positive.
    """

    sample_rate: int
    n_fft: int
    hop_length: int
    n_mels: int
    f_min: float
    f_max: float | None
    floor_db: float
    trim_db: float | None = None

    def __post_init__(self) -> None:
        """Refuse sizes that give no spectrogram."""
        for name in ("sample_rate", "n_fft", "hop_length", "n_mels"):
            if (value := getattr(self, name)) < 1:
                raise ConfigError(f"{value} is too small", where=f"features.{name}", do="give 1 or more")
        check(self.trim_db)

    @property
    def silence(self) -> float:
        """The value where no sound is: the floor, in dB."""
        return self.floor_db

    @property
    def names(self) -> tuple[str, ...]:
        """One name per band, from the lowest."""
        return tuple(f"mel_{band:02d}" for band in range(self.n_mels))

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """Wave `(samples,)` at `rate` Hz to `(frame, mel)` in dB, frames centred on multiples of the hop."""
        wave = resample(trim(wave, rate, self.trim_db), rate, self.sample_rate)
        half = self.n_fft // 2
        if len(wave) <= half:  # reflection at the ends needs more than half a window
            wave = torch.nn.functional.pad(wave, (0, half + 1 - len(wave)))
        window, bands = _window_and_bands(self)
        mirrored = torch.cat([wave[1 : half + 1].flip(0), wave, wave[-half - 1 : -1].flip(0)])
        frames = mirrored.unfold(0, self.n_fft, self.hop_length)
        power = torch.cat([_power(some * window) @ bands for some in torch.split(frames, AT_ONCE)])
        return power.clamp_(min=10 ** (self.floor_db / 10)).log10_().mul_(10)


def _power(frames: Tensor) -> Tensor:
    """`(frame, sample)` to `(frame, bin)`."""
    spectrum = torch.fft.rfft(frames)
    power: Tensor = (spectrum * spectrum.conj()).real
    return power


@lru_cache
def _window_and_bands(mel: Mel) -> tuple[Tensor, Tensor]:
    """Hann's window `(n_fft,)` and the triangles of the bands `(bin, mel)`."""
    from torchaudio.functional import melscale_fbanks

    f_max = mel.sample_rate / 2 if mel.f_max is None else mel.f_max
    bands = melscale_fbanks(mel.n_fft // 2 + 1, mel.f_min, f_max, mel.n_mels, mel.sample_rate)
    return torch.hann_window(mel.n_fft), bands
