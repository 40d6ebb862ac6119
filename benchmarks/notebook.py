"""Goal 2: the reference training against the loop that notebooks have.

    python benchmarks/notebook.py [--rounds 2] [--clips N] [OVERRIDE ...]
    python benchmarks/notebook.py --scores 1 2 3 4 5

The notebook loads every clip with soundfile and makes its mel spectrogram with torchaudio in a Dataset, two workers in
the DataLoader; the network is of the same shape, with a plain nn.Conv2d stem on three real channels, in fp32 and
PyTorch's ordinary memory format. It resamples, pads, crops, draws places and levels, normalises and validates as
`train.py` does, and pays for neither start-up nor checkpoints. Ours is the real command; its start and the features of
the whole corpus, computed once, are added to its 70 epochs.

With --scores, both train to the end with each of these seeds, on the same split: is the faster one as accurate? Only
here, the notebook keeps a clip's spectrogram after it was first made, which changes no value.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

import scipy.stats
import soundfile
import torch
import torch.nn.functional as F
import torchaudio
from common import Run, Seconds, median, ratio, show, timed, train, workplace
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ser.experiment import corpus
from ser.models.cnn import SharedInputConv
from ser.utterances import labels

EPOCHS = 70


@dataclass(frozen=True)
class Corpus:
    """Path and class of every utterance, and how their features are made."""

    paths: list[str]
    classes: list[int]
    features: dict

    @classmethod
    def of(cls, run: Path) -> Corpus:
        """As that run was configured."""
        config = OmegaConf.load(run / ".hydra" / "config.yaml")
        table, _ = corpus(config)
        return cls(list(table["path"]), labels(table), OmegaConf.to_container(config.features, resolve=True))


class Clips(Dataset):
    """A clip an item: `(3, mel, frame)` and its class."""

    def __init__(
        self, paths: list[str], classes: list[int], features: dict, scale: tuple[float, float], training: bool
    ) -> None:
        self.paths, self.classes, self.training = paths, classes, training
        self.mean, self.deviation = scale
        self.rate, self.floor, self.input = features["sample_rate"], features["floor_db"], features["input"]
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
        values, frames = self._decibels(item), self.input["frames"]
        spare = frames - values.shape[1]
        place = torch.rand(()).item() if self.training and self.input["random_place"] else 0.5
        shift = min(int(place * (abs(spare) + 1)), abs(spare))
        if spare > 0:
            values = F.pad(values, (shift, spare - shift), value=self.floor)
        else:
            values = values[:, shift : shift + frames]
        if self.training:
            values = values + self.input["random_level"] * torch.randn(())
        return ((values - self.mean) / self.deviation).repeat(3, 1, 1), self.classes[item]


class KeptClips(Clips):
    """Makes every spectrogram once: for scores, not for times."""

    def _decibels(self, item: int) -> Tensor:
        if not hasattr(self, "kept"):
            self.kept: dict[int, Tensor] = {}
        if item not in self.kept:
            self.kept[item] = super()._decibels(item)
        return self.kept[item]


def plain(net: nn.Module) -> nn.Module:
    """The network with an ordinary convolution for its stem, in the ordinary memory format."""
    net = copy.deepcopy(net)
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SharedInputConv):
                ordinary = nn.Conv2d(
                    child.in_channels, child.out_channels, child.kernel_size, child.stride, child.padding, bias=False
                )
                ordinary.load_state_dict(child.state_dict())
                setattr(parent, name, ordinary)
    return net.to(memory_format=torch.contiguous_format)


class Notebook:
    """The usual loop, on the split, the statistics and the hyperparameters of a run of ours."""

    def __init__(self, run: Run, corpus: Corpus, clips: int | None = None, kept: bool = False, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.net = plain(run.net)
        self.optimizer = run.model.make_optimizer(self.net.parameters())
        self.plateau = run.model.make_scheduler(self.optimizer)
        scale = run.data.normalisation.mean[0], run.data.normalisation.deviation[0]

        def loader(rows: tuple[int, ...], training: bool) -> DataLoader:
            rows = rows[:clips]
            paths, classes = [corpus.paths[row] for row in rows], [corpus.classes[row] for row in rows]
            chosen = (KeptClips if kept else Clips)(paths, classes, corpus.features, scale, training)
            return DataLoader(chosen, run.data.batch_size, shuffle=training, num_workers=0 if kept else 2)

        self.train, self.val = loader(run.data.split.train, True), loader(run.data.split.val, False)

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
    cold = []

    def first() -> None:
        cold.append(train(folder / "cold", "trainer.max_epochs=1", *overrides))

    once = timed(first) - cold[0].fit  # imports of this script excepted: features, splits, summary, pictures
    notebook = Notebook(cold[0], Corpus.of(folder / "cold"), clips)
    ours, theirs = [], []
    for number in range(rounds):
        theirs.append(timed(notebook.epoch))
        one, three = (
            train(folder / f"{number}-{epochs}", f"trainer.max_epochs={epochs}", *overrides).fit for epochs in (1, 3)
        )
        ours.append((three - one) * 0.5)
    totals = [EPOCHS * it.wall for it in theirs], [EPOCHS * it.wall + once.wall for it in ours]
    _show(once, ours, theirs, totals, rounds)


def scores(folder: Path, seeds: list[int], epochs: int, overrides: list[str]) -> None:
    """Validation accuracy at the lowest validation loss, in percent."""
    found = []
    for seed in tqdm(seeds, desc="seeds, both ways each"):
        run = train(folder / str(seed), f"seed={seed}", f"trainer.max_epochs={epochs}", *overrides)
        ours = json.loads((folder / str(seed) / "summary.json").read_text())["val_accuracy"]
        notebook = Notebook(run, Corpus.of(folder / str(seed)), kept=True, seed=seed)
        _, theirs = min(notebook.epoch() for _ in tqdm(range(epochs), desc=f"notebook, seed {seed}", leave=False))
        found.append((100 * theirs, 100 * ours))
    differences = [ours - theirs for theirs, ours in found]
    rows = [
        (name, f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}", *(f"{it:.1f}" for it in values))
        for name, values in (("notebook", [a for a, _ in found]), ("train.py", [b for _, b in found]))
    ]
    interval = scipy.stats.ttest_1samp(differences, 0).confidence_interval()
    show(
        f"Goal 2: validation accuracy (seen speakers) at the lowest val/loss, {epochs} epochs",
        ("", "mean ± sd", *(f"seed {seed}" for seed in seeds)),
        rows,
        f"train.py less notebook: {statistics.mean(differences):+.1f} points, "
        f"95% interval of paired seeds [{interval.low:+.1f}, {interval.high:+.1f}]",
    )


def _show(
    once: Seconds, ours: list[Seconds], theirs: list[Seconds], totals: tuple[list[float], list[float]], rounds: int
) -> None:
    by_wall = sorted(slow / fast for slow, fast in zip(*totals, strict=True))[rounds // 2]
    epoch_wall, epoch_processor = ratio(theirs, ours)
    notebook, mine = median(theirs), median(ours)
    show(
        f"Goal 2: the reference training of {EPOCHS} epochs, {torch.get_num_threads()} threads",
        ("", "s an epoch, wall", "processor", f"s, {EPOCHS} epochs"),
        [
            ("notebook", f"{notebook.wall:.2f}", f"{notebook.processor:.2f}", f"{EPOCHS * notebook.wall:.0f}"),
            ("train.py", f"{mine.wall:.2f}", f"{mine.processor:.2f}", f"{EPOCHS * mine.wall + once.wall:.0f}"),
            ("times as fast (goal: 5)", f"{epoch_wall:.1f}", f"{epoch_processor:.1f}", f"{by_wall:.1f}"),
        ],
        f"median of {rounds} rounds; {once.wall:.1f} s for features and all else that comes once are in the 70 epochs",
    )


if __name__ == "__main__":
    main()
