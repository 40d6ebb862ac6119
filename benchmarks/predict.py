"""Goal 8: how fast recordings become scores: one clip on one core, a folder on all cores that this process may use.

    python benchmarks/predict.py [--ckpt best.ckpt] [--clips 400] [--rounds 3]
    taskset -c 0,1 python benchmarks/predict.py

Clips are generated: 4 s, 48 kHz, 16-bit WAV. Without --ckpt the network is the reference CNN after a single step of
training, under bf16 autocast where the processor has bf16 arithmetic. Other work on the machine lengthens the wall
clock's time, and the processor's much less; a folder's speed by the processor's clock is what its cores would reach if
they had nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
from common import Seconds, by_clock, python, show, timed, train_here, workplace
from large import write_corpus

import ser
from ser import memory
from ser.features import audio
from ser.trained.recogniser import BATCH, Recogniser

SECONDS, RATE = 4, 48000
CLIP_GOAL, FOLDER_GOAL = 10, 800
"""Milliseconds per clip on one core; times real time on two cores."""

SINGLE_STEP = ("data.read._target_=large.read", "data.download=false", "trainer=cpu", "trainer.max_epochs=1")
SINGLE_STEP += ("trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "logger=none")


def generate(folder: Path, clips: int) -> list[str]:
    """Paths of files that all differ: noise whose level rises and falls."""
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 0.05, SECONDS * RATE + clips)
    level = np.sin(np.linspace(0, 40, SECONDS * RATE)) ** 2
    paths = [str(folder / f"{clip:04d}.wav") for clip in range(clips)]
    for clip, path in enumerate(paths):
        soundfile.write(path, noise[clip : clip + SECONDS * RATE] * level, RATE, subtype="PCM_16")
    return paths


def milliseconds(call: Callable[[], object], share: int, times: int = 100) -> tuple[str, str]:
    """Wall and processor time (of all threads) of a call, divided by `share`: the median and the 10 to 90% range."""
    taken = []
    for _ in range(times + 5):  # five to warm up
        wall, processor = time.perf_counter(), time.process_time()
        call()
        taken.append((time.perf_counter() - wall, time.process_time() - processor))
    clocks = [[1000 * it / share for it in clock] for clock in zip(*taken[5:], strict=True)]
    tenths = [statistics.quantiles(clock, n=10) for clock in clocks]
    wall, processor = (f"{found[4]:.2f} ms ({found[0]:.2f}–{found[-1]:.2f})" for found in tenths)
    return wall, processor


def one_clip(model: Recogniser, path: str) -> list[tuple[str, ...]]:
    """Rows of the table: the whole, and each stage by itself."""
    torch.set_num_threads(1)
    wave, facts = audio.read(path)
    samples = torch.from_numpy(wave)
    rows = model.feature(samples, facts.rate)
    start, length = torch.tensor([0]), torch.tensor([len(rows)])
    x, ends = model.inputs(rows, start, length)
    batch = x.expand(BATCH, -1, -1).contiguous(), ends.expand(BATCH)

    def row(name: str, call: Callable[[], object], share: int = 1, goal: str = "") -> tuple[str, ...]:
        return name, *milliseconds(call, share), goal

    return [
        row("one clip on one core, file to scores", lambda: model(path), goal=f"<= {CLIP_GOAL} ms"),
        row("  decode", lambda: audio.read(path)),
        row("  features", lambda: model.feature(samples, facts.rate)),
        row("  input", lambda: model.inputs(rows, start, length)),
        row("  network", lambda: model.probabilities(x, ends)),
        row(f"  network, per clip in a batch of {BATCH}", lambda: model.probabilities(*batch), share=BATCH),
    ]


def folder(model: Recogniser, ckpt: str, paths: list[str], cores: int, rounds: int) -> list[tuple[str, ...]]:
    """Rows of the table: the recogniser by itself, and the command with its start and its table on screen."""

    def recognise() -> None:
        assert not any(result.problem for result in model.recognise(paths))

    def row(name: str, taken: list[Seconds], goal: str = "") -> tuple[str, ...]:
        duration = len(paths) * SECONDS
        speeds = by_clock((Seconds(duration / it.wall, duration * cores / it.processor) for it in taken), ".0f")
        return name, *(f"{speed} x" for speed in speeds), goal

    command = ("-m", "ser", "predict", str(Path(paths[0]).parent), "--ckpt", ckpt)
    list(model.recognise(paths[: cores * BATCH]))  # to warm up
    alone = [timed(recognise) for _ in range(rounds)]
    whole = [timed(lambda: python(*command)) for _ in range(rounds)]
    return [
        row(f"{len(paths)} clips on {cores} cores", alone, f">= {FOLDER_GOAL} x"),
        row("  as `ser predict`, from start to end", whole),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt", type=os.path.abspath, help="or a run folder; without it, the CNN after one step")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3, help="of the folder")
    arguments = parser.parse_args()
    memory.keep_freed()  # as the command does
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with workplace() as scratch:
        ckpt = arguments.ckpt or str(scratch / "run")
        if not arguments.ckpt:
            write_corpus(scratch / "corpus", 1)
            train_here(scratch / "run", f"data.root={scratch / 'corpus'}", *SINGLE_STEP)
        paths = generate(scratch / "clips", arguments.clips)
        model = ser.load(ckpt)
        rows = [*one_clip(model, paths[0]), *folder(model, ckpt, paths, cores, arguments.rounds)]
    show(
        f"Goal 8: {SECONDS} s clips to scores",
        ("", "wall clock", "processor", "goal"),
        rows,
        f"one clip: median (10 to 90%) of 100 calls; the folder: times real time, median (range) of {arguments.rounds}",
    )


if __name__ == "__main__":
    main()
