"""What the benchmarks share: the training command in this process, both clocks, a place for its files, a table."""

from __future__ import annotations

import copy
import logging
import os
import resource
import runpy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rich
from rich.table import Table

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Seconds:
    """By the wall's clock, and by the processor's over all threads: other work lengthens the first above all."""

    wall: float
    processor: float

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.processor - other.processor)

    def __mul__(self, factor: float) -> Seconds:
        return Seconds(self.wall * factor, self.processor * factor)

    def over(self, other: Seconds) -> tuple[float, float]:
        """How often the other fits into this, by each clock."""
        return self.wall / other.wall, self.processor / other.processor


def timed(work: Callable[[], Any]) -> Seconds:
    """Time of a call, with that of the processes it started and waited for."""
    wall, processor = time.perf_counter(), _processor()
    work()
    return Seconds(time.perf_counter() - wall, _processor() - processor)


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(it.ru_utime + it.ru_stime for it in used)


def median(values: Iterable[Seconds]) -> Seconds:
    """Of each clock."""
    values = list(values)
    return Seconds(statistics.median(it.wall for it in values), statistics.median(it.processor for it in values))


def ratio(above: Sequence[Seconds], below: Sequence[Seconds]) -> tuple[float, float]:
    """The median over rounds of what was measured one after the other, by each clock."""
    pairs = [a.over(b) for a, b in zip(above, below, strict=True)]
    return statistics.median(wall for wall, _ in pairs), statistics.median(processor for _, processor in pairs)


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder to work in; the feature cache is in it, too."""
    before = Path.cwd()
    os.environ["SER_RAVDESS_ROOT"] = str(before / os.environ.get("SER_RAVDESS_ROOT", "data/ravdess"))
    with tempfile.TemporaryDirectory(prefix="ser-benchmark-") as folder:
        os.environ["SER_CACHE_DIR"] = str(Path(folder) / "cache")
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


@dataclass
class Run:
    """What a training left in this process: its parts, the network as before the first step, the time in `fit`."""

    trainer: Any
    model: Any
    data: Any
    net: Any
    fit: Seconds


def train(folder: Path, *overrides: str) -> Run:
    """`python train.py <overrides>` in this process, without what it says."""
    import lightning as L
    from hydra.core.global_hydra import GlobalHydra

    found: list[Run] = []
    fit = L.Trainer.fit

    def watched(trainer: Any, model: Any, data: Any, **others: Any) -> None:
        net = copy.deepcopy(model.net)
        found.append(Run(trainer, model, data, net, timed(lambda: fit(trainer, model, data, **others))))

    GlobalHydra.instance().clear()
    argv, handlers = sys.argv, logging.root.handlers[:]
    sys.argv = [str(ROOT / "train.py"), f"hydra.run.dir={folder}", *overrides]
    L.Trainer.fit = watched  # type: ignore[method-assign, assignment]
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    finally:
        sys.argv, logging.root.handlers[:] = argv, handlers
        L.Trainer.fit = fit  # type: ignore[method-assign]
    return found[0]


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> None:
    """Print a table: the first column to the left, numbers to the right."""
    table = Table(title=title, caption=caption or None, title_justify="left", caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    rich.print(table)
