"""Scores of predicted emotions: pure functions of (truth, prediction, speaker) arrays, all from confusion matrices.

Every array has one entry an utterance, `(utterance,)`; truth and prediction hold names from `EMOTIONS`, speaker holds
integers. Scores are fractions and plain floats; one that is not defined is None, so that it survives JSON.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ser.utterances import EMOTIONS

Interval = list[float] | None


class Scores(TypedDict):
    """Of a set of utterances."""

    accuracy: float
    uar: float
    macro_f1: float


class EmotionScores(TypedDict):
    """Of one emotion."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class SpeakerScores(TypedDict):
    """Of one speaker."""

    accuracy: float
    uar: float
    n: int


class Intervals(TypedDict):
    """95% intervals, `[low, high]`."""

    accuracy_ci95: Interval
    uar_ci95: Interval


def confusion(truth: ArrayLike, prediction: ArrayLike) -> NDArray[np.int64]:
    """Count utterances by (truth, prediction), `(8, 8)` in the order of `EMOTIONS`.

    Raises:
        ValueError: if there are no utterances, the lengths differ, or a name is not an emotion.
    """
    true, predicted = _indices(truth), _indices(prediction)
    if not len(true) or len(true) != len(predicted):
        raise ValueError(
            f"{len(true)} true and {len(predicted)} predicted emotions: give as many of both, at least one"
        )
    cells = np.bincount(true * len(EMOTIONS) + predicted, minlength=len(EMOTIONS) ** 2)
    return cells.reshape(len(EMOTIONS), len(EMOTIONS))


def scores(truth: ArrayLike, prediction: ArrayLike) -> Scores:
    """`scores_of` the confusion of two arrays."""
    return scores_of(confusion(truth, prediction))


def scores_of(counts: NDArray[np.int64]) -> Scores:
    """Accuracy; UAR, the mean recall of the emotions that occur in truth; macro-F1 of those in truth or prediction.

    An emotion that is predicted but never true thus counts with F1 = 0, and does not touch UAR (scikit-learn's
    `balanced_accuracy_score` and `f1_score(average="macro")`).

    Args:
        counts: utterances by (truth, prediction), `(class, class)`.
    """
    hits, support, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    occurs = support + predicted > 0
    f1 = 2 * hits[occurs] / (support + predicted)[occurs]
    accuracy, uar = _accuracy_and_uar(hits, support)
    return {"accuracy": float(accuracy), "uar": float(uar), "macro_f1": float(f1.mean())}


def per_emotion(truth: ArrayLike, prediction: ArrayLike) -> dict[str, EmotionScores]:
    """Precision, recall, F1 and support (true utterances) of all eight emotions, in the order of `EMOTIONS`.

    A ratio without a denominator is None: precision if the emotion was never predicted, recall if it never occurs, F1
    if neither.
    """
    counts = confusion(truth, prediction)
    hits, support, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    return {
        emotion: {
            "precision": _ratio(hits[i], predicted[i]),
            "recall": _ratio(hits[i], support[i]),
            "f1": _ratio(2 * hits[i], support[i] + predicted[i]),
            "support": int(support[i]),
        }
        for i, emotion in enumerate(EMOTIONS)
    }


def per_speaker(truth: ArrayLike, prediction: ArrayLike, speaker: ArrayLike) -> dict[str, SpeakerScores]:
    """Accuracy, UAR and number of utterances of every speaker, by number as at least two digits ("01")."""
    speakers, counts = _confusion_by_speaker(truth, prediction, speaker)
    accuracy, uar = _accuracy_and_uar(np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2))
    n = counts.sum(axis=(1, 2))
    return {
        f"{number:02d}": {"accuracy": float(accuracy[i]), "uar": float(uar[i]), "n": int(n[i])}
        for i, number in enumerate(speakers)
    }


def speaker_bootstrap(
    truth: ArrayLike, prediction: ArrayLike, speaker: ArrayLike, *, resamples: int = 9999, seed: int = 0
) -> Intervals:
    """95% percentile intervals of accuracy and UAR over speakers drawn with replacement, `[low, high]`.

    Whole speakers are drawn, since the utterances of one speaker are not independent. Percentiles are used because
    they stay defined when all speakers score the same; with few speakers they are somewhat narrow. With a single
    speaker there is nothing to draw from, and both intervals are None.
    """
    from scipy.stats import bootstrap

    speakers, counts = _confusion_by_speaker(truth, prediction, speaker)
    if len(speakers) < 2:
        return {"accuracy_ci95": None, "uar_ci95": None}
    hits, support = np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2)

    def statistic(drawn: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        rows = np.moveaxis(drawn, axis, -1)
        return np.stack(_accuracy_and_uar(hits[rows].sum(axis=-2), support[rows].sum(axis=-2)))

    interval = bootstrap(
        (np.arange(len(speakers)),),
        statistic,
        n_resamples=resamples,
        batch=1000,  # bounds the memory to 1000 x speaker x emotion counts
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    low, high = np.asarray(interval.low), np.asarray(interval.high)
    return {"accuracy_ci95": [float(low[0]), float(high[0])], "uar_ci95": [float(low[1]), float(high[1])]}


def _indices(emotions: ArrayLike) -> NDArray[np.int64]:
    number = {emotion: i for i, emotion in enumerate(EMOTIONS)}
    names = np.asarray(emotions, dtype=object).tolist()
    unknown = sorted({str(name) for name in names} - set(EMOTIONS))
    if unknown:
        raise ValueError(f"not among the emotions {', '.join(EMOTIONS)}: {', '.join(unknown)}")
    return np.array([number[name] for name in names], dtype=np.int64)


def _confusion_by_speaker(
    truth: ArrayLike, prediction: ArrayLike, speaker: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted speakers `(speaker,)` and their confusion matrices `(speaker, 8, 8)`."""
    true, predicted = np.asarray(truth, dtype=object), np.asarray(prediction, dtype=object)
    who = np.asarray(speaker).astype(np.int64)
    if not len(who) or not len(true) == len(predicted) == len(who):
        raise ValueError(
            f"{len(true)} true, {len(predicted)} predicted emotions, {len(who)} speakers: give as many of all"
        )
    speakers = np.unique(who)
    return speakers, np.stack([confusion(true[who == one], predicted[who == one]) for one in speakers])


def _accuracy_and_uar(
    hits: NDArray[np.int64], support: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Accuracy and UAR `(...)` from the right and the true utterances of each emotion, `(..., 8)`."""
    occurs = support > 0
    recall = np.where(occurs, hits / np.maximum(support, 1), 0.0)
    return hits.sum(axis=-1) / support.sum(axis=-1), recall.sum(axis=-1) / occurs.sum(axis=-1)


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
