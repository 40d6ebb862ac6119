"""The utterance table: one row an utterance, the spine that every later step reads."""

from __future__ import annotations

import pandas as pd

from ser.errors import DataError

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""The label order everywhere: class index, score column, axis of a confusion matrix."""

COLUMNS = ("utterance", "path", "speaker", "sex", "emotion", "intensity", "statement", "repetition")
"""`utterance` is the unique id; `speaker`, `statement` and `repetition` are integers; `sex` is "male" or
"female"; `intensity` is "normal" or "strong"; `path` is a string."""


def utterance_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `rows` with exactly the table's columns, ordered by id, or say what is wrong with them.

    Raises:
        DataError: if a column is missing, an id stands twice, or an emotion is not one of `EMOTIONS`.
    """
    missing = [column for column in COLUMNS if column not in rows.columns]
    if missing:
        raise DataError(f"the utterance table lacks {', '.join(missing)}", do=f"give it all of {', '.join(COLUMNS)}")
    table = rows.loc[:, list(COLUMNS)].sort_values("utterance", kind="stable").reset_index(drop=True)
    twice = table.loc[table["utterance"].duplicated(), "utterance"]
    if len(twice):
        raise DataError(f"utterance ids that stand twice: {', '.join(twice.unique()[:10])}")
    unknown = sorted(set(table["emotion"]) - set(EMOTIONS))
    if unknown:
        raise DataError(f"emotions that are not labels here: {', '.join(unknown)}", do=f"use {', '.join(EMOTIONS)}")
    return table


def labels(table: pd.DataFrame) -> list[int]:
    """Class index of every row, in the order of `EMOTIONS`."""
    return [EMOTIONS.index(emotion) for emotion in table["emotion"]]
