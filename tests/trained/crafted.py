"""Checkpoints that no training wrote: small whole ones, and others changed at will."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from ser.features.normalise import Normalisation
from ser.protocols.split import Split
from ser.trained import record
from ser.utterances import utterance_table

LABELS = ("neutral", "surprised", "sad", "happy")
ABOUT = {
    "model": "mean",
    "seed": 42,
    "protocol": "reference",
    "protocol_settings": {"val_fraction": 0.34},
    "split_fingerprint": "1cea3464e81630ef",
    "precision": "32-true",
    "overlap": {},
}
CONFIG: dict[str, Any] = {
    "data": {"name": "ravdess", "read": {"_target_": "ser.corpora.ravdess.read", "root": "data/ravdess"}},
    "protocol": {"name": "reference", "_target_": "ser.protocols.reference.Reference", "test_speakers": ["20", "21"]},
    "features": {
        "name": "mel",
        "_target_": "ser.features.mel.Mel",
        "sample_rate": 16000,
        "n_fft": 512,
        "hop_length": 160,
        "n_mels": 8,
        "f_min": 0.0,
        "f_max": None,
        "floor_db": -100.0,
    },
    "input": {"_target_": "ser.features.inputs.Input", "frames": 30, "place": "middle", "normalise": "dimension"},
    "model": {
        "name": "mean",
        "_target_": "ser.training.module.GradientClassifier",
        "net": {"_target_": f"{__name__}.Mean"},
        "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3},
    },
    "seed": 42,
    "trust": [],
}
TRUST = __name__
"""The package to trust for `Mean`."""

TEXTS = (
    "${oc.create:{_target_: os.mkdir, path: FOLDER}}",
    "${oc.decode:'{_target_: os.mkdir, path: FOLDER}'}",
    "${oc.env:HOME}",
    "before ${oc.env:HOME} after",
    "${seed}",
)
"""What Hydra would resolve, and by some of them make `FOLDER`."""

PLACES: dict[str, Callable[[dict[str, Any], Any], None]] = {
    "value": lambda config, text: config["features"].update(sample_rate=text),
    "nested": lambda config, text: config["model"]["net"].update(deep={"er": {"and": [{"er": text}]}}),
    "list": lambda config, text: config.setdefault("trust", []).append(text),
    "tuple": lambda config, text: config.update(more=(1, (text,))),
    "key": lambda config, text: config["input"].update({text: 1}),
    "target": lambda config, text: config["model"]["net"].update(_target_=text),
    "unused": lambda config, text: config.update(unused=text),
}
"""Where in a configuration a text can be put."""


class Mean(nn.Module):
    """A linear layer on the mean over frames."""

    def __init__(self, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(shape[0], classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        assert x.shape[2] == CONFIG["input"]["frames"]
        assert lengths.shape == x.shape[:1]
        logits: Tensor = self.linear(x.mean(2))
        return logits


def table(labels: Sequence[str] = LABELS) -> pd.DataFrame:
    """Two utterances, one of each statement, of each of the speakers 01, 02, 03, 20 and 21."""
    rows = [(f"{speaker}-{take}", speaker, str(take)) for speaker in ("01", "02", "03", "20", "21") for take in (1, 2)]
    frame = pd.DataFrame(rows, columns=["utterance", "speaker", "statement"])
    return utterance_table(frame.assign(path=frame["utterance"] + ".wav", emotion=list(labels[:2]) * 5), labels)


def split(labels: Sequence[str] = LABELS) -> Split:
    """Trained on both utterances of 01 and one of 02; validated on the others of 02 and 03; 22 is not there."""
    return Split(table(labels), train=(0, 1, 2), val=(3, 4, 5), test=(6, 7, 8, 9), test_speakers=("20", "21", "22"))


def whole(path: Path, labels: Sequence[str] = LABELS, precision: str = "32-true") -> Path:
    """Write a checkpoint as training does, of a network with weights by chance."""
    dim = CONFIG["features"]["n_mels"]
    statistics = Normalisation((-60.0,) * dim, (20.0,) * dim)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        weights = Mean((dim, 1), len(labels)).state_dict()
    recordings = [f"digest {row}" for row in range(len(split(labels).table))]
    kept = record.make(copy.deepcopy(CONFIG), split(labels), recordings, statistics, ABOUT | {"precision": precision})
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": 1, "state_dict": {f"net.{name}": value for name, value in weights.items()}, "ser": kept}, path)
    return path


def craft(checkpoint: Path, out: Path, mutate: Callable[[dict[str, Any]], object]) -> Path:
    """Write to `out` what `mutate` makes in place of a checkpoint."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    mutate(content)
    torch.save(content, out)
    return out


def inject(checkpoint: Path, out: Path, place: str, text: str, folder: Path) -> Path:
    """Craft a checkpoint with one of `TEXTS` at one of `PLACES`."""
    filled = text.replace("FOLDER", str(folder))
    return craft(checkpoint, out, lambda content: PLACES[place](content["ser"]["config"], filled))
