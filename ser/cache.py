"""Features of a corpus: computed once in parallel, kept on disk, read through a memory map."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ser.atomic import write_text

FORMAT = 1
"""Part of every key: raise it when features or files of the cache change their meaning."""

RACY_SECONDS = 2.0
"""A file changed this shortly before it was looked at could change again unseen: it is read anew next time."""

log = logging.getLogger(__name__)


class Feature(Protocol):
    """Settings that turn a mono wave into rows of values; a frozen dataclass, called from several threads."""

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
    if (files := _read_index(entry)) is None:
        with FileLock(f"{entry}.lock"):
            if (files := _read_index(entry)) is None:
                _compute({digest: path for path, digest in contents.items()}, feature, entry)
                files = _read_index(entry)
    assert files is not None, "just written"
    rows = torch.from_numpy(np.load(entry / "rows.npy", mmap_mode="c"))
    return Bank(rows, files.loc[list(contents.values())].set_axis(pd.Index(list(contents), name="path")))


def _key(digests: Iterable[str], feature: Feature) -> str:
    assert is_dataclass(feature)
    assert not isinstance(feature, type)
    settings = [
        FORMAT,
        type(feature).__qualname__,
        getattr(feature, "version", 1),
        asdict(feature),
        sorted(set(digests)),
    ]
    return f"{type(feature).__name__.lower()}-{hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:20]}"


def _contents(paths: Sequence[str], folder: Path) -> dict[str, str]:
    """SHA-256 of every file by path; files whose size and time are as remembered are not read again."""
    memory = folder / "contents.json"
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    marks = {}
    for path in paths:
        status = os.stat(path)
        marks[path] = [status.st_size, status.st_mtime_ns]
    keys = {path: os.path.abspath(path) for path in paths}
    new = [path for path in paths if known.get(keys[path], [None])[:2] != marks[path]]
    with ThreadPoolExecutor() as pool:
        digests = dict(zip(new, pool.map(_digest, new), strict=True))
    contents = {path: digests.get(path) or known[keys[path]][2] for path in paths}
    settled = time.time_ns() - int(RACY_SECONDS * 1e9)
    learnt = {keys[path]: [*marks[path], contents[path]] for path in new if marks[path][1] < settled}
    if learnt:
        write_text(memory, json.dumps(known | learnt))
    return contents


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _compute(paths: dict[str, str], feature: Feature, entry: Path) -> None:
    """Decode and transform every file, one thread a core, and put the finished entry in place at once."""
    from tqdm import tqdm

    def one(path: str) -> tuple[dict[str, object], Tensor]:
        from ser import audio

        torch.set_num_threads(1)  # of this thread: the files already keep every core busy
        wave, facts = audio.read(path)
        nothing = torch.empty(0, len(feature.names))
        return asdict(facts), nothing if facts.problem else feature(torch.from_numpy(wave), facts.rate)

    for killed in entry.parent.glob(f"{entry.name}.*/"):
        shutil.rmtree(killed)  # what a run that was killed while it computed left behind
    threads = torch.get_num_threads()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=entry.parent, prefix=f"{entry.name}.") as scratch:
        with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None) as pool:
            found = pool.map(one, paths.values())
            bar = tqdm(found, total=len(paths), desc=f"{type(feature).__name__.lower()} features", unit="file")
            facts, values = zip(*bar, strict=True)
        torch.set_num_threads(threads)
        index = pd.DataFrame(list(facts), index=pd.Index(list(paths), name="content"))
        index["length"] = [len(value) for value in values]
        index["start"] = index["length"].cumsum() - index["length"]
        silence = torch.full((1, len(feature.names)), feature.silence)
        np.save(Path(scratch, "rows.npy"), torch.cat([*values, silence]).numpy())
        index.to_csv(Path(scratch, "index.csv"))
        Path(scratch, "sums.json").write_text(json.dumps(_sums(Path(scratch))))
        shutil.rmtree(entry, ignore_errors=True)
        whole = Path(scratch, "whole")
        whole.mkdir()
        for name in ("rows.npy", "index.csv", "sums.json"):
            Path(scratch, name).rename(whole / name)
        whole.rename(entry)
    log.info("%d files to features in %.1f s: %s", len(paths), time.perf_counter() - begun, entry)


def _read_index(entry: Path) -> pd.DataFrame | None:
    """The entry's list of files, or None if the entry is absent or damaged."""
    if not entry.exists():
        return None
    try:
        whole = json.loads((entry / "sums.json").read_text()) == _sums(entry)
        index = pd.read_csv(entry / "index.csv", index_col="content", keep_default_na=False) if whole else None
    except (OSError, ValueError):
        index = None
    if index is None:
        log.warning("a damaged cache entry is made anew: %s", entry)
    return index


def _sums(entry: Path) -> dict[str, int]:
    """CRC-32 of the entry's files, read in pieces so that memory does not grow with the corpus."""
    sums = {}
    for name in ("rows.npy", "index.csv"):
        sums[name] = 0
        with (entry / name).open("rb") as file:
            while piece := file.read(1 << 20):
                sums[name] = zlib.crc32(piece, sums[name])
    return sums
