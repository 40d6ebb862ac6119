"""How long the functionals of a corpus take beside openSMILE's eGeMAPS: one process and one thread each.

    python benchmarks/functionals.py path/to/ravdess

Prints seconds from file to features, decoding and resampling included, on the wall's clock and the processor's: other
work on the machine lengthens the first, and hardly the second.
"""

from __future__ import annotations

import sys
import time
from multiprocessing import get_context
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from ser import audio

CONF = Path(__file__).parent.parent / "conf" / "features"


def seconds(feature: str, files: list[Path]) -> tuple[float, float]:
    """Wall and processor seconds for all files in this process, after a first file to warm up."""
    torch.set_num_threads(1)
    settings = OmegaConf.load(CONF / f"{feature}.yaml")
    compute = instantiate({key: value for key, value in settings.items() if key not in ("name", "input")})
    wave, facts = audio.read(str(files[0]))
    compute(torch.from_numpy(wave), facts.rate)
    wall, processor = time.perf_counter(), time.process_time()
    for file in files:
        wave, facts = audio.read(str(file))
        compute(torch.from_numpy(wave), facts.rate)
    return time.perf_counter() - wall, time.process_time() - processor


def main(root: str) -> None:
    files = sorted(file for file in Path(root).rglob("*") if file.suffix in (".wav", ".flac"))
    taken = {}
    for feature in ("functionals", "egemaps"):
        with get_context("spawn").Pool(1) as pool:
            taken[feature] = pool.apply(seconds, (feature, files))
        wall, processor = taken[feature]
        print(f"{feature:12} {len(files)} files: {wall:6.1f} s, {processor:6.1f} s of the processor", flush=True)
    wall, processor = (slow / fast for slow, fast in zip(taken["egemaps"], taken["functionals"], strict=True))
    print(f"functionals are {wall:.1f} times as fast by the wall's clock, {processor:.1f} times by the processor's")


if __name__ == "__main__":
    main(sys.argv[1])
