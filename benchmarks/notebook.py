"""Goal 2: the reference training against the loop that notebooks have.

    python benchmarks/notebook.py [--rounds 2] [--clips N] [OVERRIDE ...]
    python benchmarks/notebook.py --scores 1 2 3 4 5

The notebook loads every clip with soundfile and makes its mel spectrogram with torchaudio in a Dataset, two workers in
the DataLoader; the network is of the same shape, with a plain nn.Conv2d stem on three real channels, in fp32 and
PyTorch's ordinary memory format. It resamples, pads, crops, draws places and levels, normalises and validates as
`train.py` does, and has no start-up and no checkpoints to pay for. Ours is the training of `train.py`, all its stages;
what comes once (features of the whole corpus, split, summary, pictures) is added to its 70 epochs.

With --scores, both train to the end with each of these seeds, on the same split: is the faster one as accurate? Only
here, the notebook keeps a clip's spectrogram once it is made, which changes no value.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from pathlib import Path
from typing import Any

import scipy.stats
import soundfile
import torch
import torch.nn.functional as F
import torchaudio
from common import Run, Seconds, by_clock, doubts, median_range, ratios, show, timed, train_here, workplace
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ser.models.cnn import SeparableCNN
from ser.utterances import class_indices

EPOCHS = 70


class Clips(Dataset):
    """One clip per item: `(3, mel, frame)` and its class.

    Args:
        settings: of the run of `train.py`.
        scale: mean and deviation of the training part, dB.
        level: standard deviation in dB of the random shift of training; None for validation, where nothing is random.
    """

    def __init__(
        self,
        paths: list[str],
        classes: list[int],
        settings: dict[str, Any],
        scale: tuple[float, float],
        level: float | None,
    ) -> None:
        features = settings["features"]
        self.paths, self.classes, self.level = paths, classes, level
        self.mean, self.deviation = scale
        self.rate, self.floor, self.frames = features["sample_rate"], features["floor_db"], settings["input"]["frames"]
        names = ("sample_rate", "n_fft", "hop_length", "n_mels", "f_min", "f_max")
        self.mel = torchaudio.transforms.MelSpectrogram(**{name: features[name] for name in names})
        self.to_db = torchaudio.transforms.AmplitudeToDB()
        self.resamplers: dict[int, torchaudio.transforms.Resample] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def _decibels(self, item: int) -> Tensor:
        samples, rate = soundfile.read(self.paths[item], dtype="float32", always_2d=True)
        wave = torch.from_numpy(samples.mean(1))
        if rate != self.rate:
            resampler = self.resamplers.setdefault(rate, torchaudio.transforms.Resample(rate, self.rate))
            wave = resampler(wave)
        return self.to_db(self.mel(wave)).clamp(min=self.floor)

    def __getitem__(self, item: int) -> tuple[Tensor, int]:
        values = self._decibels(item)
        spare = self.frames - values.shape[1]
        place = 0.5 if self.level is None else torch.rand(()).item()
        shift = min(int(place * (abs(spare) + 1)), abs(spare))
        if spare > 0:
            values = F.pad(values, (shift, spare - shift), value=self.floor)
        else:
            values = values[:, shift : shift + self.frames]
        if self.level is not None:
            values = values + self.level * torch.randn(())
        return ((values - self.mean) / self.deviation).repeat(3, 1, 1), self.classes[item]


class KeptClips(Clips):
    """Makes every spectrogram once: for scores, not for times."""

    def _decibels(self, item: int) -> Tensor:
        if not hasattr(self, "kept"):
            self.kept: dict[int, Tensor] = {}
        if item not in self.kept:
            self.kept[item] = super()._decibels(item)
        return self.kept[item]


def plain(net: SeparableCNN) -> nn.Module:
    """The network on three channels, with an ordinary convolution for its stem, in the ordinary memory format."""
    net = copy.deepcopy(net)
    shared, *rest = net.stem
    stem = nn.Conv2d(3, shared.out_channels, shared.kernel_size, shared.stride, shared.padding, bias=False)
    stem.load_state_dict(shared.state_dict())
    layers = nn.Sequential(stem, *rest, net.blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.head)
    return layers.to(memory_format=torch.contiguous_format)


class Notebook:
    """The usual loop, on the split, the statistics and the hyperparameters of a run of ours."""

    def __init__(self, run: Run, clips: int | None = None, kept: bool = False, seed: int = 0) -> None:
        torch.manual_seed(seed)
        settings, data = run.plan.settings, run.job.data
        self.net = plain(run.net)
        self.optimizer = run.job.model.make_optimizer(self.net.parameters())
        self.plateau = run.job.model.make_scheduler(self.optimizer, mode="min")
        scale = data.normalisation.mean[0], data.normalisation.deviation[0]

        def loader(part: tuple[int, ...], level: float | None) -> DataLoader:
            table = data.split.table.iloc[list(part[:clips])]
            paths, classes = table["path"].tolist(), class_indices(table).tolist()
            chosen = (KeptClips if kept else Clips)(paths, classes, settings, scale, level)
            return DataLoader(chosen, data.batch_size, shuffle=level is not None, num_workers=0 if kept else 2)

        self.train = loader(data.split.train, settings["augment"]["level"])
        self.val = loader(data.split.val, None)

    def epoch(self) -> tuple[float, float]:
        """All of the training part, then all of validation: its loss and accuracy."""
        self.net.train()
        for inputs, truth in self.train:
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.net(inputs), truth)
            loss.backward()
            self.optimizer.step()
            loss.item()
        self.net.eval()
        total, right, count = 0.0, 0, 0
        with torch.no_grad():
            for inputs, truth in self.val:
                logits = self.net(inputs)
                total += F.cross_entropy(logits, truth).item() * len(truth)
                right += (logits.argmax(1) == truth).sum().item()
                count += len(truth)
        self.plateau.step(total / count)
        return total / count, right / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clips", type=int, help="of each part, for a quick try: the ratio is then no measurement")
    parser.add_argument("--scores", type=int, nargs="+", metavar="SEED", help="compare accuracy instead of speed")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of --scores")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra's, such as data.root=...")
    arguments = parser.parse_args()
    overrides = ["trainer=cpu", *arguments.overrides]
    if arguments.clips:
        batches = max(1, arguments.clips // 32)
        overrides += [f"trainer.limit_train_batches={batches}", f"trainer.limit_val_batches={batches}"]
    with workplace() as folder:
        if arguments.scores:
            scores(folder, arguments.scores, arguments.epochs, overrides)
        else:
            times(folder, arguments.rounds, arguments.clips, overrides)


def times(folder: Path, rounds: int, clips: int | None, overrides: list[str]) -> None:
    cold: list[Run] = []
    whole = timed(lambda: cold.append(train_here(folder / "cold", "trainer.max_epochs=1", *overrides)))
    once = whole - cold[0].fit
    notebook = Notebook(cold[0], clips)
    ours, theirs = [], []
    for number in range(rounds):
        theirs.append(timed(notebook.epoch))
        one, three = (
            train_here(folder / f"{number}-{epochs}", f"trainer.max_epochs={epochs}", *overrides).fit
            for epochs in (1, 3)
        )
        ours.append((three - one) * 0.5)
    _show(once, ours, theirs)


def scores(folder: Path, seeds: list[int], epochs: int, overrides: list[str]) -> None:
    """Validation accuracy at the lowest validation loss, in percent."""
    found = []
    for seed in tqdm(seeds, desc="seeds, both ways each"):
        run = train_here(folder / str(seed), f"seed={seed}", f"trainer.max_epochs={epochs}", *overrides)
        ours = json.loads((folder / str(seed) / "summary.json").read_text())["val_accuracy"]
        notebook = Notebook(run, kept=True, seed=seed)
        _, theirs = min(notebook.epoch() for _ in tqdm(range(epochs), desc=f"notebook, seed {seed}", leave=False))
        found.append((100 * theirs, 100 * ours))
    differences = [ours - theirs for theirs, ours in found]
    if len(seeds) < 2:
        raise SystemExit(f"one seed has no spread: notebook {found[0][0]:.1f}%, train.py {found[0][1]:.1f}%")
    rows = [
        (name, f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}", *(f"{it:.1f}" for it in values))
        for name, values in (("notebook", [a for a, _ in found]), ("train.py", [b for _, b in found]))
    ]
    interval = scipy.stats.ttest_1samp(differences, 0).confidence_interval()
    show(
        f"Goal 2: validation accuracy (seen speakers) at the lowest val/loss, {epochs} epochs",
        ("", "mean ± sd", *(f"seed {seed}" for seed in seeds)),
        rows,
        f"train.py minus notebook: {statistics.mean(differences):+.1f} points, "
        f"95% interval of paired seeds [{interval.low:+.1f}, {interval.high:+.1f}]",
    )


def _show(once: Seconds, ours: list[Seconds], theirs: list[Seconds]) -> None:
    slow, fast = [EPOCHS * it.wall for it in theirs], [EPOCHS * it.wall + once.wall for it in ours]
    in_all = median_range((a / b for a, b in zip(slow, fast, strict=True)), ".1f")
    show(
        f"Goal 2: the reference training of {EPOCHS} epochs, {torch.get_num_threads()} threads",
        ("", "s per epoch, wall clock", "processor", f"s, {EPOCHS} epochs"),
        [
            ("notebook", *by_clock(theirs), median_range(slow, ".0f")),
            ("train.py", *by_clock(ours), median_range(fast, ".0f")),
            ("times as fast (goal: 5)", *ratios(theirs, ours, ".1f"), in_all),
        ],
        f"median (range) of {len(ours)} rounds; the {EPOCHS} epochs include {once.wall:.1f} s of what comes once",
        doubts({"an epoch of train.py": [clock for it in ours for clock in (it.wall, it.processor)]}),
    )


if __name__ == "__main__":
    main()
