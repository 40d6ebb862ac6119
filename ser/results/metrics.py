"""Scores of predicted classes: pure functions, all from counts of utterances by (truth, prediction).

Scores are fractions. One that is not defined is NaN in an array, and None where it is a plain value, for JSON.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

RESAMPLES = 9999


def confusion(truth: ArrayLike, prediction: ArrayLike, classes: int) -> Counts:
    """Count utterances by (truth, prediction), both class indices `(utterance,)`: `(class, class)`."""
    cells = np.asarray(truth, np.int64) * classes + np.asarray(prediction, np.int64)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def confusion_by_speaker(
    truth: ArrayLike, prediction: ArrayLike, speaker: ArrayLike, classes: int
) -> tuple[list[str], Counts]:
    """Sorted speakers, and the `confusion` of each, `(speaker, class, class)`."""
    speakers, number = np.unique(np.asarray(speaker, dtype=object), return_inverse=True)
    true, predicted = np.asarray(truth), np.asarray(prediction)
    rows = [number == one for one in range(len(speakers))]
    return speakers.tolist(), np.stack([confusion(true[of_one], predicted[of_one], classes) for of_one in rows])


def shares(counts: Counts) -> Floats:
    """Share of its row in every cell, `(..., class, class)`: the diagonal is recall; NaN in a row without utterances.

    As scikit-learn's `confusion_matrix(normalize="true")`, which has 0 in such a row.
    """
    return _ratio(counts, counts.sum(axis=-1, keepdims=True))


def accuracy(counts: Counts) -> Floats:
    """Share of right predictions of each matrix, `(..., class, class)` to `(...)`."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def uar(counts: Counts) -> Floats:
    """Unweighted average recall, over the classes that occur in truth, `(..., class, class)` to `(...)`."""
    return np.asarray(np.nanmean(np.diagonal(shares(counts), axis1=-2, axis2=-1), axis=-1))


def scores(counts: Counts) -> dict[str, float]:
    """`accuracy`, `uar` and `macro_f1`, the mean F1 of the classes in truth or prediction, of `(class, class)` counts.

    A class that is predicted but never true thus counts with F1 = 0, and does not touch UAR (scikit-learn's
    `balanced_accuracy_score` and `f1_score(average="macro")`).
    """
    return {"accuracy": float(accuracy(counts)), "uar": float(uar(counts)), "macro_f1": float(np.nanmean(_f1(counts)))}


def per_class(counts: Counts) -> list[dict[str, Any]]:
    """`precision`, `recall`, `f1` and `support` (true utterances) of every class of `(class, class)` counts.

    A ratio without a denominator is None: precision if the class was never predicted, recall if it never occurs, F1
    if neither.
    """
    columns = {"precision": shares(counts.T).diagonal(), "recall": shares(counts).diagonal(), "f1": _f1(counts)}
    return [
        {name: None if np.isnan(values[i]) else float(values[i]) for name, values in columns.items()} | {"support": n}
        for i, n in enumerate(counts.sum(axis=1).tolist())
    ]


def per_speaker(counts: Counts) -> list[dict[str, Any]]:
    """`accuracy`, `uar` and number of utterances `n` of every speaker of `(speaker, class, class)` counts."""
    columns = zip(accuracy(counts).tolist(), uar(counts).tolist(), counts.sum(axis=(1, 2)).tolist(), strict=True)
    return [dict(zip(("accuracy", "uar", "n"), values, strict=True)) for values in columns]


def speaker_bootstrap(counts: Counts) -> dict[str, list[float] | None]:
    """95% percentile intervals of accuracy and UAR over speakers drawn with replacement; None with a single speaker.

    Whole speakers are drawn, since the utterances of one speaker are not independent. Percentiles are used because
    they stay defined when all speakers score the same; with few speakers they are somewhat narrow. The intervals are
    those of `scipy.stats.bootstrap(method="percentile")`, to the bit.

    Args:
        counts: of every speaker, `(speaker, class, class)`.
    """
    count, rng = len(counts), np.random.default_rng(0)
    if count < 2:
        return {"accuracy_ci95": None, "uar_ci95": None}
    drawn = np.stack([counts[rng.integers(count, size=count)].sum(axis=0) for _ in range(RESAMPLES)])
    by_name = {"accuracy_ci95": accuracy(drawn), "uar_ci95": uar(drawn)}
    return {name: np.percentile(values, [2.5, 97.5]).tolist() for name, values in by_name.items()}


def _ratio(part: Counts, whole: Counts) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray(part / whole)


def _f1(counts: Counts) -> Floats:
    return _ratio(2 * counts.diagonal(), counts.sum(axis=1) + counts.sum(axis=0))
