"""Features of recordings: computed once in parallel, kept on disk, read through a memory map."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Protocol

import pandas as pd
import torch
import xxhash
from torch import Tensor

from ser.atomic import write_text
from ser.errors import ConfigError, DataError
from ser.features import audio, unfinished
from ser.features.key import key
from ser.locks import holding
from ser.threads import spread

ROWS, INDEX, SUMS = "rows.f32", "index.csv", "sums.json"
"""The files of an entry: raw float32; a line for each recording; digest, size and time of these two."""

RACY_SECONDS = 2.0  # a file changed this shortly before it was looked at could change again unseen
COLUMNS = ("start_row", "length", *(field.name for field in fields(audio.Facts)))  # of the index
AT_ONCE = 16  # recordings that a thread takes on before it hands over what they gave

Part = tuple[str, float, float]
"""A recording: path, start and end in seconds."""

log = logging.getLogger(__name__)


class Feature(Protocol):
    """Settings that turn a mono wave into rows of values; a frozen dataclass, called from several threads.

    A feature may have more:

    - `families`, a name for each dimension of one vector per utterance, by which `ser importance` groups them; without
      it every dimension stands alone.
    - `identity() -> dict`, plain values that the cache knows it by in place of its settings.
    - `part_of`, another feature and the columns of it that this one is: the other is what the cache keeps. Or None.
    - `pinned() -> dict`, plain values that a run records among its settings, such as the digest of a file.
    - `layers`, how many blocks of equal size, in order, its dimensions are; see `ser.models.shape.given`.
    """

    @property
    def silence(self) -> float:
        """The value of a row where no sound is."""

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each dimension."""

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """`(samples,)` at `rate` Hz to `(row, dim)`."""


@dataclass(frozen=True)
class Bank:
    """The features of recordings.

    `rows` is `(row, dim)` float32, a memory map whose last row is silence. `files` has one row per recording, in the
    order in which they were given: `start_row` and `length` in `rows`, and what `audio.read` found (`rate`,
    `channels`, `seconds`, `samples`, `problem`, `note`).
    """

    rows: Tensor
    files: pd.DataFrame


def bank(recordings: pd.DataFrame, feature: Feature, folder: Path) -> Bank:
    """Features of these recordings, from the cache in `folder` or computed into it.

    Moved or copied corpora are found again: the key is the content of the files, the segments and the feature. Equal
    segments of equal files are computed once. Several processes may ask at once: one computes, the others wait for it.

    Args:
        recordings: `path`, `start` and `end`, in seconds; 0 and infinity for a whole file.
        feature: what to compute.
        folder: of the cache. If it has all that is asked for, it need not be writable.

    Raises:
        DataError: if a file is not there or may not be read.
        ConfigError: if something is to be computed, and the folder can't be written.
    """
    contents, dim = _contents(recordings["path"].unique(), folder), len(feature.names)
    segments: list[Part] = list(zip(recordings["path"], recordings["start"], recordings["end"], strict=True))
    names = [f"{contents[path]} {float(start)} {float(end)}" for path, start, end in segments]
    entry = folder / key(feature, names)
    files = _files(entry, names, dim)
    if files is None:
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            with holding(entry.with_name(f"{entry.name}.lock"), wait=True) as alone:
                files = _files(entry, names, dim)
                if files is None:
                    if entry.exists():
                        log.warning("a damaged cache entry is made anew: %s", entry)
                    _compute(dict(zip(names, segments, strict=True)), feature, entry, alone)
                    files = _files(entry, names, dim)
        except OSError as error:
            what = f"these features are not in the cache, and it can't be written: {error.strerror or error}"
            do = "make room there, or choose a folder of yours: cache.dir=... or SER_CACHE_DIR"
            raise ConfigError(what, where=entry.parent, do=do) from error
    assert files is not None, "just written"
    size = (entry / ROWS).stat().st_size // torch.float32.itemsize
    rows = torch.from_file(str(entry / ROWS), size=size, dtype=torch.float32).view(-1, dim)
    return Bank(rows, files)


def _contents(paths: Iterable[str], folder: Path) -> dict[str, str]:
    """Digest of every file's bytes by path; files whose place, size and time are as remembered are not read again."""
    memory = folder / "contents.json"
    try:
        known = dict(json.loads(memory.read_text()))
    except (OSError, ValueError, TypeError):
        known = {}
    settled = time.time_ns() - int(RACY_SECONDS * 1e9)
    try:
        status = {path: os.stat(path) for path in paths}
        marks = {path: f"{os.path.abspath(path)} {it.st_size} {it.st_mtime_ns}" for path, it in status.items()}
        new = [path for path, mark in marks.items() if mark not in known]
        digests = list(chain.from_iterable(spread(lambda some: [_digest(path) for path in some], new, AT_ONCE)))
    except OSError as error:
        raise DataError(f"a recording can't be read: {error.strerror}", where=error.filename) from error
    found = dict(zip(new, digests, strict=True))
    learnt = {marks[path]: digest for path, digest in found.items() if status[path].st_mtime_ns < settled}
    if learnt:
        with suppress(OSError):  # a shared cache that this user may only read
            write_text(memory, json.dumps(known | learnt))
    return {path: found.get(path) or known[mark] for path, mark in marks.items()}


def _digest(path: str) -> str:
    digest = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):  # a recording of hours does not fit the memory
            digest.update(piece)
    return digest.hexdigest()


def _files(entry: Path, names: list[str], dim: int) -> pd.DataFrame | None:
    """`Bank.files` of these recordings; None if the entry is absent, torn or of another version."""
    text = dict.fromkeys(("recording", "samples", "problem", "note"), str)
    try:
        if not _is_whole(entry):
            return None
        index = pd.read_csv(entry / INDEX, index_col="recording", dtype=text, keep_default_na=False)
        expected = (index["length"].sum() + 1) * dim * torch.float32.itemsize
        whole = tuple(index) == COLUMNS and (entry / ROWS).stat().st_size == expected
        return index.loc[names].reset_index(drop=True) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_whole(entry: Path) -> bool:
    """Whether the files are as written; they are read only where size or time is not what was last found right."""
    known, marks = json.loads((entry / SUMS).read_text()), _marks(entry)
    changed = [name for name in marks if known[name]["mark"] != marks[name]]
    if any(_digest(str(entry / name)) != known[name]["digest"] for name in changed):
        return False
    if changed:
        with suppress(OSError):  # a copied cache that this user may only read
            _write_sums(entry, {name: known[name]["digest"] for name in marks})
    return True


def _marks(entry: Path) -> dict[str, str]:
    status = {name: (entry / name).stat() for name in (ROWS, INDEX)}
    return {name: f"{it.st_size} {it.st_mtime_ns}" for name, it in status.items()}


def _write_sums(entry: Path, digests: Mapping[str, str]) -> None:
    sums = {name: {"digest": digests[name], "mark": mark} for name, mark in _marks(entry).items()}
    write_text(entry / SUMS, json.dumps(sums))


def _compute(recordings: Mapping[str, Part], feature: Feature, entry: Path, alone: bool) -> None:
    """Decode and transform every recording, by its name in the index; put the finished entry in place at once.

    Args:
        alone: whether no other process is at it, too.
    """
    from tqdm import tqdm

    dim = len(feature.names)

    def one(part: Part) -> tuple[audio.Facts, Tensor]:
        wave, facts = audio.read(*part)
        values = torch.empty(0, dim) if facts.problem else feature(torch.from_numpy(wave), facts.rate)
        return facts, values.float().reshape(len(values), dim)

    begun, names = time.perf_counter(), list(recordings)
    scratch = entry.with_name(f"{entry.name}.part" if alone else f"{entry.name}.{os.getpid()}.part")
    found = unfinished.take_up(scratch, ROWS, names, COLUMNS[1:], dim * torch.float32.itemsize)
    log.info("computing features of %d recordings", len(names) - len(found))
    try:
        title = f"{type(feature).__name__.lower()} features"
        bar = tqdm(desc=title, total=len(names), initial=len(found), unit="recording", disable=None)
        rest = [recordings[name] for name in names[len(found) :]]
        with (scratch / ROWS).open("ab") as file, (scratch / unfinished.JOURNAL).open("a") as journal, bar:
            for some in spread(lambda parts: [one(part) for part in parts], rest, AT_ONCE):
                for _, values in some:
                    file.write(values.numpy().tobytes())
                file.flush()
                done = zip(names[len(found) :], some, strict=False)
                lines = [{"recording": name, "length": len(values), **asdict(facts)} for name, (facts, values) in done]
                unfinished.note(journal, lines)
                found += lines
                bar.update(len(some))
            file.write(torch.full((1, dim), feature.silence).numpy().tobytes())
        index = pd.DataFrame(found, index=pd.Index(names, name="recording"), columns=COLUMNS)
        index["start_row"] = index["length"].cumsum() - index["length"]
        index.to_csv(scratch / INDEX)
        _write_sums(scratch, {name: _digest(str(scratch / name)) for name in (ROWS, INDEX)})
        (scratch / unfinished.JOURNAL).unlink()
        shutil.rmtree(entry, ignore_errors=True)
        with nullcontext() if alone else suppress(OSError):  # another process may have been quicker
            scratch.rename(entry)
    finally:
        if not (alone and found):  # else the next run goes on from there
            shutil.rmtree(scratch, ignore_errors=True)
    log.info("%d recordings to features in %.1f s: %s", len(recordings), time.perf_counter() - begun, entry)
