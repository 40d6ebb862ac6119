"""Goals 4, 5, 6: how soon the first batch is there, what a job of a multirun costs, how much memory a training takes.

    python benchmarks/start.py [--only start|multirun|memory] [--rounds 5] [--epochs 5] [--times 10] [OVERRIDE ...]

All are processes of their own. Start: `train.py` with a warm cache, ended at its first training step, against
`python -c "import torch, lightning"` (both leave by os._exit) and the time that reading the cache takes here; and
`ser --help`. Multirun: eight seeds by -m in one process, from its start to its end, against the sum of the epochs in
its metrics.csv. Memory: the peak of an epoch of the reference training, and of one on a corpus many times as large,
whose features are made up. Resident memory is the process's own (anonymous) and pages of mapped files, which the system
takes back when it needs them: the cache is one. On Linux.
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

import large
from common import ROOT, Seconds, median, ratio, show, timed, workplace

JOBS = 8
BARE = "import os, torch, lightning; os._exit(0)"
HELP = "import sys; from ser.cli import main; sys.exit(main(['--help']))"


def python(*arguments: str) -> None:
    """A process with the modules beside this file in reach; what it says is shown if it fails."""
    done = subprocess.run([sys.executable, *arguments], env=_environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def _environment() -> dict[str, str]:
    places = [str(Path(__file__).parent), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))}


def start(folder: Path, rounds: int, overrides: list[str]) -> None:
    """Goal 4."""
    train = str(ROOT / "train.py")

    def first_batch(number: int) -> None:
        target = "model._target_=first_batch.FirstBatch"
        python(train, target, f"hydra.run.dir={folder / f'start-{number}'}", *overrides)

    first_batch(-1)  # fills the cache
    batch, bare, helped = [], [], []
    for number in range(rounds):
        bare.append(timed(lambda: python("-c", BARE)))
        batch.append(timed(lambda number=number: first_batch(number)))
        helped.append(timed(lambda: python("-c", HELP)))
    read = median(_cache_reads(folder / "start--1", rounds))
    allowed = [Seconds(it.wall + read.wall, it.processor + read.processor) for it in bare]
    rows = [
        (name, f"{it.wall:.2f}", f"{it.processor:.2f}")
        for name, it in (
            ("import torch, lightning", median(bare)),
            ("reading the cache", read),
            ("train.py to its first batch", median(batch)),
        )
    ]
    by_clock = [f"{value:.2f}" for value in ratio(batch, allowed)]
    help_taken = median(helped)
    show(
        "Goal 4: start, cache warm",
        ("", "s, wall", "s, processor"),
        [
            *rows,
            ("train.py over both (goal: at most 1.3)", *by_clock),
            ("ser --help (goal: under 1 s)", f"{help_taken.wall:.2f}", f"{help_taken.processor:.2f}"),
        ],
        f"median of {rounds} rounds",
    )


def _cache_reads(run: Path, rounds: int) -> list[Seconds]:
    """How long the warm cache of that run takes to be opened, checked and read."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from ser.features import cache

    config = OmegaConf.load(run / ".hydra" / "config.yaml")
    feature = instantiate({name: value for name, value in config.features.items() if name not in ("name", "input")})
    paths = list(instantiate(config.data.read).table["path"])
    return [timed(lambda: cache.bank(paths, feature, Path(config.cache.dir)).rows.sum()) for _ in range(rounds)]


def multirun(folder: Path, epochs: int, overrides: list[str]) -> None:
    """Goal 5."""
    train, sweep = str(ROOT / "train.py"), folder / "sweep"
    python(train, f"hydra.run.dir={folder / 'multirun-warm'}", "trainer.max_epochs=1", *overrides)
    seeds = f"seed={','.join(str(seed) for seed in range(1, JOBS + 1))}"
    taken = timed(
        lambda: python(train, "-m", seeds, f"trainer.max_epochs={epochs}", f"hydra.sweep.dir={sweep}", *overrides)
    )
    inside = 0.0
    for metrics in sweep.glob("*/metrics.csv"):
        with metrics.open() as file:
            inside += sum(float(row["seconds"]) for row in csv.DictReader(file))
    ready = timed(
        lambda: python(
            train, "model._target_=first_batch.FirstBatch", f"hydra.run.dir={folder / 'multirun-start'}", *overrides
        )
    )
    show(
        f"Goal 5: {JOBS} jobs of {epochs} epochs in one process",
        ("", "s, wall"),
        [
            ("from start to end", f"{taken.wall:.1f}"),
            ("sum of the epochs", f"{inside:.1f}"),
            ("ratio (goal: at most 1.1)", f"{taken.wall / inside:.2f}"),
            ("ratio but for one start to the first batch", f"{(taken.wall - ready.wall) / inside:.2f}"),
            ("a job more than its epochs, once started", f"{(taken.wall - ready.wall - inside) / JOBS:.2f}"),
        ],
    )


def peak(*arguments: str) -> tuple[float, float, float]:
    """Megabytes of a process at most: resident by getrusage; its own and mapped pages as sampled every 20 ms."""
    child = subprocess.Popen(
        [sys.executable, *arguments], env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
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
    train = str(ROOT / "train.py")
    rows = []
    reference = ["trainer.max_epochs=1", *overrides]
    made_up = ["data.read._target_=large.read", "data.download=false", "features._target_=large.MadeUp"]
    made_up += ["trainer.limit_train_batches=60", "trainer.limit_val_batches=10", *reference]
    large.write(folder / "once", 1)
    large.write(folder / "many", times)
    for name, chosen in (
        ("the reference training", reference),
        ("made up, RAVDESS's size", [f"data.root={folder / 'once'}", *made_up]),
        (f"made up, {times} times that", [f"data.root={folder / 'many'}", *made_up]),
    ):
        place = name.replace(" ", "-").replace(",", "").replace("'", "")
        target = "model._target_=first_batch.FirstBatch"
        python(train, *chosen, target, f"hydra.run.dir={folder / f'{place}-warm'}")  # fills the cache
        found = peak(train, *chosen, f"hydra.run.dir={folder / place}")
        rows.append((name, *(f"{value:.0f}" for value in found)))
    show(
        "Goal 6: memory at its peak, cache warm (goal: at most 1500 MB; and not growing with the corpus)",
        ("", "MB resident", "MB its own", "MB mapped files"),
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("start", "multirun", "memory"))
    parser.add_argument("--rounds", type=int, default=5, help="of goal 4")
    parser.add_argument("--epochs", type=int, default=5, help="of each job of goal 5")
    parser.add_argument("--times", type=int, default=10, help="the larger corpus of goal 6")
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
