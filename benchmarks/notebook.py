"""Goal 2: the reference training against the loop that notebooks have.

    python benchmarks/notebook.py [--rounds 2] [--clips N] [OVERRIDE ...]

The notebook loads every clip with soundfile and makes its mel spectrogram with torchaudio in a Dataset, two workers in
the DataLoader; the network is of the same shape, with a plain nn.Conv2d stem on three real channels, in fp32 and
PyTorch's ordinary memory format. It resamples, pads, crops, normalises and validates as `train.py` does, and pays for
neither start-up nor checkpoints. Ours is the real command; its start and the features of the whole corpus, computed
once, are added to its 70 epochs.
"""

from __future__ import annotations

import argparse
import copy

import soundfile
import torch
import torch.nn.functional as F
import torchaudio
from common import Run, Seconds, median, ratio, show, timed, train, workplace
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ser.models.cnn import SharedInputConv
from ser.table import labels

EPOCHS = 70


class Clips(Dataset):
    """A clip an item: `(3, mel, frame)` and its class."""

    def __init__(self, paths: list[str], classes: list[int], features: dict, mean: float, deviation: float) -> None:
        self.paths, self.classes, self.mean, self.deviation = paths, classes, mean, deviation
        self.rate, self.frames, self.floor = (
            features["sample_rate"],
            features["input"]["frames"],
            features["floor_db"],
        )
        names = ("sample_rate", "n_fft", "hop_length", "n_mels", "f_min", "f_max")
        self.mel = torchaudio.transforms.MelSpectrogram(**{name: features[name] for name in names})
        self.to_db = torchaudio.transforms.AmplitudeToDB()
        self.resamplers: dict[int, torchaudio.transforms.Resample] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, item: int) -> tuple[Tensor, int]:
        samples, rate = soundfile.read(self.paths[item], dtype="float32", always_2d=True)
        wave = torch.from_numpy(samples.mean(1))
        if rate != self.rate:
            resampler = self.resamplers.setdefault(rate, torchaudio.transforms.Resample(rate, self.rate))
            wave = resampler(wave)
        values = self.to_db(self.mel(wave)).clamp(min=self.floor)
        spare = self.frames - values.shape[1]
        if spare > 0:
            values = F.pad(values, (spare // 2, spare - spare // 2), value=self.floor)
        first = (values.shape[1] - self.frames) // 2
        values = (values[:, first : first + self.frames] - self.mean) / self.deviation
        return values.repeat(3, 1, 1), self.classes[item]


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

    def __init__(self, run: Run, table_paths: list[str], classes: list[int], features: dict, clips: int | None) -> None:
        torch.manual_seed(0)
        self.run = run
        self.net = plain(run.net)
        self.optimizer = run.model.make_optimizer(self.net.parameters())
        mean, deviation = (value[0] for value in (run.data.normalisation.mean, run.data.normalisation.deviation))

        def loader(rows: tuple[int, ...], shuffle: bool) -> DataLoader:
            rows = rows[:clips]
            chosen = Clips(
                [table_paths[row] for row in rows], [classes[row] for row in rows], features, mean, deviation
            )
            return DataLoader(chosen, run.data.batch_size, shuffle=shuffle, num_workers=2)

        self.train, self.val = loader(run.data.split.train, True), loader(run.data.split.val, False)

    def epoch(self) -> None:
        """All of the training part, then all of validation."""
        self.net.train()
        for inputs, truth in self.train:
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.net(inputs), truth)
            loss.backward()
            self.optimizer.step()
            loss.item()
        self.net.eval()
        with torch.no_grad():
            for inputs, truth in self.val:
                logits = self.net(inputs)
                F.cross_entropy(logits, truth).item()
                (logits.argmax(1) == truth).sum().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clips", type=int, help="of each part, for a quick try: the ratio is then no measurement")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="Hydra's, such as data.root=...")
    arguments = parser.parse_args()
    overrides = ["trainer=cpu", *arguments.overrides]
    if arguments.clips:
        batches = max(1, arguments.clips // 32)
        overrides += [f"trainer.limit_train_batches={batches}", f"trainer.limit_val_batches={batches}"]
    with workplace() as folder:
        cold = []

        def first() -> None:
            cold.append(train(folder / "cold", "trainer.max_epochs=1", *overrides))

        once = timed(first) - cold[0].fit  # imports of this script excepted: features, splits, summary, pictures
        table, features, classes = _inputs(folder / "cold")
        notebook = Notebook(cold[0], table, classes, features, arguments.clips)
        ours, theirs = [], []
        for number in range(arguments.rounds):
            theirs.append(timed(notebook.epoch))
            one, three = (
                train(folder / f"{number}-{epochs}", f"trainer.max_epochs={epochs}", *overrides).fit
                for epochs in (1, 3)
            )
            ours.append((three - one) * 0.5)
    totals = [EPOCHS * it.wall for it in theirs], [EPOCHS * it.wall + once.wall for it in ours]
    _show(once, ours, theirs, totals, arguments.rounds)


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


def _inputs(folder) -> tuple[list[str], dict, list[int]]:
    """Paths and classes of the table's rows, and the settings of the features, as a run was configured."""
    from ser.experiment import corpus

    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    table, _ = corpus(config)
    return list(table["path"]), OmegaConf.to_container(config.features, resolve=True), labels(table)


if __name__ == "__main__":
    main()
