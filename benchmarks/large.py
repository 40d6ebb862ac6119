"""For start.py: a corpus as large as one likes, of tiny files whose features are made up, to train on with `train.py`.

data.read._target_=large.read data.root=FOLDER features._target_=large.MadeUp
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
from ser.features.mel import Mel
from ser.utterances import EMOTIONS, utterance_table

CLIPS, SPEAKERS, FRAMES = 1440, 24, 350
"""Of RAVDESS; frames are those of 3.7 s at 48 kHz and a hop of 512."""


def write(root: Path, times: int) -> None:
    """So many times RAVDESS's number of recordings, all different, of a hundredth of a second each."""
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
    rows = pd.DataFrame(
        {
            "utterance": [file.stem for file in files],
            "path": [str(file) for file in files],
            "speaker": [int(speaker) for speaker in speakers],
            "sex": "female",
            "emotion": emotions,
            "intensity": "normal",
            "statement": 1,
            "repetition": 1,
        }
    )
    return Listing(utterance_table(rows))


@dataclass(frozen=True)
class MadeUp(Mel):
    """As many rows as a recording of RAVDESS has, drawn from what is heard."""

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """`(350, mel)`, whatever the wave is."""
        seed = int(wave[:4].mul(32768).long().sum()) + 40000
        return torch.randn(FRAMES, self.n_mels, generator=torch.Generator().manual_seed(seed)) * 15 - 60
