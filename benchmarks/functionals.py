"""How long the functionals of a corpus take beside openSMILE's eGeMAPS: one process and one thread each.

    python benchmarks/functionals.py [--root CORPUS] [--clips 0] [--rounds 1]

Seconds from file to features, decoding included, by the wall clock and the processor's: other work on the machine
lengthens the first, and the second less. eGeMAPS is computed in two ways: by openSMILE's own `process_file`, at the
rate of the recording, and as `features=egemaps` does it, at 16 kHz, which is about twice as fast.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from common import Seconds, by_clock, configuration, ratios, show, timed


def of_features(name: str) -> Callable[[str], object]:
    """From file to vector, as `features=name` does it."""
    import torch

    from ser.build import build
    from ser.features import audio
    from ser.training import config

    feature = build(config.plain(configuration("model=mlp", f"features={name}"))["features"])

    def compute(file: str) -> object:
        wave, facts = audio.read(file)
        return feature(torch.from_numpy(wave), facts.rate)

    return compute


def of_opensmile(feature_set: str) -> Callable[[str], object]:
    """From file to vector by openSMILE alone."""
    import opensmile

    extractor = opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.Functionals)
    return extractor.process_file  # type: ignore[no-any-return]


WAYS = {
    "features=functionals": (of_features, "functionals"),
    "features=egemaps": (of_features, "egemaps"),
    "openSMILE process_file": (of_opensmile, "eGeMAPSv02"),
}


def seconds(way: str, files: list[str]) -> Seconds:
    """For all files in this process, after a first file to warm up."""
    import torch

    torch.set_num_threads(1)
    make, argument = WAYS[way]
    compute = make(argument)
    compute(files[0])
    return timed(lambda: [compute(file) for file in files])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=os.environ.get("SER_RAVDESS_ROOT", "data/ravdess"))
    parser.add_argument("--clips", type=int, default=0, help="0: all")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    files = sorted(str(file) for file in Path(arguments.root).rglob("*") if file.suffix in (".wav", ".flac"))
    files = files[: arguments.clips or None]
    if not files:
        raise SystemExit(f"no recordings below {arguments.root}")
    found: dict[str, list[Seconds]] = {way: [] for way in WAYS}
    for _ in range(arguments.rounds):
        for way, taken in found.items():
            with get_context("spawn").Pool(1) as pool:
                taken.append(pool.apply(seconds, (way, files)))
    ours = found["features=functionals"]
    show(
        f"Functionals of {len(files)} files, one thread",
        ("", "s, wall clock", "s, processor", "times ours, wall clock", "processor"),
        [(way, *by_clock(taken, ".1f"), *ratios(taken, ours, ".1f")) for way, taken in found.items()],
        f"median (range) of {arguments.rounds} rounds" if arguments.rounds > 1 else "one round",
    )


if __name__ == "__main__":
    main()
