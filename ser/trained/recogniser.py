"""A trained model by itself: recordings, samples or rows of features to probabilities; no corpus, no Lightning."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ser.errors import CheckpointError, DataError, SerError
from ser.features import audio, enrol
from ser.features.enrol import Voice
from ser.features.inputs import Input, gather, sources
from ser.features.normalise import Normalisation
from ser.models.shape import given
from ser.threads import spread
from ser.trained import recordings, trust

if TYPE_CHECKING:
    from ser.features.cache import Feature

MIXED = ("bf16-mixed", "16-mixed", "bf16", "16")  # precisions for which the network runs under bf16 autocast
BATCH = 16  # recordings that go through the network at once; more are no faster on a CPU


@dataclass(frozen=True)
class Recognised:
    """The most probable label of a recording and the probability of each; or its problem, a short phrase.

    `path` is "" for samples in memory. `note` is a short phrase of what is amiss with a recording that can be used.
    """

    path: str
    label: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""
    note: str = ""


@dataclass
class Recogniser:
    """From recordings to probabilities, with all settings from the checkpoint. May be called from several threads.

    `average`: the average speaker, if the model was trained with enrolment, and `prior` as in `ser.features.enrol`; it
    then needs `enrol` first, which gives one with a `voice`.
    """

    feature: Feature
    net: nn.Module
    input: Input
    normalisation: Normalisation
    labels: tuple[str, ...]
    mixed: bool
    average: Normalisation | None = None
    prior: float = 0.0
    voice: Voice | None = None
    device: torch.device = torch.device("cpu")  # noqa: RUF009  (a constant)

    def to(self, device: torch.device | str) -> Recogniser:
        """Move the network there; features are computed on the CPU all the same."""
        self.device = torch.device(device)
        self.net.to(self.device)
        return self

    def enrol(self, paths: Sequence[str]) -> Recogniser:
        """One that tells the emotions of the speaker of these recordings; what can't be used of them is left out.

        Raises:
            CheckpointError: if the model was trained without enrolment.
            DataError: if no recording can be used.
        """
        if self.average is None:
            raise CheckpointError("this model was trained without enrolment", do="train one with enrol=clips")
        some = [self._rows(wave, facts.rate) for wave, facts in map(audio.read, paths) if not facts.problem]
        usable = [rows for rows in some if not isinstance(rows, str)]
        if not usable:
            raise DataError("no recording of the speaker can be used", where=", ".join(paths[:5]))
        lengths = torch.tensor([len(rows) for rows in usable])
        own = enrol.voice(torch.cat(usable), lengths.cumsum(0) - lengths, lengths, self.average, self.prior)
        return replace(self, voice=own)

    def __call__(self, recording: Any, rate: float | None = None) -> Any:
        """Recognise one recording, or several.

        Args:
            recording: a file, or samples (`ser.trained.recordings.wave_of`), for one `Recognised`; a folder or a list
                of files for a list of them, in which a recording that can't be used has its `problem`.
            rate: of samples, in Hz.

        Raises:
            DataError: if a single recording can't be used.
        """
        self._check_enrolled()
        if isinstance(recording, list | tuple):
            return list(self.recognise([os.fsdecode(path) for path in recording]))
        if not isinstance(recording, str | os.PathLike):
            (result,) = self._results([""], [self._placed(*recordings.wave_of(recording, rate))])
        elif os.path.isdir(recording):
            return list(self.recognise(recordings.find([os.fsdecode(recording)])[0]))
        else:
            (result,) = self._batch([os.fsdecode(recording)])
        if result.problem:
            raise DataError(result.problem, where=result.path)
        return result

    def recognise(self, paths: Sequence[str]) -> Iterator[Recognised]:
        """All files in their order, a thread for each core; one that can't be used does not stop the rest."""
        self._check_enrolled()
        for results in spread(self._batch, paths, BATCH):
            yield from results

    def inputs(self, rows: Tensor, starts: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What the network takes of utterances of a feature bank: `(utterance, dim, frame)`, and where they end.

        Args:
            rows: `(row, dim)`, the last of them silence.
            starts, lengths: `(utterance,)`, where each utterance lies in the rows.
        """
        place = self.input.places(len(starts))
        source, ends = sources(starts, lengths, place, self.input.frames, silence=len(rows) - 1)
        mean, deviation = self.normalisation.tensors(self.device)
        return gather(rows, source).to(self.device).sub_(mean).div_(deviation).mT, ends.to(self.device)

    @torch.inference_mode()
    def probabilities(self, x: Tensor, ends: Tensor) -> Tensor:
        """Inputs to probabilities `(utterance, class)`, in the order of the labels."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits: Tensor = self.net(x, ends)
        return logits.float().softmax(1)

    def on_rows(self, rows: Tensor, starts: Tensor, lengths: Tensor, batch_size: int) -> NDArray[np.float64]:
        """Probabilities of utterances of a feature bank, `(utterance, class)`, so many at once; see `inputs`."""
        batches = zip(torch.split(starts, batch_size), torch.split(lengths, batch_size), strict=True)
        found = [self.probabilities(*self.inputs(rows, *batch)) for batch in batches]
        return torch.cat(found).double().cpu().numpy()

    def _check_enrolled(self) -> None:
        if self.average is not None and self.voice is None:
            raise CheckpointError(
                "this model tells a speaker's emotions by other recordings of the same speaker",
                do="give some, whatever their emotions: model.enrol([...]) (ser predict: --enrol FOLDER)",
            )

    def _batch(self, paths: Sequence[str]) -> list[Recognised]:
        heard = [audio.read(path) for path in paths]
        placed = [facts.problem or self._placed(wave, facts.rate) for wave, facts in heard]
        results = zip(self._results(paths, placed), heard, strict=True)
        return [replace(result, note=facts.note) for result, (_, facts) in results]

    def _results(self, paths: Sequence[str], found: Sequence[tuple[Tensor, Tensor] | str]) -> list[Recognised]:
        good = [placed for placed in found if not isinstance(placed, str)]
        scores = iter(self.probabilities(*map(torch.cat, zip(*good, strict=True))).double().tolist() if good else ())
        return [
            Recognised(path, problem=placed) if isinstance(placed, str) else self._result(path, next(scores))
            for path, placed in zip(paths, found, strict=True)
        ]

    def _result(self, path: str, scores: list[float]) -> Recognised:
        if not all(map(math.isfinite, scores)):
            return Recognised(path, problem="the model's scores are not finite numbers: has its training diverged?")
        return Recognised(path, self.labels[scores.index(max(scores))], dict(zip(self.labels, scores, strict=True)))

    @torch.inference_mode()
    def _placed(self, wave: audio.Wave, rate: int) -> tuple[Tensor, Tensor] | str:
        """What `probabilities` takes of one wave, or what is wrong with it."""
        rows = self._rows(wave, rate)
        if isinstance(rows, str):
            return rows
        rows = self.voice(rows) if self.voice else rows
        padded = torch.cat((rows, torch.full((1, rows.shape[1]), self.feature.silence)))
        x, ends = self.inputs(padded, torch.tensor([0]), torch.tensor([len(rows)]))
        return (x, ends) if x.isfinite().all() else "samples too far beyond full scale"

    @torch.inference_mode()
    def _rows(self, wave: audio.Wave, rate: int) -> Tensor | str:
        """The features of one wave, or why there are none."""
        try:
            return self.feature(torch.from_numpy(wave), rate).float()
        except (MemoryError, RuntimeError) as error:  # torch's way to say that memory does not suffice
            return f"no features: {(str(error) or 'not enough memory').splitlines()[0]}"


def of(checkpoint: Mapping[str, Any], path: str | os.PathLike[str], packages: Sequence[str] = ()) -> Recogniser:
    """The recogniser of a checkpoint, on the CPU; torch's random state stays as it is.

    Args:
        checkpoint: as `ser.trained.record.read` has read it from `path`.
        packages: further ones that are trusted (`ser.trained.trust`).

    Raises:
        CheckpointError: if the checkpoint can't be trusted, or its parts do not fit together.
    """
    where = str(path)
    try:
        kept = checkpoint["ser"]
        config, labels = kept["config"], tuple(kept["labels"])
        make = partial(trust.build, checkpoint=where, packages=packages)
        feature: Feature = make(config["features"], where="features")
        settings: Input = make(config["input"], where="input")
        normalisation = Normalisation(*(tuple(kept["normalisation"][name]) for name in ("mean", "deviation")))
        net_settings = config["model"]["net"]
        with torch.random.fork_rng(devices=[]):
            net = make(net_settings, where="model.net", **given(net_settings, feature, settings.frames, len(labels)))
        weights = checkpoint["state_dict"].items()
        net.load_state_dict({name.removeprefix("net."): value for name, value in weights if name.startswith("net.")})
        mixed = kept["about"]["precision"] in MIXED
        kept_average = kept.get("average_speaker")
        average = kept_average and Normalisation(*(tuple(kept_average[name]) for name in ("mean", "deviation")))
        prior = float(config["enrol"]["prior"]) if average else 0.0
    except SerError:
        raise
    except Exception as error:  # whatever a file that is not as train.py wrote it makes of its classes
        what = f"the checkpoint's parts do not fit together ({type(error).__name__}): {error}"
        do = "use last.ckpt or best.ckpt as this version's train.py wrote it"
        raise CheckpointError(what, where=where, do=do) from error
    return Recogniser(feature, net.eval().requires_grad_(False), settings, normalisation, labels, mixed, average, prior)
