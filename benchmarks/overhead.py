"""Goal 1: what Lightning, Hydra, logging, metrics, checkpoints and data cost over a bare PyTorch loop.

    python benchmarks/overhead.py [--epochs 2 7] [--rounds 5] [OVERRIDE ...]
    python benchmarks/overhead.py trainer=gpu

Ours is `train.py` with these overrides, in this process: the time of its stage `fit` in a long run minus that in a
short one, per epoch. The bare loop has the network and optimiser of that run, its precision and device, and the
batches of an epoch ready in memory; it takes the same steps, validates after every epoch and steps the learning rate
schedule, and does nothing else. The two alternate.

On a processor, other work on the machine changes the network's own time by more than the overhead, so the time outside
the network (forward, backward, the optimiser's arithmetic) is given as well, and the overhead computed from it alone.
On a GPU these calls return before the work is done, and only the whole epoch counts.
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
from common import Run, doubts, median_range, show, timed, train_here, workplace
from torch import Tensor, nn

from ser.augment.augmentation import Augmentation
from ser.training.data import Batch


class Bare:
    """A loop such as one writes by hand, on batches that are ready."""

    def __init__(self, run: Run) -> None:
        self.run, self.device = run, run.plan.trainer.strategy.root_device
        self.mixed = run.plan.trainer.precision == "bf16-mixed"
        data = run.job.data
        self.train = [data.batch(rows.to(self.device), run.job.model.augment) for rows in data.train_dataloader()]
        self.val = [data.batch(rows.to(self.device), Augmentation()) for rows in data.val_dataloader()]

    def _loss(self, net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = net(batch.x, batch.lengths).float()
            return logits, F.cross_entropy(logits, batch.truth)

    def fit(self, epochs: int) -> None:
        """Train for this many epochs, always from the same weights."""
        net, model = copy.deepcopy(self.run.net).to(self.device), self.run.job.model
        optimizer = model.make_optimizer(net.parameters())
        plateau = model.make_scheduler(optimizer, mode="min")
        for _ in range(epochs):
            net.train()
            for batch in self.train:
                _, loss = self._loss(net, batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            net.eval()
            total, right, count = torch.zeros((), device=self.device), torch.zeros((), device=self.device), 0
            with torch.inference_mode():
                for batch in self.val:
                    logits, loss = self._loss(net, batch)
                    total += loss * len(batch.truth)
                    right += (logits.argmax(1) == batch.truth).sum()
                    count += len(batch.truth)
            plateau.step(float(total) / count)
            float(right)


@contextmanager
def network_time(kind: type[nn.Module]) -> Iterator[list[float]]:
    """Lists the seconds spent in Adam, `backward` and the forward of such networks, whichever loop calls them."""
    spent: list[float] = []

    def watched(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            result = work(*args, **kwargs)
            spent.append(time.perf_counter() - begun)
            return result

        return call

    adam = import_module("torch.optim.adam")
    with ExitStack() as patches:
        for owner, name in ((kind, "forward"), (Tensor, "backward"), (adam, "adam")):
            patches.enter_context(patch.object(owner, name, watched(getattr(owner, name))))
        yield spent


def an_epoch(fit: Callable[[int], float], epochs: Sequence[int], kind: type[nn.Module]) -> tuple[float, float]:
    """Milliseconds per epoch, of all of it and of what is outside the network, from a short and a long run."""
    whole, outside = [], []
    for length in epochs:
        with network_time(kind) as spent:
            whole.append(fit(length))
        outside.append(whole[-1] - sum(spent))
    short, long = epochs
    of_all, of_rest = (1000 * (after - before) / (long - short) for before, after in (whole, outside))
    return of_all, of_rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, nargs=2, default=(2, 7), metavar=("SHORT", "LONG"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra's, such as trainer=gpu")
    arguments = parser.parse_args()
    epochs, overrides = arguments.epochs, arguments.overrides
    with workplace() as folder:
        first = train_here(folder / "warm", "trainer.max_epochs=1", *overrides)
        bare, kind, numbers = Bare(first), type(first.net), count()
        bare.fit(1)

        def fit(length: int) -> float:
            return train_here(folder / str(next(numbers)), f"trainer.max_epochs={length}", *overrides).fit.wall

        def bare_fit(length: int) -> float:
            return timed(lambda: bare.fit(length)).wall

        rounds = [(an_epoch(fit, epochs, kind), an_epoch(bare_fit, epochs, kind)) for _ in range(arguments.rounds)]
    ours, theirs = (list(zip(*of, strict=True)) for of in zip(*rounds, strict=True))
    by_whole = [100 * (our[0] / their[0] - 1) for our, their in rounds]
    by_rest = [100 * (our[1] - their[1]) / their[0] for our, their in rounds]
    what = f"{bare.device}, {first.plan.trainer.precision}, {torch.get_num_threads()} threads"
    show(
        f"Goal 1: an epoch ({len(bare.train)} training steps, {len(bare.val)} validation), {what}",
        ("", "ms", "ms outside the network"),
        [
            ("train.py", *(median_range(values, ".0f") for values in ours)),
            ("bare loop", *(median_range(values, ".0f") for values in theirs)),
            ("overhead, % (goal: at most 5)", *(median_range(values, "+.1f") for values in (by_whole, by_rest))),
        ],
        f"median (range) of {arguments.rounds} rounds, {epochs[1]} minus {epochs[0]} epochs",
        doubts({"train.py": [it for of in ours for it in of], "the bare loop": [it for of in theirs for it in of]}),
        doubts({"the median overhead": [statistics.median(by_whole)]}),
    )


if __name__ == "__main__":
    main()
