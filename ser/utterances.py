"""The utterance table: one row per utterance, read by every later step; it carries its label set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ser.errors import ConfigError, DataError

NEEDED = ("utterance", "path", "speaker", "emotion")
KNOWN = {"sex": "", "intensity": "", "statement": "", "repetition": ""}
SEGMENT = {"start": 0.0, "end": np.inf}
"""Seconds in a longer recording. These two have the values of what a corpus does not say."""

COLUMNS = (*NEEDED, *KNOWN, *SEGMENT)
"""`utterance` is the unique id; `emotion` is categorical, and its categories are the label set, in order; `start` and
`end` are numbers; all else is text."""


def utterance_table(rows: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Return `rows` with exactly the table's columns, ordered by id; columns that it lacks are filled in as unknown.

    Args:
        rows: `NEEDED` and any other of `COLUMNS`.
        labels: the emotions, in the order that class indices, score columns and confusion matrices have.

    Raises:
        DataError: if a needed column is missing, an id is not unique, two names of a speaker differ in leading zeros
            alone, or an emotion is not one of the labels.
    """
    missing = [column for column in NEEDED if column not in rows]
    if missing:
        raise DataError(f"the utterance table lacks {', '.join(missing)}", do=f"give it all of {', '.join(NEEDED)}")
    table = rows.assign(**{name: of for name, of in (KNOWN | SEGMENT).items() if name not in rows})
    table = table.loc[:, list(COLUMNS)].sort_values("utterance", kind="stable", ignore_index=True)
    table = table.astype(dict.fromkeys((*NEEDED, *KNOWN), str) | dict.fromkeys(SEGMENT, float))
    if table["utterance"].duplicated().any():
        duplicated = table.loc[table["utterance"].duplicated(), "utterance"].unique()
        raise DataError(f"utterance ids that are not unique: {', '.join(duplicated[:10])}")
    names = table["speaker"].drop_duplicates()
    alike = names[names.map(speaker_key).duplicated(keep=False)]
    if len(alike):
        raise DataError(f"speakers whose names differ in leading zeros alone: {', '.join(alike)}")
    unknown = sorted(set(table["emotion"]) - set(labels))
    if unknown:
        raise DataError(f"emotions that are not labels here: {', '.join(unknown)}", do=f"use {', '.join(labels)}")
    return table.assign(emotion=pd.Categorical(table["emotion"], list(labels)))


def labels_of(table: pd.DataFrame) -> tuple[str, ...]:
    """The label set, in order."""
    return tuple(table["emotion"].cat.categories)


def class_indices(table: pd.DataFrame) -> NDArray[np.int64]:
    """Index of every row's emotion in the label set, `(utterance,)`."""
    return np.asarray(table["emotion"].cat.codes, np.int64)


def relabelled(table: pd.DataFrame, choice: Mapping[str, str | None] | Sequence[str] | None) -> pd.DataFrame:
    """The table with emotions merged, renamed or left out.

    Args:
        choice: from an emotion to its new name, None to leave it out, while those that are not named stay; or a list
            of the emotions to keep; None for all as they are.

    Raises:
        ConfigError: if it names an emotion that is not a label.
    """
    if choice is None:
        return table
    renamed = renaming(labels_of(table), choice)
    kept = table[table["emotion"].map(renamed).notna().to_numpy()]
    return utterance_table(
        kept.assign(emotion=kept["emotion"].astype(str).map(renamed)),
        list(dict.fromkeys(name for name in renamed.values() if name is not None)),
    )


def renaming(old: Sequence[str], choice: Mapping[str, str | None] | Sequence[str]) -> dict[str, str | None]:
    """What becomes of each of the labels by a choice of `relabelled`; None is left out.

    Raises:
        ConfigError: if it names an emotion that is not a label.
    """
    if isinstance(choice, str):
        raise ConfigError(f"{choice!r} is neither a mapping nor a list", where="data.labels", do="give [one,other]")
    if isinstance(choice, Mapping):
        names = {str(name): None if new is None else str(new) for name, new in choice.items()}
        unknown = sorted(set(names) - set(old))
    else:
        kept = set(map(str, choice))
        names, unknown = {label: None for label in old if label not in kept}, sorted(kept - set(old))
    if unknown:
        raise ConfigError(
            f"no emotion of the corpus is called {', '.join(unknown)}", where="data.labels", do=f"use {', '.join(old)}"
        )
    return {label: names.get(label, label) for label in old}


def speaker_key(name: object) -> str:
    """What speakers are compared and drawn by: 1, "1" and "01" are one speaker."""
    text = str(name).strip()
    return str(int(text)) if text.isascii() and text.isdecimal() else text


def rows_of(table: pd.DataFrame, speakers: Sequence[object]) -> tuple[int, ...]:
    """Row numbers of these speakers' utterances."""
    wanted = {speaker_key(speaker) for speaker in speakers}
    return tuple(int(row) for row in np.flatnonzero(table["speaker"].map(speaker_key).isin(wanted)))
