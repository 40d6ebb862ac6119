"""What a corpus reader found by the names of the files, before any is decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Problem:
    """A file that can't be used, and why."""

    path: str
    what: str


@dataclass(frozen=True)
class Listing:
    """The recordings of a corpus as `ser.table.COLUMNS`, where one id may stand at several paths.

    `left_out` counts the files that belong to the corpus but not to the task, by kind.
    """

    table: pd.DataFrame
    problems: tuple[Problem, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
