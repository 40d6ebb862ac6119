"""What a checkpoint says of the rows of a corpus: its own, wherever it is now, or another; speakers enrolled or not."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ser import dataset
from ser.build import build
from ser.dataset import Dataset
from ser.errors import ConfigError, DataError
from ser.features.enrol import Enrolment
from ser.trained import recogniser, record, trust
from ser.trained.recogniser import Recogniser
from ser.utterances import labels_of, rows_of

Scored = tuple[pd.DataFrame, NDArray[np.float64]]
"""Rows of an utterance table, and the probabilities of their labels, `(utterance, class)`."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A checkpoint, read: `about` is its record; `epoch` counts from 0."""

    path: Path
    about: dict[str, Any]
    epoch: int
    model: Recogniser
    packages: Sequence[str]

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Trained:
        """The checkpoint that the settings name, on their device."""
        path = record.find(settings["ckpt"])
        checkpoint = record.read(path)
        model = recogniser.of(checkpoint, path, settings["trust"]).to(_device(settings["device"]))
        return cls(path, checkpoint["ser"], int(checkpoint["epoch"]), model, settings["trust"])

    def enrolment(self, given: Mapping[str, Any], part: str) -> Enrolment:
        """By what the speakers are known: what is given, else as the model was trained for.

        Raises:
            ConfigError: if the model was trained without enrolment, and one is asked for; or the other way round.
        """
        recorded = {name: value for name, value in self.about["config"]["enrol"].items() if name != "_target_"}
        known = {name: value for name, value in given.items() if name != "_target_" and value is not None}
        wanted = Enrolment(**(recorded | known)) if part == "test" else Enrolment(**recorded)
        if bool(wanted) != (self.model.average is not None):
            raise ConfigError(
                "the model was trained with enrolment" if not wanted else "the model was trained without enrolment",
                where="enrol",
                do="leave it out, or train with enrol=clips",
            )
        return replace(wanted, clips="all") if wanted and part == "val" else wanted

    def data(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The group `data`: of the corpus that the settings name, or of the training's, wherever it is now."""
        given = {name: value for name, value in settings["data"].items() if value is not None}
        return dict(settings["data"]) if "read" in given else self.about["config"]["data"] | given


def score(trained: Trained, settings: Mapping[str, Any]) -> tuple[Scored, dict[str, Any]]:
    """What a checkpoint says of the utterances that the settings ask for, and what is to be said beside it."""
    part, speakers = settings["split"], settings["test_speakers"]
    elsewhere = dataset.corpus_name(trained.data(settings)) != trained.about["about"]["corpus"]
    other = "read" in settings["data"] and elsewhere
    enrolment = trained.enrolment(settings["enrol"], part)
    found = corpus(trained, settings)
    if other:
        rows, labels = rows_of_other(found.table, trained.model.labels, part, speakers)
    else:
        rows, labels = record.rows_to_score(trained.about, found.table, part, speakers), trained.model.labels
    found, rows = heard(trained, found, rows, enrolment, part)
    record.refuse_trained_on(trained.about, [found.recordings[row] for row in rows], part)
    at = torch.tensor(rows)
    batch_size = trained.about["config"]["batch_size"]
    probabilities = trained.model.on_rows(found.rows, found.starts[at], found.lengths[at], batch_size)
    kept = [trained.model.labels.index(label) for label in labels]
    shares = probabilities[:, kept] + np.finfo(np.float32).tiny  # all of them may be 0
    shares /= shares.sum(1, keepdims=True)
    scored = found.table.iloc[list(rows)]
    scored = scored.assign(emotion=pd.Categorical(scored["emotion"].astype(str), labels))
    facts = record.facts(trained.about, scored, part, str(enrolment), other) | {
        "scored_corpus": found.corpus,
        "scored_corpus_fingerprint": found.fingerprint,
        "checkpoint": {"file": trained.path.name, "epoch": trained.epoch},
        "labels_left_out": sorted({*trained.model.labels, *labels_of(found.table)} - set(labels)),
    }
    return (scored, shares if other else probabilities), facts


def heard(
    trained: Trained, found: Dataset, rows: tuple[int, ...], enrolment: Enrolment, part: str
) -> tuple[Dataset, tuple[int, ...]]:
    """The dataset as its speakers are heard who are known by some of these rows, and the rows that are left to score.

    All of a speaker's utterances are given in validation, as they were in training, whatever their part.
    """
    if not enrolment:
        return found, rows
    average = trained.model.average
    assert average is not None, "looked at by `Trained.enrolment`"
    tested = found.table.iloc[list(rows)]
    given, rest = enrolment.drawn(tested["utterance"].tolist(), tested["speaker"].tolist())
    numbers = [rows[number] for number in given]
    if part == "val":
        numbers = list(np.flatnonzero(found.table["speaker"].isin(set(tested["speaker"]))))
    return found.enrolled(numbers, average, enrolment.prior), tuple(rows[number] for number in rest)


def rows_of_other(
    table: pd.DataFrame, known: Sequence[str], part: str, speakers: Sequence[object] | None
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The rows of another corpus whose emotions the model knows, and these emotions in the model's order.

    Raises:
        ConfigError: if another part than "test" is asked for.
        DataError: if there is no such row, or fewer than two such emotions.
    """
    if part != "test":
        raise ConfigError("all of another corpus is test", where="split", do="leave it out")
    labels = tuple(label for label in known if label in labels_of(table))
    wanted = table["emotion"].isin(labels).to_numpy()
    if speakers is not None:
        wanted = wanted & np.isin(np.arange(len(table)), rows_of(table, speakers))
    if len(labels) < 2 or not wanted.any():
        raise DataError(
            f"the model knows {', '.join(known)}; the corpus has {', '.join(labels_of(table))}: too few in common",
            do="rename emotions with data.labels={theirs: ours}",
        )
    left_out = int((~table["emotion"].isin(labels)).sum())
    log.info("scored on %s; %d of %d utterances have another emotion", ", ".join(labels), left_out, len(table))
    return tuple(int(row) for row in np.flatnonzero(wanted)), labels


def corpus(trained: Trained, settings: Mapping[str, Any]) -> Dataset:
    """The corpus that `Trained.data` names; what a checkpoint names is looked at before it is built."""
    data = trained.data(settings)
    looked_at = partial(trust.build, checkpoint=str(trained.path), packages=trained.packages)
    make = build if "read" in settings["data"] else looked_at
    listing = make(data["read"], where="data.read", **dataset.reader_arguments(data))
    return dataset.prepare(data, listing, trained.model.feature, Path(settings["cache"]["dir"]))


def _device(name: str) -> torch.device:
    """The device of this name; "auto" is a GPU where there is one.

    Raises:
        ConfigError: if torch has none of this name.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"torch can't use this device: {str(error).splitlines()[0]}", where="device", do="use cpu or auto"
        ) from error
