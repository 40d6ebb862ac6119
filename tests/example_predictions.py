"""Predictions to test with: chosen by hand, or made up for a whole test set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from ser.results import predictions
from ser.utterances import EMOTIONS

FACTS = {"protocol": "reference", "speakers": "unseen in training"}


def chosen(truth: Sequence[str], predicted: Sequence[str], actors: Sequence[int]) -> pd.DataFrame:
    """An utterance for each entry; the predicted emotion has a probability of 0.65, the others of 0.05."""
    sure = np.array([[0.65 if emotion == best else 0.05 for emotion in EMOTIONS] for best in predicted])
    return predictions.build(utterances(truth, actors), sure)


def made_up(actors: Iterable[int], seed: int = 0) -> pd.DataFrame:
    """60 utterances an actor as in RAVDESS, about half of them right."""
    takes = [emotion for emotion in EMOTIONS for _ in range(4 if emotion == "neutral" else 8)]
    clips = [(emotion, actor) for actor in actors for emotion in takes]
    truth = [emotion for emotion, _ in clips]
    logits = np.random.default_rng(seed).normal(0, 1.2, (len(clips), len(EMOTIONS)))
    logits[range(len(clips)), [EMOTIONS.index(emotion) for emotion in truth]] += 2
    likely = np.exp(logits)
    table = utterances(truth, [actor for _, actor in clips])
    return predictions.build(table, likely / likely.sum(axis=1, keepdims=True))


def utterances(truth: Sequence[str], actors: Sequence[int]) -> pd.DataFrame:
    rows = [
        {
            "utterance": f"clip-{number:04d}",
            "path": f"Actor_{actor:02d}/clip-{number:04d}.wav",
            "speaker": actor,
            "sex": "male" if actor % 2 else "female",
            "emotion": emotion,
            "intensity": "normal",
            "statement": 1 + number % 2,
            "repetition": 1,
        }
        for number, (emotion, actor) in enumerate(zip(truth, actors, strict=True))
    ]
    return pd.DataFrame(rows)
