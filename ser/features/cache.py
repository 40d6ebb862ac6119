"""Features of a corpus: computed once in parallel, kept on disk, read through a memory map."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, is_dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

import pandas as pd
import torch
import xxhash
from torch import Tensor

from ser.atomic import write_text
from ser.features import audio
from ser.threads import spread

FORMAT = 3
"""Part of every key: raise it when features or files of the cache change their meaning."""

RACY_SECONDS = 2.0
"""A file changed this shortly before it was looked at could change again unseen: it is read anew next time."""

AT_ONCE = 16
"""Files that a thread takes on before it hands over what they gave."""

ROWS, INDEX, SUMS = "rows.f32", "index.csv", "sums.json"
"""The files of an entry: rows on end as raw float32, a line a file by content, and the CRC-32 of these two."""

log = logging.getLogger(__name__)


class Feature(Protocol):
    """Settings that turn a mono wave into rows of values; a frozen dataclass, called from several threads.

    Its class attribute `version`, if it has one, is part of the key: raise it when equal settings give other values.
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
    """The features of a list of files, on end.

    `rows` is `(row, dim)` float32, a memory map whose last row is silence; `files` has one row a file, indexed by
    path: `start` and `length` in `rows`, and what `audio.read` found (`rate`, `channels`, `seconds`, `samples`,
    `problem`).
    """

    rows: Tensor
    files: pd.DataFrame


def bank(paths: Sequence[str], feature: Feature, folder: Path) -> Bank:
    """Features of these files, from the cache in `folder` or computed into it.

    The key is the content of the files and the feature's settings, so moved or copied corpora are found again.
    Several processes may ask at once: one computes, the others wait for it.
    """
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    contents = _contents(paths, folder)
    entry = folder / _key(contents.values(), feature)
    index = _read_index(entry)
    if index is None:
        with FileLock(f"{entry}.lock"):
            index = _read_index(entry)
            if index is None:
                if entry.exists():
                    log.warning("a damaged cache entry is made anew: %s", entry)
                _compute({digest: path for path, digest in contents.items()}, feature, entry)
                index = _read_index(entry)
    assert index is not None, "just written"
    values = (entry / ROWS).stat().st_size // torch.float32.itemsize
    rows = torch.from_file(str(entry / ROWS), size=values, dtype=torch.float32).view(-1, len(feature.names))
    return Bank(rows, index.loc[list(contents.values())].set_axis(pd.Index(list(contents), name="path")))


def _key(digests: Iterable[str], feature: Feature) -> str:
    assert is_dataclass(feature)
    assert not isinstance(feature, type)
    version = getattr(feature, "version", 1)
    settings = [FORMAT, type(feature).__qualname__, version, asdict(feature), sorted(set(digests))]
    return f"{type(feature).__name__.lower()}-{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:20]}"


def _contents(paths: Sequence[str], folder: Path) -> dict[str, str]:
    """Digest of every file's bytes by path; files whose place, size and time are as remembered are not read again."""
    memory = folder / "contents.json"
    try:
        known = dict(json.loads(memory.read_text()))
    except (OSError, ValueError, TypeError):
        known = {}
    settled = time.time_ns() - int(RACY_SECONDS * 1e9)
    status = {path: os.stat(path) for path in paths}
    marks = {path: f"{os.path.abspath(path)} {it.st_size} {it.st_mtime_ns}" for path, it in status.items()}
    new = [path for path, mark in marks.items() if mark not in known]
    found = chain.from_iterable(spread(lambda some: [_digest(path) for path in some], new, AT_ONCE))
    digests = dict(zip(new, found, strict=True))
    learnt = {marks[path]: digest for path, digest in digests.items() if status[path].st_mtime_ns < settled}
    if learnt:
        with suppress(OSError):  # a shared cache that this user may only read
            write_text(memory, json.dumps(known | learnt))
    return {path: digests.get(path) or known[mark] for path, mark in marks.items()}


def _digest(path: str) -> str:
    return xxhash.xxh3_128_hexdigest(Path(path).read_bytes())


def _compute(paths: dict[str, str], feature: Feature, entry: Path) -> None:
    """Decode and transform every file, by its digest, and put the finished entry in place at once."""
    from tqdm import tqdm

    dim = len(feature.names)

    def one(path: str) -> tuple[audio.Facts, Tensor]:
        wave, facts = audio.read(path)
        values = torch.empty(0, dim) if facts.problem else feature(torch.from_numpy(wave), facts.rate)
        return facts, values.float().reshape(len(values), dim)

    begun = time.perf_counter()
    found = []
    with _replacing_folder(entry) as scratch:
        name = f"{type(feature).__name__.lower()} features"
        with (scratch / ROWS).open("wb") as file, tqdm(total=len(paths), desc=name, unit="file") as bar:
            for part in spread(lambda some: [one(path) for path in some], list(paths.values()), AT_ONCE):
                for facts, values in part:
                    values.numpy().tofile(file)
                    found.append({**asdict(facts), "length": len(values)})
                bar.update(len(part))
            torch.full((1, dim), feature.silence).numpy().tofile(file)
        index = pd.DataFrame(found, index=pd.Index(list(paths), name="content"))
        index["start"] = index["length"].cumsum() - index["length"]
        index.to_csv(scratch / INDEX)
        (scratch / SUMS).write_text(json.dumps(_sums(scratch)))
    log.info("%d files to features in %.1f s: %s", len(paths), time.perf_counter() - begun, entry)


@contextmanager
def _replacing_folder(path: Path) -> Iterator[Path]:
    """Give a scratch folder beside `path` that takes its place unless something is raised; for one process at once."""
    scratch = path.with_name(f"{path.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)  # what a run that was killed left behind
    scratch.mkdir()
    try:
        yield scratch
        shutil.rmtree(path, ignore_errors=True)
        scratch.rename(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _read_index(entry: Path) -> pd.DataFrame | None:
    """The entry's list of files, or None if the entry is absent or damaged."""
    text = dict.fromkeys(("content", "samples", "problem"), str)
    try:
        if json.loads((entry / SUMS).read_text()) != _sums(entry):
            return None
        return pd.read_csv(entry / INDEX, index_col="content", dtype=text, keep_default_na=False)
    except (OSError, ValueError):
        return None


def _sums(entry: Path) -> dict[str, int]:
    """CRC-32 of rows and index, read in pieces so that memory does not grow with the corpus."""
    sums = {}
    for name in (ROWS, INDEX):
        sums[name] = 0
        with (entry / name).open("rb") as file:
            while piece := file.read(1 << 20):
                sums[name] = zlib.crc32(piece, sums[name])
    return sums
