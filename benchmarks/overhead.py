"""Goal 1: what Lightning, Hydra, logging, metrics, checkpoints and data cost over a bare PyTorch loop.

    python benchmarks/overhead.py [--epochs 2 7] [--rounds 3] [OVERRIDE ...]
    python benchmarks/overhead.py trainer=gpu

Ours is `train.py` with these overrides, in this process: the time in `Trainer.fit` of a long run less that of a short
one, for an epoch each. The bare loop has the network and optimiser of that run, its precision and device, and the
batches of an epoch ready in memory; it takes the same steps, validates after every epoch and lets the rate fall, and
does nothing else. The two alternate. The processor's clock is of all threads of this process.
"""

from __future__ import annotations

import argparse
import copy
from typing import Any

import torch
import torch.nn.functional as F
from common import Run, median, ratio, show, timed, train, workplace
from torch import Tensor


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, nargs=2, default=(2, 7), metavar=("SHORT", "LONG"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra's, such as trainer=gpu")
    arguments = parser.parse_args()
    short, long = arguments.epochs
    with workplace() as folder:
        first = train(folder / "warm", "trainer.max_epochs=1", *arguments.overrides)
        bare = Bare(first)
        bare.fit(1)
        ours, theirs = [], []
        for number in range(arguments.rounds):
            seconds = {}
            for epochs in (short, long):
                run = train(folder / f"{number}-{epochs}", f"trainer.max_epochs={epochs}", *arguments.overrides)
                seconds["ours", epochs] = run.fit
                seconds["bare", epochs] = timed(lambda epochs=epochs: bare.fit(epochs))
            ours.append((seconds["ours", long] - seconds["ours", short]) * (1 / (long - short)))
            theirs.append((seconds["bare", long] - seconds["bare", short]) * (1 / (long - short)))
    rows = [
        (name, f"{1000 * it.wall:.0f}", f"{1000 * it.processor:.0f}")
        for name, it in (("train.py", median(ours)), ("bare loop", median(theirs)))
    ]
    by_clock = [f"{100 * (value - 1):+.1f}%" for value in ratio(ours, theirs)]
    what = f"{bare.device}, {first.trainer.precision}, {torch.get_num_threads()} threads"
    show(
        f"Goal 1: an epoch ({len(bare.train)} steps, {len(bare.val)} of validation), {what}",
        ("", "ms, wall", "ms, processor"),
        [*rows, ("overhead (goal: at most 5%)", *by_clock)],
        f"median of {arguments.rounds} rounds, {long} less {short} epochs",
    )


if __name__ == "__main__":
    main()
