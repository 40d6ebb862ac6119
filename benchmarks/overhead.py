"""Goal 1: what Lightning, Hydra, logging, metrics, checkpoints and data cost over a bare PyTorch loop.

    python benchmarks/overhead.py [--epochs 2 7] [--rounds 3] [OVERRIDE ...]
    python benchmarks/overhead.py trainer=gpu

Ours is `train.py` with these overrides, in this process: the time in `Trainer.fit` of a long run less that of a short
one, for an epoch each. The bare loop has the network and optimiser of that run, its precision and device, and the
batches of an epoch ready in memory; it takes the same steps, validates after every epoch and lets the rate fall, and
does nothing else. The two alternate.

On a processor, other work on the machine changes the network's own time by more than the overhead, so the time beside
the network (forward, backward, the optimiser's arithmetic) is given as well, and the overhead by it alone. On a GPU
these return before they are done, and only the whole counts.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from itertools import count
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from common import Run, show, timed, train, workplace
from torch import Tensor

from ser.models.cnn import SeparableCNN


class Bare:
    """A loop such as one writes by hand, on batches that are there already."""

    def __init__(self, run: Run) -> None:
        self.run, self.device = run, run.trainer.strategy.root_device
        self.mixed = run.trainer.precision == "bf16-mixed"
        self.train = [self._ready(batch) for batch in run.data.train_dataloader()]
        self.val = [self._ready(batch) for batch in run.data.val_dataloader()]

    def _ready(self, batch: Any) -> tuple[Tensor, Tensor]:
        inputs, truth, _ = self.run.data.on_after_batch_transfer(tuple(it.to(self.device) for it in batch), 0)
        return inputs, truth

    def _loss(self, net: torch.nn.Module, inputs: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = net(inputs).float()
            return logits, F.cross_entropy(logits, truth)

    def fit(self, epochs: int) -> None:
        """So many epochs from the same weights on."""
        net = copy.deepcopy(self.run.net).to(self.device)
        optimizer = self.run.model.make_optimizer(net.parameters())
        plateau = self.run.model.make_scheduler(optimizer)
        for _ in range(epochs):
            net.train()
            for inputs, truth in self.train:
                _, loss = self._loss(net, inputs, truth)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            net.eval()
            total, right, count = torch.zeros((), device=self.device), torch.zeros((), device=self.device), 0
            with torch.inference_mode():
                for inputs, truth in self.val:
                    logits, loss = self._loss(net, inputs, truth)
                    total += loss * len(truth)
                    right += (logits.argmax(1) == truth).sum()
                    count += len(truth)
            plateau.step(float(total) / count)
            float(right)


@contextmanager
def network_time() -> Iterator[list[float]]:
    """Lists seconds spent in Adam, `backward` and the network's forward, whichever loop calls them."""
    spent: list[float] = []

    def watched(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            result = work(*args, **kwargs)
            spent.append(time.perf_counter() - begun)
            return result

        return call

    with ExitStack() as patches:
        for owner, name in (
            (SeparableCNN, "forward"),
            (Tensor, "backward"),
            (import_module("torch.optim.adam"), "adam"),
        ):
            patches.enter_context(patch.object(owner, name, watched(getattr(owner, name))))
        yield spent


def an_epoch(fit: Callable[[int], float], epochs: Sequence[int]) -> tuple[float, float]:
    """Milliseconds of an epoch, whole and beside the network, from a short and a long run."""
    whole, beside = [], []
    for length in epochs:
        with network_time() as spent:
            whole.append(fit(length))
        beside.append(whole[-1] - sum(spent))
    short, long = epochs
    return tuple(1000 * (of_long - of_short) / (long - short) for of_short, of_long in (whole, beside))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, nargs=2, default=(2, 7), metavar=("SHORT", "LONG"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra's, such as trainer=gpu")
    arguments = parser.parse_args()
    with workplace() as folder:
        first = train(folder / "warm", "trainer.max_epochs=1", *arguments.overrides)
        bare = Bare(first)
        bare.fit(1)
        numbers = count()

        def fit(epochs: int) -> float:
            run = train(folder / str(next(numbers)), f"trainer.max_epochs={epochs}", *arguments.overrides)
            return run.fit.wall

        rounds = [
            (
                an_epoch(fit, arguments.epochs),
                an_epoch(lambda epochs: timed(lambda: bare.fit(epochs)).wall, arguments.epochs),
            )
            for _ in range(arguments.rounds)
        ]
    ours, theirs = ([statistics.median(values) for values in zip(*of, strict=True)] for of in zip(*rounds, strict=True))
    by_whole = statistics.median(our[0] / their[0] - 1 for our, their in rounds)
    by_rest = statistics.median((our[1] - their[1]) / their[0] for our, their in rounds)
    rows = [(name, *(f"{it:.0f}" for it in times)) for name, times in (("train.py", ours), ("bare loop", theirs))]
    what = f"{bare.device}, {first.trainer.precision}, {torch.get_num_threads()} threads"
    show(
        f"Goal 1: an epoch ({len(bare.train)} steps, {len(bare.val)} of validation), {what}",
        ("", "ms", "ms beside the network"),
        [*rows, ("overhead (goal: at most 5%)", f"{100 * by_whole:+.1f}%", f"{100 * by_rest:+.1f}%")],
        f"median of {arguments.rounds} rounds, {arguments.epochs[1]} less {arguments.epochs[0]} epochs",
    )


if __name__ == "__main__":
    main()
