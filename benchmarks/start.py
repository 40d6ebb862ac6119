"""Goals 4, 5, 6: how soon the first batch is there, what a job of a multirun costs, how much memory a training takes.

    python benchmarks/start.py [--only start|multirun|memory] [--rounds 5] [--epochs 5] [--times 10] [OVERRIDE ...]

Each is measured on processes of its own. Start: `train.py` with a warm cache, ended when its first batch is ready,
against `python -c "import torch, lightning"` (both leave by os._exit) plus the time that reading the cache takes; and
`ser --help`. Multirun: eight seeds by -m in one process, from its start to its end, against the sum of the epochs in
its metrics.csv. Memory: the peak of an epoch of the reference training, and of one on a corpus many times as large,
whose features are made up. Resident memory is the process's own (anonymous) and pages of mapped files, which the system
takes back when it needs them: the cache is one of these. On Linux.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from common import ROOT, Seconds, by_clock, configuration, doubts, environment, python, ratios, show, timed, workplace
from large import write_corpus

JOBS = 8
BARE = "import os, torch, lightning; os._exit(0)"
TRAIN, TO_FIRST_BATCH = str(ROOT / "train.py"), "model._target_=first_batch.FirstBatch"


def start(folder: Path, rounds: int, overrides: list[str]) -> None:
    """Goal 4."""

    def first_batch(number: int) -> None:
        python(TRAIN, TO_FIRST_BATCH, f"hydra.run.dir={folder / f'start-{number}'}", *overrides)

    first_batch(-1)  # fills the cache
    batch, bare, helped = [], [], []
    for number in range(rounds):
        bare.append(timed(lambda: python("-c", BARE)))
        batch.append(timed(lambda number=number: first_batch(number)))
        helped.append(timed(lambda: python("-m", "ser", "--help")))
    read = _cache_reads(rounds, overrides)
    allowed = [
        Seconds(imports.wall + it.wall, imports.processor + it.processor)
        for imports, it in zip(bare, read, strict=True)
    ]
    show(
        "Goal 4: start, cache warm",
        ("", "s, wall clock", "s, processor"),
        [
            ("import torch, lightning", *by_clock(bare)),
            ("reading the cache", *by_clock(read)),
            ("train.py to its first batch", *by_clock(batch)),
            ("train.py over both (goal: at most 1.3)", *ratios(batch, allowed)),
            ("ser --help (goal: under 1 s)", *by_clock(helped)),
        ],
        f"median (range) of {rounds} rounds",
    )


def _cache_reads(rounds: int, overrides: list[str]) -> list[Seconds]:
    """How long the warm cache takes to be opened, checked and read."""
    from ser.build import build
    from ser.dataset import reader_arguments
    from ser.features import cache
    from ser.training import config
    from ser.utterances import SEGMENT

    settings = config.plain(configuration(*overrides))
    feature, place = build(settings["features"]), Path(settings["cache"]["dir"])
    listing = build(settings["data"]["read"], **reader_arguments(settings["data"]))
    recordings = listing.table[["path"]].assign(**SEGMENT)
    return [timed(lambda: cache.bank(recordings, feature, place).rows.sum()) for _ in range(rounds)]


def multirun(folder: Path, epochs: int, overrides: list[str]) -> None:
    """Goal 5."""
    sweep = folder / "sweep"
    python(TRAIN, f"hydra.run.dir={folder / 'multirun-warm'}", "trainer.max_epochs=1", *overrides)
    seeds = f"seed={','.join(str(seed) for seed in range(1, JOBS + 1))}"
    taken = timed(
        lambda: python(TRAIN, "-m", seeds, f"trainer.max_epochs={epochs}", f"hydra.sweep.dir={sweep}", *overrides)
    )
    inside = 0.0
    for metrics in sweep.glob("*/metrics.csv"):
        with metrics.open() as file:
            inside += sum(float(row["seconds"]) for row in csv.DictReader(file))
    ready = timed(lambda: python(TRAIN, TO_FIRST_BATCH, f"hydra.run.dir={folder / 'multirun-start'}", *overrides))
    beside = taken.wall - ready.wall - inside
    show(
        f"Goal 5: {JOBS} jobs of {epochs} epochs in one process",
        ("", "s, wall clock"),
        [
            ("from start to end", f"{taken.wall:.1f}"),
            ("sum of the epochs", f"{inside:.1f}"),
            ("ratio (goal: at most 1.1)", f"{taken.wall / inside:.2f}"),
            ("ratio without one start to the first batch", f"{(taken.wall - ready.wall) / inside:.2f}"),
            ("a job beside its epochs, without that start", f"{beside / JOBS:.2f}"),
        ],
        "one round",
        doubts({"a job beside its epochs": [beside]}),
    )


def peak(*arguments: str) -> tuple[float, float, float]:
    """A process's peaks in MB: resident, by getrusage; its own and mapped pages, sampled every 20 ms."""
    child = subprocess.Popen(
        [sys.executable, *arguments], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.extend(child.stderr))  # type: ignore[arg-type]
    reader.start()
    own = mapped = 0.0
    while True:
        number, status, usage = os.wait4(child.pid, os.WNOHANG)
        if number:
            break
        try:
            text = Path(f"/proc/{child.pid}/status").read_text()
        except OSError:
            text = ""
        pages = {line.split(":")[0]: line.split()[1] for line in text.splitlines() if line.startswith("Rss")}
        own = max(own, float(pages.get("RssAnon", 0)) / 1024)
        mapped = max(mapped, float(pages.get("RssFile", 0)) / 1024)
        time.sleep(0.02)
    child.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    if child.returncode:
        raise SystemExit(b"".join(said).decode())
    return usage.ru_maxrss / 1024, own, mapped


def memory(folder: Path, times: int, overrides: list[str]) -> None:
    """Goal 6."""
    rows = []
    reference = ["trainer.max_epochs=1", *overrides]
    made_up = ["data.read._target_=large.read", "data.download=false", "features._target_=large.MadeUp"]
    made_up += ["trainer.limit_train_batches=60", "trainer.limit_val_batches=10", *reference]
    write_corpus(folder / "once", 1)
    write_corpus(folder / "many", times)
    for name, chosen in (
        ("the reference training", reference),
        ("made up, RAVDESS's size", [f"data.root={folder / 'once'}", *made_up]),
        (f"made up, {times} times that", [f"data.root={folder / 'many'}", *made_up]),
    ):
        place = name.replace(" ", "-").replace(",", "").replace("'", "")
        python(TRAIN, *chosen, TO_FIRST_BATCH, f"hydra.run.dir={folder / f'{place}-warm'}")  # fills the cache
        found = peak(TRAIN, *chosen, f"hydra.run.dir={folder / place}")
        rows.append((name, *(f"{value:.0f}" for value in found)))
    show(
        "Goal 6: peak memory, cache warm (goal: at most 1500 MB; and not growing with the corpus)",
        ("", "MB resident", "MB its own", "MB mapped files"),
        rows,
        "one round",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("start", "multirun", "memory"))
    parser.add_argument("--rounds", type=int, default=5, help="of start")
    parser.add_argument("--epochs", type=int, default=5, help="of each job of multirun")
    parser.add_argument("--times", type=int, default=10, help="how much larger the corpus of memory is")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra's, such as trainer=cpu")
    arguments = parser.parse_args()
    with workplace() as folder:
        if arguments.only in (None, "start"):
            start(folder, arguments.rounds, arguments.overrides)
        if arguments.only in (None, "multirun"):
            multirun(folder, arguments.epochs, arguments.overrides)
        if arguments.only in (None, "memory"):
            memory(folder, arguments.times, arguments.overrides)


if __name__ == "__main__":
    main()
