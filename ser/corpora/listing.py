"""What a corpus reader found by names alone, before any recording is decoded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ser.errors import printable

FEW = 20
"""So many problems are all named; of more, some of every kind, and how many there are."""
SHOWN = 5
"""Examples of each."""


@dataclass(frozen=True)
class Problem:
    """A file, or a line of a table, that can't be used, and why."""

    path: str
    what: str

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.what}")


@dataclass(frozen=True)
class Listing:
    """The recordings of a corpus.

    `table` has the columns of `ser.utterances.COLUMNS` that the corpus knows, one id possibly at several paths; and
    optionally the text column `misplaced`, "" or why a file seems to be in a wrong place. `labels` are its emotions,
    in order. `left_out` counts the files that belong to the corpus but not to the task, by kind. `whole` is how many
    utterances the whole corpus has, `rate` the sample rate of its originals in Hz; None if there is no such number.
    """

    table: pd.DataFrame
    labels: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    whole: int | None = None
    rate: int | None = None


def summarised(problems: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The lines of all problems if they are few; else how many there are of each kind, and the first of these.

    Returns:
        What to show, and all of them if some are not shown.
    """
    if len(problems) <= FEW:
        return problems, ()
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(re.sub(r"'[^']*'|\S*[/\\]\S*|\d+", "…", problem), []).append(problem)
    lines: list[str] = []
    for of in sorted(kinds.values(), key=len, reverse=True):
        lines += of if len(of) == SHOWN + 1 else of[:SHOWN]
        lines += [f"  and {len(of) - SHOWN} more like these"] if len(of) > SHOWN + 1 else []
    return lines, problems


def counted(left_out: Mapping[str, int]) -> str:
    """Such as `left out: 40 song, 12 video files`."""
    return f"left out: {', '.join(f'{count} {kind}' for kind, count in sorted(left_out.items()))} files"
