"""How far each layer of a training step is from what the machine can do.

    python benchmarks/bound.py [--frames 128] [--batch 32] [--precision bf16|fp32]

A layer needs a number of multiply-adds, and has to read and write a number of bytes, forward and backward. At the speed
of a large product of matrices the first take some time, at the speed of a copy the second; the longer of the two is the
bound. Beside it is the time of the layer by itself, on inputs such as it gets in the network. Median (range), by the
wall clock, on as many threads as torch takes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from common import configuration, median_range, show
from torch import Tensor, nn

from ser import memory
from ser.build import build
from ser.models.cnn import SharedInputConv
from ser.training import config

CLASSES = 8


def seconds(work: Callable[[], object], times: int) -> list[float]:
    """The time of each call, after two to warm up."""
    taken = []
    for number in range(times + 2):
        begun = time.perf_counter()
        work()
        if number >= 2:
            taken.append(time.perf_counter() - begun)
    return taken


def machine(dtype: torch.dtype, times: int) -> tuple[float, float]:
    """Multiply-adds per second in a large product; bytes per second, read or written, in a copy."""
    size, count = 2048, 1 << 26
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    source, target = torch.zeros(count), torch.zeros(count)
    product, copy = seconds(lambda: a @ b, times), seconds(lambda: target.copy_(source), times)
    return size**3 / statistics.median(product), 8 * count / statistics.median(copy)


def multiply_adds(layer: nn.Module, result: Tensor) -> int:
    """Of the forward pass of layers with weights; others count as none."""
    if isinstance(layer, nn.Conv2d):
        inputs = 1 if isinstance(layer, SharedInputConv) else layer.in_channels // layer.groups
        return result.numel() * inputs * layer.kernel_size[0] * layer.kernel_size[1]
    return result.numel() * layer.in_features if isinstance(layer, nn.Linear) else 0


def _times(bound: float, taken: list[float]) -> tuple[str, str, str]:
    """Cells of the table: milliseconds of the bound and taken, and how many times the bound this is."""
    milliseconds = [1000 * it for it in taken]
    return f"{1000 * bound:.2f}", median_range(milliseconds), f"{statistics.median(taken) / bound:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--times", type=int, default=15)
    arguments = parser.parse_args()
    memory.keep_freed()  # as training does
    settings, mixed = config.plain(configuration()), arguments.precision == "bf16"
    n_mels, frames = settings["features"]["n_mels"], arguments.frames or settings["input"]["frames"]
    torch.manual_seed(0)
    net = build(settings["model"]["net"], shape=(n_mels, frames), classes=CLASSES)
    inputs = torch.randn(arguments.batch, frames, n_mels).mT, torch.full((arguments.batch,), frames)
    seen: list[tuple[str, nn.Module, Tensor, Tensor]] = []
    hooks = [
        layer.register_forward_hook(lambda it, given, result, name=name: seen.append((name, it, given[0], result)))
        for name, layer in net.named_modules()
        if not list(layer.children())
    ]

    def forward(layer: nn.Module, *given: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            result: Tensor = layer(*given)
        return result

    forward(net, *inputs)
    for hook in hooks:
        hook.remove()
    adds, moves = machine(torch.bfloat16 if mixed else torch.float32, arguments.times)
    rows, bound_of_all = [], 0.0
    for name, layer, given, result in seen:
        first = isinstance(layer, SharedInputConv)  # which needs no gradient of its input
        given = given.detach() if first else given.detach().requires_grad_()
        gradient = torch.ones_like(result)

        def step(layer: nn.Module = layer, given: Tensor = given, gradient: Tensor = gradient) -> None:
            forward(layer, given).backward(gradient)

        work = (2 if first else 3) * multiply_adds(layer, result)
        read = given.numel() * given.element_size()
        written = result.numel() * result.element_size()
        moved = (2 if first else 3) * read + 2 * written
        bound = max(work / adds, moved / moves)
        bound_of_all += bound
        amounts = (f"{work / 1e6:.1f}", f"{moved / 1e6:.1f}")
        rows.append((f"{name} {type(layer).__name__}", *amounts, *_times(bound, seconds(step, arguments.times))))

    def whole() -> None:
        net.zero_grad()
        forward(net, *inputs).float().sum().backward()

    rows.append(("forward and backward of all", "", "", *_times(bound_of_all, seconds(whole, arguments.times))))
    shape = f"{arguments.batch} x {n_mels} x {frames}"
    show(
        f"A step of {shape}, {arguments.precision}, {torch.get_num_threads()} threads",
        ("layer", "M multiply-adds", "MB moved", "ms, bound", "ms taken", "times the bound"),
        rows,
        f"this machine: {adds / 1e9:.0f} G multiply-adds/s in a product, {moves / 1e9:.1f} GB/s in a copy",
    )


if __name__ == "__main__":
    main()
