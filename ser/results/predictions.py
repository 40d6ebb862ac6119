"""Predictions: one row an utterance with its truth, its prediction and a probability an emotion; built, written, read.

Everything that comes after a model (metrics, tables, figures, comparisons) starts from this one CSV. Numbers are
written so that reading gives the same bits back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ser.atomic import write_text
from ser.errors import DataError
from ser.utterances import EMOTIONS

ABOUT = ("utterance", "path", "actor", "sex", "emotion", "intensity", "statement")
SCORES = tuple(f"score_{emotion}" for emotion in EMOTIONS)
COLUMNS = (*ABOUT, "predicted", "correct", *SCORES)
"""`actor` is the speaker's number as a string of at least two digits ("01"), `statement` an integer, `correct` a
boolean, `score_<emotion>` a probability; the others are strings."""

TOLERANCE = 1e-4
"""By how much the probabilities of a row may miss a sum of 1: those in single precision do by 1e-6."""

_AGAIN = "write the file again with `python evaluate.py ckpt=...`"


def build(table: pd.DataFrame, probabilities: ArrayLike) -> pd.DataFrame:
    """Predictions for the rows of an utterance table: the emotion with the highest probability, the first of equals.

    Args:
        table: any rows of an utterance table, in the order of the probabilities.
        probabilities: `(utterance, 8)`, the columns in the order of `EMOTIONS`.

    Raises:
        DataError: if there are no rows, or a row is not a distribution over the emotions.
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    if scores.shape != (len(table), len(EMOTIONS)):
        raise ValueError(f"probabilities of shape {scores.shape}, not {(len(table), len(EMOTIONS))}")
    rows = table.rename(columns={"speaker": "actor"}).loc[:, list(ABOUT)].reset_index(drop=True)
    rows["actor"] = [_actor(number) for number in rows["actor"]]
    rows["statement"] = rows["statement"].astype("int64")
    rows["predicted"] = [EMOTIONS[best] for best in scores.argmax(axis=1)]
    rows["correct"] = rows["predicted"] == rows["emotion"]
    rows = pd.concat([rows, pd.DataFrame(scores, columns=list(SCORES))], axis=1)
    return check(rows, "the model's probabilities", "see if the training diverged: its loss is in metrics.csv")


def write(predictions: pd.DataFrame, path: str | Path) -> None:
    """Write predictions as CSV, whole or not at all."""
    write_text(path, check(predictions, path).to_csv(index=False, lineterminator="\n"))


def read(path: str | Path) -> pd.DataFrame:
    """Read what `write` wrote, checked; columns beside those of `COLUMNS` are dropped.

    Raises:
        DataError: if the file can't be read, lacks a column or a row, or a row contradicts itself.
    """
    try:
        text = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DataError("there is no such table of predictions", where=path, do="give a test_results.csv") from None
    except (OSError, ValueError) as error:  # pandas' parser errors and undecodable bytes are ValueErrors
        raise DataError(f"not a table of predictions: {str(error).strip()}", where=path, do=_AGAIN) from error
    _check_columns(text, path)
    parsed = {column: _parse(text[column], path) for column in COLUMNS}
    return check(pd.DataFrame(parsed), path)


def check(predictions: pd.DataFrame, where: str | Path, do: str = _AGAIN) -> pd.DataFrame:
    """Return the predictions, with exactly `COLUMNS`, or say which row contradicts itself (row 1 is the first one).

    Raises:
        DataError: naming `where`, the row and its utterance, and what to do.
    """
    _check_columns(predictions, where)
    rows = predictions.loc[:, list(COLUMNS)]
    if not len(rows):
        raise DataError("a table of predictions without a row", where=where, do=do)
    for bad, what in _contradictions(rows):
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            more = f" (and {int(bad.sum()) - 1} more rows)" if bad.sum() > 1 else ""
            row = f"{where}, row {first + 1}, utterance {rows['utterance'].iloc[first]!r}{more}"
            raise DataError(what, where=row, do=do)
    return rows


def _contradictions(rows: pd.DataFrame) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """A mask over the rows and what is wrong with those in it; each may rely on the ones before."""
    names = ", ".join(EMOTIONS)
    yield (rows["utterance"] == "").to_numpy(), "an utterance without an id"
    yield rows["utterance"].duplicated().to_numpy(), "an utterance id that stands twice"
    yield ~rows["sex"].isin(["male", "female"]).to_numpy(), "sex is neither male nor female"
    yield (rows.groupby("actor")["sex"].transform("nunique") > 1).to_numpy(), "an actor with more than one sex"
    yield ~rows["emotion"].isin(EMOTIONS).to_numpy(), f"emotion is none of {names}"
    yield ~rows["predicted"].isin(EMOTIONS).to_numpy(), f"predicted is none of {names}"
    scores = rows.loc[:, list(SCORES)].to_numpy(dtype=np.float64)
    yield ~np.isfinite(scores).all(axis=1), "scores that are not finite numbers"
    outside = (scores < 0) | (scores > 1 + TOLERANCE)
    yield np.asarray(outside.any(axis=1)), "scores that are not probabilities from 0 to 1"
    yield np.abs(scores.sum(axis=1) - 1) > TOLERANCE, "scores that do not sum to 1"
    chosen = scores[np.arange(len(rows)), [EMOTIONS.index(emotion) for emotion in rows["predicted"]]]
    yield chosen < scores.max(axis=1), "predicted is not the emotion with the highest score"
    right = (rows["predicted"] == rows["emotion"]).to_numpy()
    yield rows["correct"].to_numpy(dtype=bool) != right, "correct does not say whether predicted is the emotion"


def _check_columns(rows: pd.DataFrame, where: str | Path) -> None:
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise DataError(f"a table of predictions without {', '.join(missing)}", where=where, do=_AGAIN)


def _parse(cells: pd.Series[str], path: str | Path) -> pd.Series:
    """The values of a column of strings; Python's own float, because pandas' parser may miss the last bit."""
    read = _READ.get(str(cells.name), str)
    values = []
    for row, cell in enumerate(cells, start=1):
        try:
            values.append(read(cell))
        except (ValueError, KeyError):
            raise DataError(f"{cells.name} can't be {cell!r}", where=f"{path}, row {row}", do=_AGAIN) from None
    return pd.Series(values)


def _actor(number: str | int) -> str:
    return f"{int(number):02d}"


def _truth(cell: str) -> bool:
    return {"true": True, "false": False}[cell.lower()]


_READ: dict[str, Callable[[str], object]] = {
    "actor": _actor,
    "statement": int,
    "correct": _truth,
    **dict.fromkeys(SCORES, float),
}
