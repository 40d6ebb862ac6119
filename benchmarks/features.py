"""Goal 3: features of the corpus, files decoded, beside librosa, plain torchaudio, and what the machine allows.

    python benchmarks/features.py [--root CORPUS] [--clips 240] [--rounds 3]

The clips are written as 16-bit WAV to a temporary folder first. All contenders make a mel spectrogram in dB with the
same settings, but for one librosa loop with librosa's; recordings at another rate are resampled by each with its own
default, unless --native keeps the rate of the recordings. "ours" is `ser.features.cache.bank` on an empty cache:
reading, hashing and writing included. All rows but that of all cores have one core and one thread, on Linux by
affinity. The bound is measured on waves, frames and powers that are in memory already, its decoding on files in the
system's cache. All cores are compared with as many processes that share nothing and each decode and transform all
files, without hashing or keeping: what they gain over one of them is what the machine has to give.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import librosa
import pandas as pd
import soundfile
import torch
import torchaudio
from common import Seconds, by_clock, configuration, median_range, show, timed
from threadpoolctl import threadpool_limits

from ser.build import build
from ser.features import audio, cache
from ser.features.mel import Mel
from ser.training import config
from ser.utterances import SEGMENT


def as_wav(root: Path, target: Path, clips: int | None) -> list[str]:
    """Clips from all over the corpus, at most `clips` of them, as 16-bit WAV."""
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in (".wav", ".flac"))
    if not files:
        raise SystemExit(f"no recordings below {root}")
    step = max(1, len(files) // clips) if clips else 1
    paths = []
    for number, file in enumerate(files[::step][:clips]):
        samples, rate = soundfile.read(file, dtype="int16")
        paths.append(str(target / f"{number:05d}.wav"))
        soundfile.write(paths[-1], samples, rate, subtype="PCM_16")
    return paths


def by_librosa(paths: list[str], mel: Mel) -> None:
    for path in paths:
        wave, _ = librosa.load(path, sr=mel.sample_rate)
        power = librosa.feature.melspectrogram(
            y=wave, sr=mel.sample_rate, n_fft=mel.n_fft, hop_length=mel.hop_length, n_mels=mel.n_mels
        )
        librosa.power_to_db(power)


def by_librosa_as_is(paths: list[str]) -> None:
    """With librosa's defaults: 22,050 Hz, windows of 2048, 128 bands."""
    for path in paths:
        wave, rate = librosa.load(path)
        librosa.power_to_db(librosa.feature.melspectrogram(y=wave, sr=rate))


def by_torchaudio(paths: list[str], mel: Mel) -> None:
    transform = torchaudio.transforms.MelSpectrogram(
        mel.sample_rate, n_fft=mel.n_fft, hop_length=mel.hop_length, n_mels=mel.n_mels
    )
    to_db = torchaudio.transforms.AmplitudeToDB()
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32")
        wave = torch.from_numpy(samples if samples.ndim == 1 else samples.mean(1))
        if rate != mel.sample_rate:
            wave = torchaudio.functional.resample(wave, rate, mel.sample_rate)
        to_db(transform(wave))


def ours(paths: list[str], mel: Mel) -> None:
    with tempfile.TemporaryDirectory(prefix="ser-benchmark-") as folder, open(os.devnull, "w") as nowhere:
        terminal, kept = 2, os.dup(2)  # the progress bar
        os.dup2(nowhere.fileno(), terminal)
        try:
            cache.bank(pd.DataFrame({"path": paths}).assign(**SEGMENT), mel, Path(folder))
        finally:
            os.dup2(kept, terminal)
            os.close(kept)


def transformed(paths: list[str], mel: Mel) -> float:
    """Seconds of a plain loop over ours, one thread."""
    torch.set_num_threads(1)
    begun = time.perf_counter()
    for path in paths:
        wave, facts = audio.read(path)
        mel(torch.from_numpy(wave), facts.rate)
    return time.perf_counter() - begun


def gain_of_processes(paths: list[str], mel: Mel, cores: int, rounds: int) -> float:
    """The clips per second of `cores` processes over those of one, at best."""
    alone, together = [], []
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        every = [(paths, mel)] * cores
        list(pool.map(transformed, *zip(*every, strict=True)))  # to warm up
        for _ in range(rounds):
            alone.append(pool.submit(transformed, paths, mel).result())
            together.append(list(pool.map(transformed, *zip(*every, strict=True))))
    return sum(min(alone) / taken for taken in min(together, key=sum))


def bounds(paths: list[str], mel: Mel) -> dict[str, Callable[[], None]]:
    """The parts that no program can leave out: decoding, the Fourier transform, one product of matrices."""
    heard = [audio.read(path) for path in paths]
    waves = [torchaudio.functional.resample(torch.from_numpy(it), facts.rate, mel.sample_rate) for it, facts in heard]
    frames = [wave.unfold(0, mel.n_fft, mel.hop_length).contiguous() for wave in waves]
    powers = [torch.fft.rfft(frame).abs().square() for frame in frames]
    bank = torchaudio.functional.melscale_fbanks(
        mel.n_fft // 2 + 1, mel.f_min, mel.f_max or mel.sample_rate / 2, mel.n_mels, mel.sample_rate
    )

    def each(work: Callable, items: list) -> Callable[[], None]:
        return lambda: [work(item) for item in items] and None

    return {
        "decoding": each(lambda path: soundfile.read(path, dtype="int16"), paths),
        "FFT": each(torch.fft.rfft, frames),
        "mel product": each(lambda power: power @ bank, powers),
    }


@contextmanager
def one_core() -> Iterator[None]:
    """One core for threads that start from now on, and one thread for torch's and NumPy's own pools."""
    threads = torch.get_num_threads()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with threadpool_limits(1):
        torch.set_num_threads(1)
        if cores:
            os.sched_setaffinity(0, {min(cores)})
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            if cores:
                os.sched_setaffinity(0, cores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=os.environ.get("SER_RAVDESS_ROOT", "data/ravdess"))
    parser.add_argument("--clips", type=int, default=240, help="0: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--native", action="store_true", help="48 kHz, the rate of RAVDESS: nothing is resampled")
    arguments = parser.parse_args()
    mel = build(config.plain(configuration("features=mel"))["features"])
    mel = replace(mel, sample_rate=48000) if arguments.native else mel
    with tempfile.TemporaryDirectory(prefix="ser-benchmark-") as folder:
        paths = as_wav(Path(arguments.root), Path(folder), arguments.clips)
        alone: dict[str, Callable[[], None]] = {
            "librosa": lambda: by_librosa(paths, mel),
            "librosa, its defaults": lambda: by_librosa_as_is(paths),
            "torchaudio": lambda: by_torchaudio(paths, mel),
            "ours, one core": lambda: ours(paths, mel),
            **bounds(paths, mel),
        }
        found: dict[str, list[Seconds]] = {name: [] for name in (*alone, "ours, all cores")}
        for contender in (by_librosa, by_torchaudio, ours):
            contender(paths[:3], mel)
        by_librosa_as_is(paths[:3])
        for _ in range(arguments.rounds):
            with one_core():
                for name, work in alone.items():
                    found[name].append(timed(work))
            found["ours, all cores"].append(timed(lambda: ours(paths, mel)))
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        possible = gain_of_processes(paths, mel, cores, arguments.rounds)
    _show(found, len(paths), mel, cores, possible)


def _show(found: dict[str, list[Seconds]], clips: int, mel: Mel, cores: int, possible: float) -> None:
    def times(name: str, than: str) -> str:
        both = zip(found[than], found[name], strict=True)
        return median_range((slow.wall / fast.wall for slow, fast in both), ".1f")

    def row(name: str, label: str | None = None) -> tuple[str, ...]:
        taken = by_clock(it * (1000 / clips) for it in found[name])
        return (label or name, *taken, times(name, "librosa"), times(name, "librosa, its defaults"))

    parts = ("decoding", "FFT", "mel product")
    found["bound"] = [
        Seconds(sum(it.wall for it in three), sum(it.processor for it in three))
        for three in zip(*(found[name] for name in parts), strict=True)
    ]
    pairs = zip(found["ours, one core"], found["ours, all cores"], strict=True)
    gained = median_range(one.wall / several.wall for one, several in pairs)
    show(
        f"Goal 3: features of {clips} WAV files at {mel.sample_rate} Hz",
        ("", "ms per clip, wall clock", "processor", "times librosa", "its defaults"),
        [
            row("librosa"),
            row("librosa, its defaults"),
            row("torchaudio"),
            row("ours, one core", "ours, one core (goal: 3)"),
            row("ours, all cores", f"ours, {cores} cores"),
            row("bound"),
            *(row(name, f"  {name} alone") for name in parts),
        ],
        f"{cores} cores are {gained} times one (goal on two: 1.8); {cores} processes, {possible:.2f} times one",
        f"median (range) of {len(found['librosa'])} rounds",
    )


if __name__ == "__main__":
    main()
