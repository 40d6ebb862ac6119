"""How far each layer of a training step is from what the machine can do.

    python benchmarks/bound.py [--frames 128] [--batch 32] [--precision bf16|fp32]

A layer has so many multiply-adds and has to read and write so many bytes, forward and backward. The machine does so
many in a large product of matrices and moves so many in a copy. The longer of the two times is the bound; beside it
stands what the layer takes by itself, on inputs such as it gets in the network. Median times, by the wall's clock, on
as many threads as torch takes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from common import ROOT, show
from omegaconf import OmegaConf
from torch import Tensor, nn

from ser import memory
from ser.models.cnn import SeparableCNN
from ser.utterances import EMOTIONS


def seconds(work: Callable[[], object], times: int) -> float:
    """The median of calls, after two to warm up."""
    taken = []
    for number in range(times + 2):
        begun = time.perf_counter()
        work()
        if number >= 2:
            taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def machine(dtype: torch.dtype, times: int) -> tuple[float, float]:
    """Multiply-adds a second in a large product, bytes a second, read or written, in a copy."""
    size, count = 2048, 1 << 26
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    source, target = torch.zeros(count), torch.zeros(count)
    return size**3 / seconds(lambda: a @ b, times), 8 * count / seconds(lambda: target.copy_(source), times)


def multiply_adds(layer: nn.Module, result: Tensor) -> int:
    """Forward; of layers with weights alone."""
    if isinstance(layer, nn.Conv2d):
        inputs = 1 if layer.in_channels == 3 else layer.in_channels // layer.groups  # the stem's channels are one
        return result.numel() * inputs * layer.kernel_size[0] * layer.kernel_size[1]
    return result.numel() * layer.in_features if isinstance(layer, nn.Linear) else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--times", type=int, default=15)
    arguments = parser.parse_args()
    memory.keep_freed()  # as training does
    mel = OmegaConf.load(ROOT / "conf" / "features" / "mel.yaml")
    frames, mixed = arguments.frames or mel.input.frames, arguments.precision == "bf16"
    torch.manual_seed(0)
    net = SeparableCNN((3, mel.n_mels, frames), len(EMOTIONS), 0.5)
    inputs = torch.randn(arguments.batch, frames, mel.n_mels).mT[:, None].expand(-1, 3, -1, -1)
    seen: list[tuple[str, nn.Module, Tensor, Tensor]] = []
    for name, layer in net.named_modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda it, given, result, name=name: seen.append((name, it, given[0], result)))

    def forward(layer: nn.Module, given: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            result: Tensor = layer(given)
        return result

    forward(net, inputs)
    for layer in net.modules():
        layer._forward_hooks.clear()
    adds, moves = machine(torch.bfloat16 if mixed else torch.float32, arguments.times)
    rows, bound_of_all = [], 0.0
    for name, layer, given, result in seen:
        first = name.startswith("stem.0")
        given = given.detach() if first else given.detach().requires_grad_()
        gradient = torch.ones_like(result)

        def step(layer: nn.Module = layer, given: Tensor = given, gradient: Tensor = gradient) -> None:
            forward(layer, given).backward(gradient)

        work = (2 if first else 3) * multiply_adds(layer, result)
        read = given.numel() * given.element_size() // (3 if first else 1)
        written = result.numel() * result.element_size()
        moved = (2 if first else 3) * read + 2 * written
        bound = max(work / adds, moved / moves)
        bound_of_all += bound
        taken = seconds(step, arguments.times)
        times = (f"{1000 * bound:.2f}", f"{1000 * taken:.2f}", f"{taken / bound:.1f}")
        rows.append((f"{name} {type(layer).__name__}", f"{work / 1e6:.1f}", f"{moved / 1e6:.1f}", *times))

    def whole() -> None:
        net.zero_grad()
        forward(net, inputs).float().sum().backward()

    taken = seconds(whole, arguments.times)
    times = (f"{1000 * bound_of_all:.1f}", f"{1000 * taken:.1f}", f"{taken / bound_of_all:.1f}")
    rows.append(("forward and backward of all", "", "", *times))
    shape = f"{arguments.batch} x {mel.n_mels} x {frames}"
    show(
        f"A step of {shape}, {arguments.precision}, {torch.get_num_threads()} threads",
        ("layer", "M multiply-adds", "MB moved", "ms, bound", "ms taken", "times the bound"),
        rows,
        f"this machine: {adds / 1e9:.0f} G multiply-adds/s in a product, {moves / 1e9:.1f} GB/s in a copy",
    )


if __name__ == "__main__":
    main()
