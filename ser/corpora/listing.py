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
    """The recordings of a corpus as `ser.utterances.COLUMNS`, where one id may stand at several paths.

    `left_out` counts the files that belong to the corpus but not to the task, by kind; `incomplete` says what a whole
    corpus has besides.
    """

    table: pd.DataFrame
    problems: tuple[Problem, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    incomplete: tuple[str, ...] = ()


def counted(left_out: dict[str, int]) -> str:
    """Such as `40 song, 12 video files`."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items())) + " files"


def printable(text: str) -> str:
    """The text with the bytes of file names that are not UTF-8 as escapes: a log can't take them."""
    return text.encode(errors="backslashreplace").decode()
