"""What the benchmarks share: the training command's stages in this process, two clocks, a work folder, a table."""

from __future__ import annotations

import copy
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich
from rich.table import Table

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from torch import nn

    from ser.experiment import Job, Plan

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # so that `ser` and `train` are those beside this folder, whatever is installed
if "ser" in sys.modules:
    raise ImportError("import common before ser, or another version that is installed would be measured")


@dataclass(frozen=True)
class Seconds:
    """By the wall clock, and by the processor's over all threads: other work lengthens the first above all."""

    wall: float
    processor: float

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.processor - other.processor)

    def __mul__(self, factor: float) -> Seconds:
        return Seconds(self.wall * factor, self.processor * factor)


def timed(work: Callable[[], Any]) -> Seconds:
    """Time of a call, including the processes that it started and waited for."""
    wall, processor = time.perf_counter(), _processor()
    work()
    return Seconds(time.perf_counter() - wall, _processor() - processor)


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(it.ru_utime + it.ru_stime for it in used)


def median_range(values: Iterable[float], form: str = ".2f") -> str:
    """The median, with the lowest and the highest: "0.85 (0.81–0.92)"; one value alone stands by itself."""
    values = sorted(values)
    middle, low, high = (f"{it:{form}}" for it in (statistics.median(values), values[0], values[-1]))
    return f"{middle} ({low}–{high})" if len(values) > 1 else middle


def by_clock(values: Iterable[Seconds], form: str = ".2f") -> tuple[str, str]:
    """`median_range` of the wall clock, and of the processor's."""
    values = list(values)
    return median_range((it.wall for it in values), form), median_range((it.processor for it in values), form)


def ratios(above: Sequence[Seconds], below: Sequence[Seconds], form: str = ".2f") -> tuple[str, str]:
    """`median_range` of the ratios of what was measured one after the other, by each clock."""
    return by_clock(
        (Seconds(a.wall / b.wall, a.processor / b.processor) for a, b in zip(above, below, strict=True)), form
    )


def doubts(measured: Mapping[str, Iterable[float]]) -> str:
    """What must be above 0 and is not, in a sentence; "" if there is nothing."""
    wrong = [name for name, values in measured.items() if min(values) <= 0]
    return (
        f"THESE FIGURES CAN'T BE RIGHT: 0 or less for {', '.join(wrong)}. Take more rounds or epochs." if wrong else ""
    )


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


def configuration(*overrides: str) -> DictConfig:
    """What `python train.py <overrides>` composes."""
    from hydra import compose, initialize_config_dir

    import train  # noqa: F401  (registers what the configuration needs)

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", list(overrides))


@dataclass(frozen=True)
class Run:
    """A training in this process that has ended: `net` as before the first step, `fit` the time of that stage."""

    plan: Plan
    job: Job
    net: nn.Module
    fit: Seconds


def train_here(folder: Path, *overrides: str) -> Run:
    """The stages of `python train.py <overrides>` in this process, without what they print."""
    from ser import experiment, memory

    memory.keep_freed()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        plan = experiment.prepare(configuration(*overrides), folder, overrides)
        job = experiment.build(plan)
        net = copy.deepcopy(job.model.net)
        taken = timed(lambda: experiment.fit(plan, job))
        experiment.finish(plan, job)
    return Run(plan, job, net, taken)


def python(*arguments: str) -> None:
    """A process that finds `ser` and the modules in this folder; what it prints is shown if it fails."""
    done = subprocess.run([sys.executable, *arguments], env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def environment() -> dict[str, str]:
    """Of such a process."""
    places = [str(Path(__file__).parent), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))}


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *notes: str) -> None:
    """Print a table, numbers to the right, and below it the notes that are not empty."""
    caption = "\n".join(filter(None, notes))
    table = Table(title=title, caption=caption or None, title_justify="left", caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    rich.print(table)
