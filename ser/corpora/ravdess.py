"""RAVDESS speech: what a file is stands in its name.

Livingstone SR, Russo FA (2018), PLoS ONE 13(5): e0196391, https://doi.org/10.1371/journal.pone.0196391.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TypedDict

import pandas as pd

from ser.corpora.listing import Listing, Problem, counted, printable
from ser.errors import DataError
from ser.utterances import COLUMNS, EMOTIONS

ACTORS = range(1, 25)
CLIPS = 60
"""Clips of an actor: 7 emotions x 2 intensities x 2 statements x 2 repetitions, and neutral in one intensity."""

INTENSITIES = ("normal", "strong")
SEXES = ("female", "male")
"""By the actor's number modulo 2."""

RECORDING = (".wav", ".flac")
VIDEO = (".mp4",)
OTHER_AUDIO = (".mp3", ".ogg", ".m4a", ".aif", ".aiff")

_GRAMMAR = re.compile("(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1[0-9]|2[0-4])")


class Fields(TypedDict):
    """The seven fields of a name; `modality` 1 audio and video, 2 video, 3 audio; `channel` 1 speech, 2 song."""

    modality: int
    channel: int
    emotion: str
    intensity: str
    statement: int
    repetition: int
    speaker: int
    sex: str


def parse(stem: str) -> Fields:
    """Fields of a file's stem, such as `03-01-06-01-02-01-12`.

    Raises:
        DataError: if the stem is outside the corpus's grammar.
    """
    match = _GRAMMAR.fullmatch(stem)
    if match is None:
        raise DataError(
            f"{stem!r} is no name of RAVDESS",
            do="name it modality-channel-emotion-intensity-statement-repetition-actor, two digits each",
        )
    modality, channel, emotion, intensity, statement, repetition, actor = map(int, match.groups())
    if (emotion, intensity) == (1, 2):
        raise DataError(f"{stem!r} is no name of RAVDESS: neutral has no strong intensity")
    return Fields(
        modality=modality,
        channel=channel,
        emotion=EMOTIONS[emotion - 1],
        intensity=INTENSITIES[intensity - 1],
        statement=statement,
        repetition=repetition,
        speaker=actor,
        sex=SEXES[actor % 2],
    )


def read(root: str | os.PathLike[str]) -> Listing:
    """The speech recordings under `root` at any depth, by their names alone.

    Raises:
        DataError: if there is no such folder, or no speech recording in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", where=root, do=_do(root))
    rows: list[dict[str, object]] = []
    problems: list[Problem] = []
    left_out: Counter[str] = Counter()
    for path, what in _files(root):
        stem, suffix = os.path.splitext(os.path.basename(path))
        suffix = suffix.lower()
        if what:
            problems.append(Problem(path, what))
        elif suffix in VIDEO:
            left_out["video"] += 1
        elif suffix in OTHER_AUDIO:
            left_out[suffix] += 1
        elif suffix in RECORDING:
            try:
                fields = parse(stem)
            except DataError as error:
                problems.append(Problem(path, error.what))
            else:
                if fields["modality"] != 3 or fields["channel"] != 1:
                    left_out["video" if fields["modality"] != 3 else "song"] += 1
                else:
                    rows.append({"utterance": stem, "path": path, **fields})
    problems.sort(key=lambda problem: problem.path)
    if not rows:
        seen = [f"{problem.path}: {problem.what}" for problem in problems]
        seen += [f"left out: {counted(left_out)}"] if left_out else []
        what = f"no speech recording of RAVDESS ({' or '.join(RECORDING)}) in {root}"
        raise DataError(printable("\n  ".join([what, *seen])), where=root, do=_do(root))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(["utterance", "path"]).reset_index(drop=True)
    return Listing(table, tuple(problems), dict(left_out), missing(table))


def missing(table: pd.DataFrame) -> tuple[str, ...]:
    """What an incomplete corpus lacks, such as `("actor 07: 58 of 60 clips", "actors 20-24 absent")`."""
    clips = table.groupby("speaker")["utterance"].nunique().to_dict()
    lacking = []
    for count, alike in groupby(ACTORS, lambda actor: clips.get(actor, 0)):
        first, *rest = alike
        actors = f"actors {first:02d}-{rest[-1]:02d}" if rest else f"actor {first:02d}"
        if count < CLIPS:
            lacking.append(f"{actors}: {count} of {CLIPS} clips" if count else f"{actors} absent")
    return tuple(lacking)


def _files(root: Path) -> Iterator[tuple[str, str]]:
    """Every file below `root` that is not hidden, with what keeps it from being read, "" if nothing.

    Linked folders are followed, each real folder once and by its real place first, so a loop of links ends.
    """
    folders, links, seen = [os.fspath(root)], list[str](), set[str]()
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(folder) as found:
                entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            yield folder, f"unreadable folder: {error.strerror}"
            continue
        for entry in entries:
            if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                (links if entry.is_symlink() else folders).append(entry.path)
            elif entry.name.lower().endswith(RECORDING) and not os.path.isfile(entry.path):
                yield entry.path, "a broken link" if entry.is_symlink() else "not a regular file"
            elif entry.name.lower().endswith(RECORDING) and not os.access(entry.path, os.R_OK):
                yield entry.path, "unreadable: permission denied"
            else:
                yield entry.path, ""


def _do(root: Path) -> str:
    return (
        "say where the corpus is with data.root=<folder of Actor_01, Actor_02, ...>, fetch it with data.download=true"
        + (f" and a data.root that does not exist yet (not {root})" if root.exists() else "")
        + ", or try everything without it with data=synthetic"
    )
