"""For start.py and predict.py: a corpus of any size, of tiny files, and features that are made up.

data.read._target_=large.read data.root=FOLDER data.download=false features._target_=large.MadeUp
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from torch import Tensor

from ser.corpora.listing import Listing
from ser.corpora.ravdess import EMOTIONS
from ser.features.mel import Mel

CLIPS, SPEAKERS, FRAMES = 1440, 24, 350
"""RAVDESS's; the frames of 3.7 s at 48 kHz and a hop of 512."""


def write_corpus(root: Path, times: int) -> None:
    """Write `times` as many recordings as RAVDESS has, all different, of a hundredth of a second each."""
    root.mkdir()
    rng = np.random.default_rng(0)
    for clip in range(times * CLIPS):
        speaker, emotion = clip % SPEAKERS + 1, EMOTIONS[clip // SPEAKERS % len(EMOTIONS)]
        wave = rng.integers(-9999, 9999, 480, dtype=np.int16)
        soundfile.write(root / f"{clip:06d}_{speaker:02d}_{emotion}.wav", wave, 48000, subtype="PCM_16")


def read(root: str) -> Listing:
    """The recordings by their names."""
    files = sorted(Path(root).iterdir())
    _, speakers, emotions = zip(*(file.stem.split("_") for file in files), strict=True)
    names = {"utterance": [file.stem for file in files], "path": [str(file) for file in files]}
    return Listing(pd.DataFrame({**names, "speaker": speakers, "emotion": emotions}), EMOTIONS)


@dataclass(frozen=True)
class MadeUp(Mel):
    """As many rows as a recording of RAVDESS has, random, with a seed from the samples."""

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """`(350, mel)`, whatever the wave is."""
        seed = int(wave[:4].mul(32768).long().sum()) + 40000
        return torch.randn(FRAMES, self.n_mels, generator=torch.Generator().manual_seed(seed)) * 15 - 60
