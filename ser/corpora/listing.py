"""What a corpus reader found by names alone, before any recording is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


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


def counted(left_out: Mapping[str, int]) -> str:
    """Such as `left out: 40 song, 12 video files`."""
    return f"left out: {', '.join(f'{count} {kind}' for kind, count in sorted(left_out.items()))} files"


def printable(text: str) -> str:
    """The text with the bytes of file names that are not UTF-8 as escapes: a log can't take them."""
    return text.encode(errors="backslashreplace").decode()
