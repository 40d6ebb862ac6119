"""How long the functionals of a corpus take beside openSMILE's eGeMAPS: one process and one thread each.

    python benchmarks/functionals.py path/to/ravdess

Prints seconds from file to features, decoding included, on the wall's clock and the processor's: other work on the
machine lengthens the first, and the second less. eGeMAPS is taken twice: by openSMILE's own `process_file`, at the rate
of the recording, and as `features=egemaps` has it, at 16 kHz, which is about twice as fast.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

CONF = Path(__file__).parent.parent / "conf" / "features"


def of_features(name: str) -> Callable[[str], object]:
    """From file to vector, as `features=name` does it."""
    import torch
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from ser.features import audio

    settings = OmegaConf.load(CONF / f"{name}.yaml")
    feature = instantiate({key: value for key, value in settings.items() if key not in ("name", "input")})

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


def seconds(way: str, files: list[str]) -> tuple[float, float]:
    """Wall and processor seconds for all files in this process, after a first file to warm up."""
    import torch

    torch.set_num_threads(1)
    make, argument = WAYS[way]
    compute = make(argument)
    compute(files[0])
    wall, processor = time.perf_counter(), time.process_time()
    for file in files:
        compute(file)
    return time.perf_counter() - wall, time.process_time() - processor


def main(root: str) -> None:
    files = sorted(str(file) for file in Path(root).rglob("*") if file.suffix in (".wav", ".flac"))
    first: tuple[float, float] | None = None
    for way in WAYS:
        with get_context("spawn").Pool(1) as pool:
            wall, processor = pool.apply(seconds, (way, files))
        first = first or (wall, processor)
        ratio = f"{wall / first[0]:5.1f} and {processor / first[1]:5.1f} times as long"
        print(f"{way:22} {len(files)} files: {wall:6.1f} s, {processor:6.1f} s of the processor; {ratio}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
