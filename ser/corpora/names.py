"""Corpora whose files say what they are by their names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping

import pandas as pd

from ser.corpora.files import UNREADABLE, files
from ser.corpora.listing import Listing, Problem, counted, summarised
from ser.errors import DataError

RECORDING = (".wav", ".flac")
OTHER = (".mp3", ".ogg", ".aif", ".aiff", *UNREADABLE)
"""Files that are left out and counted."""


def read(
    root: str | os.PathLike[str],
    *,
    corpus: str,
    describe: Callable[[str], Mapping[str, str] | str],
    labels: tuple[str, ...],
    whole: int,
    rate: int,
    do: str,
) -> Listing:
    """The recordings under `root` at any depth, by their names alone; the id of each is its name without suffix.

    Args:
        root: the corpus's folder.
        corpus: its name, for messages; `labels`, `whole` and `rate` are as in `Listing`.
        describe: from a recording's path to its columns of the table; or, if it does not belong to the task, to what
            it is counted as; raises DataError if the name is none of the corpus's.
        do: what a user can do who has no such corpus there.

    Raises:
        DataError: if there is no such folder, or no recording of the corpus in it.
    """
    rows: list[dict[str, str]] = []
    problems: list[Problem] = []
    left_out: Counter[str] = Counter()
    for path, what in files(root, {*RECORDING, *OTHER}):
        stem, suffix = os.path.splitext(os.path.basename(path))
        if suffix.lower() in OTHER:
            left_out[suffix.lower()] += 1
            continue
        try:
            if what:
                raise DataError(what)
            described = describe(path)
        except DataError as error:
            problems.append(Problem(path, error.what))
            continue
        if isinstance(described, str):
            left_out[described] += 1
        else:
            rows.append({"utterance": stem, "path": path, **described})
    if not rows:
        shown, lines = summarised([*map(str, problems)])
        seen = [*shown, *([counted(left_out)] if left_out else [])]
        what = f"no speech recording of {corpus} ({' or '.join(RECORDING)}) in {root}"
        raise DataError("\n  ".join([what, *seen]), where=os.fspath(root), do=do, lines=lines)
    table = pd.DataFrame(rows).sort_values(["utterance", "path"]).reset_index(drop=True)
    return Listing(table, labels, tuple(sorted(problems, key=str)), left_out, whole, rate)
