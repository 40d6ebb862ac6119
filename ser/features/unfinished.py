"""What a computation of features that was stopped has left, so that the next one goes on from there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

JOURNAL = "done.jsonl"
"""Beside the rows: a line for each recording whose rows are written, in order."""

Line = Mapping[str, Any]


def take_up(folder: Path, rows: str, names: Sequence[str], columns: Sequence[str], row_bytes: int) -> list[Line]:
    """The lines of the recordings that are done; both files are cut to these, and made if they are not there.

    Args:
        folder: of the computation.
        rows: the name of the file of rows.
        names: of the recordings, in the order in which they are computed.
        columns: of a line, besides the recording's name; `length` among them, a number of rows.
        row_bytes: of one row.
    """
    folder.mkdir(exist_ok=True)
    paths = folder / JOURNAL, folder / rows
    for path in paths:
        path.touch()
    done: list[Line] = []
    size, length = paths[1].stat().st_size, 0
    for name, text in zip(names, paths[0].read_text(encoding="utf-8", errors="replace").splitlines(), strict=False):
        line = None
        with suppress(ValueError):  # the last one may be torn
            line = json.loads(text)
        if not isinstance(line, dict) or set(line) != {"recording", *columns} or line["recording"] != name:
            break
        if type(line["length"]) is not int or line["length"] < 0:
            break
        if (length + line["length"]) * row_bytes > size:  # written, but not through to the disk
            break
        done.append(line)
        length += line["length"]
    os.truncate(paths[1], length * row_bytes)
    paths[0].write_text("".join(f"{json.dumps(line)}\n" for line in done), encoding="utf-8")
    return done


def note(journal: TextIO, lines: Iterable[Line]) -> None:
    """Add lines whose rows are written."""
    journal.writelines(f"{json.dumps(line)}\n" for line in lines)
    journal.flush()
