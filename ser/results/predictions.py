"""Predictions: one row per utterance with its truth, prediction and a probability per emotion; built, written, read.

Everything that comes after a model (metrics, tables, figures, comparisons) starts from this one CSV. Its label set is
named by its `score_` columns, in their order. Numbers are written so that reading gives the same bits back.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ser.atomic import write_text
from ser.errors import DataError
from ser.utterances import class_indices, labels_of

ABOUT = ("utterance", "path", "speaker", "sex", "emotion", "intensity", "statement")
"""Followed by `predicted`, `correct` and a `score_<emotion>` per label, a probability. `emotion` and `predicted` are
categorical over the labels, `correct` is a boolean; all else is text, "" where the corpus does not say."""

SCORE = "score_"


def build(table: pd.DataFrame, probabilities: ArrayLike) -> pd.DataFrame:
    """Predictions for the rows of an utterance table: the emotion with the highest probability, the first of equals.

    Args:
        table: any rows of an utterance table, in the order of the probabilities.
        probabilities: `(utterance, class)`, the columns in the order of the table's labels.

    Raises:
        DataError: if there are no rows, or a row is not a distribution over the emotions.
    """
    labels, scores = labels_of(table), np.asarray(probabilities, dtype=np.float64)
    rows = table.loc[:, list(ABOUT)].reset_index(drop=True)
    if rows.empty:
        raise DataError("no utterance to score")
    wrong = (scores < 0).any(axis=1) | ~np.isclose(scores.sum(axis=1), 1, atol=1e-4)  # single precision misses by 1e-6
    if wrong.any():
        raise DataError(
            f"scores that are not probabilities: row {wrong.argmax() + 1}, utterance "
            f"{rows['utterance'][wrong.argmax()]!r}, {wrong.sum()} of {len(rows)} rows",
            do="see if the training diverged: its loss is in metrics.csv",
        )
    rows["predicted"] = pd.Categorical.from_codes(scores.argmax(axis=1), pd.Index(labels))
    rows["correct"] = class_indices(rows) == rows["predicted"].cat.codes
    return rows.join(pd.DataFrame(scores, columns=[SCORE + label for label in labels]))


def write(predictions: pd.DataFrame, path: str | Path) -> None:
    """Write predictions as CSV, whole or not at all."""
    write_text(path, predictions.to_csv(index=False, lineterminator="\n"))


def read(path: str | Path) -> pd.DataFrame:
    """Read what `write` wrote; other columns are dropped, `correct` is found again.

    Raises:
        DataError: if the file can't be read, lacks a column or a row, or a row contradicts itself.
    """
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        labels = [name.removeprefix(SCORE) for name in map(str, rows) if name.startswith(SCORE)]
        missing = [name for name in (*ABOUT, "predicted") if name not in rows] + [f"{SCORE}<emotion>"] * (not labels)
        if missing:
            raise ValueError(f"it has no {', '.join(missing)}")
        if not rows["emotion"].isin(labels).all():
            raise ValueError(f"an emotion is none of {', '.join(labels)}")
        table = rows.assign(emotion=pd.Categorical(rows["emotion"], labels))
        found = build(table, rows[[SCORE + label for label in labels]].astype(float))
        if (found["predicted"].astype(str) != rows["predicted"]).any():
            raise ValueError("predicted is not the emotion with the highest score")
    except (OSError, ValueError, DataError) as error:
        raise DataError(
            f"not a table of predictions: {error.what if isinstance(error, DataError) else error}",
            where=path,
            do="give the test_results.csv of an evaluation, or write it again with `python evaluate.py ckpt=...`",
        ) from error
    return found


def class_pairs(predictions: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """True and predicted class of every row, `(utterance,)`, and how many classes there are."""
    truth, predicted = (np.asarray(predictions[name].cat.codes, np.int64) for name in ("emotion", "predicted"))
    return truth, predicted, len(labels_of(predictions))
