"""Any corpus, listed in a table: a CSV file of one row per utterance."""

from __future__ import annotations

import csv
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ser.corpora.files import problem
from ser.corpora.listing import Listing, Problem, summarised
from ser.errors import DataError
from ser.utterances import COLUMNS

NEEDED = ("path", "speaker", "emotion")

log = logging.getLogger(__name__)


def read(
    root: str | os.PathLike[str] | None, file: str | os.PathLike[str] | None, labels: Sequence[str] | None = None
) -> Listing:
    """The utterances that a table lists; rows that can't be used are problems, named by their line.

    The file is UTF-8, separated by commas, semicolons or tabs. Its columns are `path`, `speaker` and `emotion`, and
    any of `utterance` (a unique id; without one, the path and the segment), `sex`, `intensity`, `statement`,
    `repetition`, and of `start` and `end` in seconds, where an utterance is a segment of a longer recording.

    Args:
        root: the folder that paths are relative to; None for that of the table.
        file: the table.
        labels: the emotions, in order; None for those of the table, by alphabet.

    Raises:
        DataError: if the table can't be read, lacks a needed column, or has no row that can be used.
    """
    if file is None:
        raise DataError("no table is given", where="data.file", do="give data.file=my.csv")
    labels = None if labels is None else [str(label) for label in labels]
    file = Path(file)
    folder = file.parent if root is None else Path(root)
    good, problems = list[dict[str, Any]](), list[Problem]()
    lines, sexes = dict[str, int](), dict[str, str]()
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            separator = max(",;\t", key=stream.readline().count)
            stream.seek(0)
            rows = csv.DictReader(stream, delimiter=separator, strict=True)
            rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
            _check_header(rows.fieldnames, file)
            for row in rows:
                try:
                    if not any(row.values()):
                        continue
                    found = _utterance(row, folder, labels)
                    speaker, sex, utterance = found["speaker"], found["sex"], found["utterance"]
                    if (known := sexes.setdefault(speaker, sex)) != sex:
                        raise DataError(f"speaker {speaker!r} has sex {sex!r} here and {known!r} before")
                    if (line := lines.setdefault(utterance, rows.line_num)) != rows.line_num:
                        raise DataError(f"utterance {utterance!r} is duplicated: it is in line {line}, too")
                    good.append(found)
                except DataError as error:
                    problems.append(Problem(f"{file}:{rows.line_num}", error.what))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"the table can't be read: {error}", where=file, do="save it as CSV in UTF-8, its quotes in pairs"
        ) from error
    if not good:
        shown, named = summarised([*map(str, problems)])
        what = "\n  ".join(["no row of the table can be used", *shown])
        do = "check its rows; paths start from data.root, or from the folder of the table"
        raise DataError(what, where=file, do=do, lines=named)
    table = pd.DataFrame(good, columns=list(COLUMNS))
    return Listing(table, tuple(labels or sorted(set(table["emotion"]))), tuple(problems))


def _check_header(header: Sequence[str], file: Path) -> None:
    lacking = [name for name in NEEDED if name not in header]
    if lacking:
        raise DataError(
            f"the table has no column {', '.join(lacking)}; it has {', '.join(header) or 'none'}",
            where=file,
            do=f"name its columns {', '.join(NEEDED)} and any of {', '.join(sorted({*COLUMNS} - {*NEEDED}))}",
        )
    unused = [name for name in header if name and name not in COLUMNS]
    if unused:
        log.warning("%s: columns that are not used: %s", file, ", ".join(unused))


def _utterance(row: Mapping[str, str], folder: Path, labels: Sequence[str] | None) -> dict[str, Any]:
    """The row with all of `COLUMNS`; a DataError with the first thing that is wrong with it."""
    if None in row or None in row.values():
        raise DataError("it has more or fewer cells than the header")
    cells = {name: row.get(name, "").strip() for name in COLUMNS} | {"path": row["path"]}
    for name in NEEDED:
        if not cells[name]:
            raise DataError(f"no {name}")
    path = os.path.join(folder, cells["path"])
    if what := problem(path):
        raise DataError(f"{what}: {path!r}")
    if labels is not None and cells["emotion"] not in labels:
        raise DataError(f"emotion {cells['emotion']!r} is not one of the labels {', '.join(labels)}")
    try:
        start, end = float(cells["start"] or 0), float(cells["end"] or math.inf)
    except ValueError:
        start = end = math.nan
    if not 0 <= start < end:
        raise DataError(f"start {cells['start']!r} and end {cells['end']!r} are not seconds, one before the other")
    segment = f"#{cells['start']}-{cells['end']}" if cells["start"] or cells["end"] else ""
    name = cells["utterance"] or os.path.normpath(cells["path"]) + segment
    return {**cells, "utterance": name, "path": path, "start": start, "end": end}
