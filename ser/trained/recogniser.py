"""A trained model by itself: recordings to scores, with all settings from the checkpoint; no corpus, no Lightning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ser.errors import CheckpointError, SerError
from ser.features import audio
from ser.features.cache import Feature
from ser.features.frames import as_input, gather, sources
from ser.features.normalise import Normalisation
from ser.threads import spread
from ser.trained import record, trust
from ser.utterances import EMOTIONS

MIXED = ("bf16-mixed", "16-mixed", "bf16", "16")
"""Precisions for which Lightning runs the network under bf16 autocast on a CPU; under all others it runs as it is."""

BATCH = 16
"""Recordings that go through the network at once; larger batches are no faster on a CPU, and no more evenly shared."""

RATE_STEP = 25
"""Hz. Divides all usual rates. The filter for a rate without a large divisor in common with the feature's is huge."""


@dataclass(frozen=True)
class Recogniser:
    """From waves to scores as `evaluate.py` has them: the same place in the frame, statistics and precision.

    `frames` is the number of rows that the network takes, None for a feature of one vector a recording; `mixed`:
    under bf16 autocast. May be called from several threads.
    """

    feature: Feature
    net: nn.Module
    normalisation: Normalisation
    frames: int | None
    mixed: bool

    def __call__(self, wave: Tensor, rate: int) -> Tensor:
        """Wave `(samples,)` at `rate` Hz to `(8,)` probabilities, in the order of `EMOTIONS`."""
        return self.scores(self.rows(wave, rate)[None])[0]

    def rows(self, wave: Tensor, rate: int) -> Tensor:
        """The feature of a wave `(samples,)` at `rate` Hz, in the middle of the frame: `(frame, dim)`."""
        rows = self.feature(wave, RATE_STEP * round(rate / RATE_STEP)).float()
        padded = torch.cat((rows, torch.full((1, rows.shape[1]), self.feature.silence)))
        start, length, middle = torch.tensor([0]), torch.tensor([len(rows)]), torch.tensor([0.5])
        return gather(padded, sources(start, length, middle, self.frames or 1, silence=len(rows)))[0]

    @torch.inference_mode()
    def scores(self, rows: Tensor) -> Tensor:
        """Rows of several recordings, `(batch, frame, dim)`, to probabilities `(batch, 8)`."""
        mean, deviation = self.normalisation.tensors(rows.device)
        values = (rows - mean) / deviation
        inputs = as_input(values, framed=self.frames is not None)
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=self.mixed):
            logits: Tensor = self.net(inputs)
        return logits.float().softmax(1)


@dataclass(frozen=True)
class Recognised:
    """A recording's probabilities `(8,)`, in the order of `EMOTIONS`; or none, and a short phrase of what is wrong."""

    path: str
    scores: tuple[float, ...] = ()
    problem: str = ""

    @property
    def emotion(self) -> str:
        """The most probable one, the first of equals."""
        return EMOTIONS[self.scores.index(max(self.scores))]


def load(path: str | Path, instantiate: Callable[..., Any], packages: Sequence[str] = ()) -> Recogniser:
    """What a checkpoint holds, ready to be called; on the CPU.

    Args:
        path: a checkpoint of `train.py`, of any model.
        instantiate: Hydra's, or another that makes the object that a `_target_` in the record names.
        packages: of one's own, that the record may name (`ser.trained.trust`).

    Raises:
        CheckpointError: if the checkpoint can't be read, or its parts do not fit together.
    """
    try:
        checkpoint = record.read(path)
        kept = checkpoint["ser"]
        trust.check(kept["config"], str(path), packages)
        features = kept["config"]["features"]
        feature = instantiate({name: value for name, value in features.items() if name not in ("name", "input")})
        count, dim = features["input"]["frames"], len(feature.names)
        shape = (dim,) if count is None else (3, dim, count)
        net = instantiate(kept["config"]["model"]["net"], _convert_="all", shape=shape, classes=len(EMOTIONS))
        net.load_state_dict({name.removeprefix("net."): value for name, value in checkpoint["state_dict"].items()})
        mixed = str(kept["about"]["precision"]) in MIXED
        return Recogniser(feature, net.eval().requires_grad_(False), record.normalisation(kept), count, mixed)
    except SerError:
        raise
    except Exception as error:  # whatever a file that is not as train.py wrote it makes of its classes
        raise CheckpointError(
            f"the checkpoint's parts do not fit together ({type(error).__name__}): {error}",
            where=path,
            do="use last.ckpt or best.ckpt as this version's train.py wrote it",
        ) from error


def recognise(recogniser: Recogniser, paths: Sequence[str]) -> Iterator[Recognised]:
    """All recordings in their order, a thread for each core; a bad one is said to be so and does not stop the rest."""
    for found in spread(partial(_batch, recogniser), paths, BATCH):
        yield from found


def _batch(recogniser: Recogniser, paths: Sequence[str]) -> list[Recognised]:
    found = [_rows(recogniser, path) for path in paths]
    good = [rows for rows in found if isinstance(rows, Tensor)]
    scores = iter(recogniser.scores(torch.stack(good)).tolist() if good else ())
    results = []
    for path, rows in zip(paths, found, strict=True):
        result = Recognised(path, problem=rows) if isinstance(rows, str) else Recognised(path, tuple(next(scores)))
        if not all(map(math.isfinite, result.scores)):
            result = Recognised(path, problem="the model's scores are not finite numbers: has its training diverged?")
        results.append(result)
    return results


def _rows(recogniser: Recogniser, path: str) -> Tensor | str:
    """What the network takes of a recording, or what is wrong with it."""
    try:
        wave, facts = audio.read(path)
        if facts.problem:
            return facts.problem
        rows = recogniser.rows(torch.from_numpy(wave), facts.rate)
    except UnicodeError:  # soundfile's, where the system takes any bytes for a name
        return "unreadable: its name is no text"
    except (MemoryError, RuntimeError) as error:  # torch's way to say that memory does not suffice
        return f"no features: {(str(error) or 'not enough memory').splitlines()[0]}"
    return rows if rows.isfinite().all() else "samples too far beyond full scale"
