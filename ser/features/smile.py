"""openSMILE's feature sets, one vector per utterance: eGeMAPSv02 (88 values) and ComParE_2016 (6,373).

Sources: Eyben et al. (2016), doi:10.1109/TAFFC.2015.2457417; Schuller et al. (2016), doi:10.21437/Interspeech.2016-129.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from ser.errors import ConfigError
from ser.features.resample import resample

if TYPE_CHECKING:
    import opensmile

FAMILIES = {
    "timing": r"loudnessPeaks|VoicedSegments|(Mean|Stddev)(Unv|V)oicedSegment",
    "pitch": r"F0(semitone|final)|jitter",
    "voicing": r"voicing|HNR|logHNR|logRelF0",
    "formants": r"F[123]",
    "level": r"loudness|equivalentSoundLevel|shimmer|audspec(Rasta)?_lengthL1norm|pcm_RMSenergy",
    "bands": r"audSpec_Rfilt",
    "mfcc": r"mfcc",
    "spectrum": r"alphaRatio|hammarberg|slope|spectralFlux|pcm_fftMag|pcm_zcr",
}
"""What the names begin with; the first family that fits."""


@dataclass(frozen=True)
class Smile:
    """The functionals of `feature_set`; when first used, a ConfigError if opensmile is not installed."""

    silence: ClassVar[float] = 0.0

    feature_set: Literal["eGeMAPSv02", "ComParE_2016"]
    sample_rate: int

    @property
    def names(self) -> tuple[str, ...]:
        """OpenSMILE's name of each dimension."""
        return tuple(_extractor(self.feature_set, threading.get_ident()).feature_names)

    @property
    def families(self) -> tuple[str, ...]:
        """What each dimension is a statistic of, as `FAMILIES` has it; else "other"."""
        found = ((family for family, begins in FAMILIES.items() if re.match(begins, name)) for name in self.names)
        return tuple(next(families, "other") for families in found)

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """Wave `(samples,)` at `rate` Hz to `(1, dim)` float32; what openSMILE leaves undefined is 0."""
        wave = resample(wave, rate, self.sample_rate)
        extractor = _extractor(self.feature_set, threading.get_ident())
        return torch.from_numpy(extractor(wave.numpy(), self.sample_rate)).reshape(1, -1).nan_to_num(0.0, 0.0, 0.0)


@lru_cache(maxsize=256)
def _extractor(feature_set: str, thread: int) -> opensmile.Smile:
    """One extractor per thread: openSMILE keeps the state of the call in it."""
    try:
        import opensmile
    except ImportError:
        do = 'pip install "ser[opensmile]", or use features=functionals'
        what = f"{feature_set} needs the package opensmile, which is not installed"
        raise ConfigError(what, where="features", do=do) from None
    return opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.Functionals)
