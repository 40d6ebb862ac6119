"""How fast recordings become scores: one clip on one core, a folder on all cores that this process may use.

    python benchmarks/predict.py [--ckpt best.ckpt] [--clips 400]
    taskset -c 0,1 python benchmarks/predict.py

Clips are generated: 4 s, 48 kHz, 16-bit WAV. Without --ckpt the network is the reference CNN, untrained, under bf16
autocast. Other work on the machine lengthens the wall's clock, and the processor's much less; a folder's speed by the
processor's clock is what its cores would reach if they had nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from ser import memory
from ser.features import audio
from ser.features.normalise import Normalisation
from ser.protocols.split import Split
from ser.trained import recogniser, record
from ser.trained.recogniser import BATCH, Recogniser
from ser.utterances import COLUMNS, EMOTIONS

CONF = Path(__file__).parent.parent / "conf"
SECONDS, RATE = 4, 48000
CLIP_GOAL, FOLDER_GOAL = 10, 800
"""Milliseconds a clip on one core; times as fast as real time on two cores."""


def untrained(path: Path) -> None:
    """A checkpoint of the reference CNN before its first step, with a record such as training leaves."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train"), resolve=True)
    mel = config["features"]
    shape = (3, mel["n_mels"], mel["input"]["frames"])
    net = instantiate(config["model"]["net"], shape=shape, classes=len(EMOTIONS))
    nobody = Split(train=(), val=(), test=(), test_speakers=())
    table, normalisation = pd.DataFrame(columns=list(COLUMNS)), Normalisation((-55.0,), (20.0,))
    kept = record.make(config, table, nobody, normalisation, {"precision": "bf16-mixed"})
    torch.save({"ser": kept, "state_dict": {f"net.{name}": value for name, value in net.state_dict().items()}}, path)


def generate(folder: Path, clips: int) -> list[str]:
    """Paths of files that all differ: stretches of noise whose level rises and falls."""
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.05, SECONDS * RATE + clips)
    level = np.sin(np.linspace(0, 40, SECONDS * RATE)) ** 2
    paths = [str(folder / f"{clip:04d}.wav") for clip in range(clips)]
    for clip, path in enumerate(paths):
        soundfile.write(path, noise[clip : clip + SECONDS * RATE] * level, RATE, subtype="PCM_16")
    return paths


def milliseconds(call: Callable[[], object], times: int = 100) -> tuple[float, float]:
    """Median wall and processor time (that of all threads) of a call, after five to warm up."""
    taken = []
    for _ in range(times + 5):
        wall, processor = time.perf_counter(), time.process_time()
        call()
        taken.append((time.perf_counter() - wall, time.process_time() - processor))
    wall, processor = (1000 * statistics.median(clock) for clock in zip(*taken[5:], strict=True))
    return wall, processor


def one_clip(model: Recogniser, path: str, table: Table) -> None:
    torch.set_num_threads(1)
    wave, facts = audio.read(path)
    samples = torch.from_numpy(wave)
    rows = model.rows(samples, facts.rate)[None]
    batch = rows.expand(BATCH, -1, -1).contiguous()

    def whole() -> None:
        samples, facts = audio.read(path)
        model(torch.from_numpy(samples), facts.rate)

    def row(name: str, call: Callable[[], object], share: int = 1, goal: str = "") -> None:
        wall, processor = (clock / share for clock in milliseconds(call))
        table.add_row(name, f"{wall:.2f} ms", f"{processor:.2f} ms", goal)

    row("one clip on one core, file to scores", whole, goal=f"<= {CLIP_GOAL} ms")
    row("  decode", lambda: audio.read(path))
    row("  features", lambda: model.rows(samples, facts.rate))
    row("  network", lambda: model.scores(rows))
    row(f"  network, a clip in a batch of {BATCH}", lambda: model.scores(batch), share=BATCH)


def folder(model: Recogniser, paths: list[str], cores: int, table: Table) -> None:
    list(recogniser.recognise(model, paths[: cores * BATCH]))  # to warm up
    wall, processor = time.perf_counter(), time.process_time()
    found = list(recogniser.recognise(model, paths))
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    assert not any(result.problem for result in found)
    add_speed(table, f"{len(paths)} clips on {cores} cores", len(paths), wall, processor / cores, f">= {FOLDER_GOAL} x")


def command(ckpt: str, paths: list[str], cores: int, table: Table) -> None:
    """The command with its start and its table on screen, in a process of its own."""
    script = "import sys; from ser.cli import main; sys.exit(main())"
    argv = [sys.executable, "-c", script, "predict", str(Path(paths[0]).parent), "--ckpt", ckpt]
    wall = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = (used.ru_utime + used.ru_stime) / cores
    add_speed(table, "  as `ser predict`, from start to end", len(paths), time.perf_counter() - wall, processor, "")


def add_speed(table: Table, name: str, clips: int, wall: float, processor: float, goal: str) -> None:
    table.add_row(name, f"{clips * SECONDS / wall:.0f} x", f"{clips * SECONDS / processor:.0f} x", goal)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ckpt", help="without it, an untrained CNN")
    parser.add_argument("--clips", type=int, default=400)
    arguments = parser.parse_args()
    memory.keep_freed()  # as the command does
    cores = len(os.sched_getaffinity(0))
    table = Table("", "wall's clock", "processor's", "goal", box=None)
    with tempfile.TemporaryDirectory() as scratch:
        ckpt = arguments.ckpt or f"{scratch}/untrained.ckpt"
        if not arguments.ckpt:
            untrained(Path(ckpt))
        paths = generate(Path(scratch, "clips"), arguments.clips)
        model = recogniser.load(ckpt, instantiate)
        one_clip(model, paths[0], table)
        folder(model, paths, cores, table)
        command(ckpt, paths, cores, table)
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
