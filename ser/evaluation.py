"""A checkpoint's score on a part of its protocol, or on another corpus: the recogniser on rows of a table."""

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
from ser.errors import CheckpointError, ConfigError, DataError
from ser.features.enrol import Enrolment
from ser.provenance import provenance
from ser.results import figures, importance, predictions, tables
from ser.trained import recogniser, record, trust
from ser.trained.recogniser import Recogniser
from ser.utterances import class_indices, labels_of, rows_of

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


def evaluate(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Score a checkpoint on the part `split` of its protocol; write tables and figures; return the metrics.

    Several checkpoints are scored by the mean of their probabilities.

    Args:
        settings: plain values of what `conf/evaluate.yaml` composes.
    """
    for key in ("test_speakers", "trust"):
        if not isinstance(settings[key], list | None):
            raise ConfigError(f"{settings[key]!r} is not a list", where=key, do=f"give {key}=[{settings[key]}]")
    paths = checkpoints(settings["ckpt"])
    if len(paths) > 1:
        scored, facts, folder = _ensemble(paths, settings)
    else:
        trained = Trained.read({**settings, "ckpt": paths[0]})
        folder = _folder(trained, settings)
        scored, facts = _score(trained, settings)
    results = predictions.build(*scored)
    predictions.write(results, folder / f"{settings['split']}_results.csv")
    metrics = tables.write_all(results, folder, facts | {"evaluated_by": provenance()})
    figures.draw_all(results, folder)
    tables.show_metrics(metrics, title=str(folder))
    return metrics


def checkpoints(ckpt: Any) -> list[Any]:
    """What `ckpt` names, one by one: a list names several, and the folder of a sweep all of its runs.

    Raises:
        ConfigError: if a list is empty or names one twice.
    """
    if isinstance(ckpt, list):
        paths = [path for one in ckpt for path in checkpoints(one)]
        if not paths or len({Path(str(path)).resolve() for path in paths}) < len(paths):
            raise ConfigError("each checkpoint has to be named once", where="ckpt", do="give ckpt=[one,another]")
        return paths
    if not ckpt or Path(str(ckpt), "checkpoints").is_dir():
        return [ckpt]
    runs = {path.parent.parent for path in Path(str(ckpt)).glob("*/checkpoints/last.ckpt")}
    return sorted(map(str, runs), key=lambda run: (Path(run).name.split("_")[0].zfill(9), run)) or [ckpt]


def _ensemble(paths: Sequence[Any], settings: Mapping[str, Any]) -> tuple[Scored, dict[str, Any], Path]:
    """The mean of the probabilities of several checkpoints, what is to be said of them, and the folder for it.

    Facts that differ are lists, in the order of the checkpoints.

    Raises:
        ConfigError: if no folder is given.
        CheckpointError: if their labels, or the utterances to score, differ.
    """
    if not settings["out"]:
        what = f"the mean of {len(paths)} checkpoints belongs to no run folder"
        raise ConfigError(what, where="out", do="give out=FOLDER")
    members = [Trained.read({**settings, "ckpt": path}) for path in paths]
    for other in members[1:]:
        if other.model.labels != members[0].model.labels:
            one, another = (", ".join(member.model.labels) for member in (members[0], other))
            what = f"these checkpoints do not know the same emotions: {one}; {another}"
            raise CheckpointError(what, where=other.path, do="take checkpoints with equal labels")
    (scored, first), facts = _score(members[0], settings)
    found, said = [first], [facts]
    for member in members[1:]:
        (table, probabilities), about = _score(member, settings)
        same = table["utterance"].tolist() == scored["utterance"].tolist()
        if not same or about["scored_corpus_fingerprint"] != facts["scored_corpus_fingerprint"]:
            one, another = (", ".join(sorted(set(of["speaker"]))) for of in (scored, table))
            what = f"these checkpoints do not score the same utterances: speakers {one}; {another}"
            do = "take checkpoints of one fold and corpus; for split=val, of one seed"
            raise CheckpointError(what, where=member.path, do=do)
        found.append(probabilities)
        said.append(about)
    by_name = {name: [about.get(name) for about in said] for name in facts}
    shared = {name: of[0] if all(one == of[0] for one in of) else of for name, of in by_name.items()}
    shared["checkpoint"] = [{"file": str(member.path), "epoch": member.epoch} for member in members]
    return (scored, np.mean(found, axis=0)), shared, Path(settings["out"])


def _folder(trained: Trained, settings: Mapping[str, Any]) -> Path:
    """Where the results of one checkpoint go."""
    part, speakers = settings["split"], settings["test_speakers"]
    name = dataset.corpus_name(trained.data(settings))
    elsewhere = name != trained.about["about"]["corpus"]
    enrolment = trained.enrolment(settings["enrol"], part)
    named = [trained.path.stem, part]
    named += [name] if elsewhere else []
    named += ["enrol", str(enrolment.clips)] if enrolment else []
    named += ["seed", str(enrolment.seed)] if enrolment and enrolment.seed != 1 else []
    named += ["speakers", *(str(speaker).replace("/", "_") for speaker in speakers)] if speakers is not None else []
    return output_folder(trained.path, settings["out"], "-".join(named))


def _score(trained: Trained, settings: Mapping[str, Any]) -> tuple[Scored, dict[str, Any]]:
    """What a checkpoint says of the utterances that the settings ask for, and what is to be said beside it."""
    part, speakers = settings["split"], settings["test_speakers"]
    elsewhere = dataset.corpus_name(trained.data(settings)) != trained.about["about"]["corpus"]
    other = "read" in settings["data"] and elsewhere
    enrolment = trained.enrolment(settings["enrol"], part)
    found = _dataset(trained, settings)
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


def write_importance(settings: Mapping[str, Any]) -> Path:
    """What a model of one vector per utterance listens to, on the utterances that it was chosen by; the folder."""
    trained = Trained.read(settings)
    if trained.model.input.frames != 1:
        raise ConfigError(
            "importance is by the dimensions of one vector per utterance; this model takes frames",
            where=trained.path,
            do="take a model of features=functionals, egemaps, compare or encoder",
        )
    folder = output_folder(trained.path, settings["out"], f"{trained.path.stem}-importance")
    found = _dataset(trained, settings)
    scored = record.rows_to_score(trained.about, found.table, "val", None)
    found, scored = heard(trained, found, scored, trained.enrolment({}, "val"), "val")
    rows = torch.tensor(scored)
    inputs, lengths = trained.model.inputs(found.rows, found.starts[rows], found.lengths[rows])
    families = getattr(trained.model.feature, "families", trained.model.feature.names)
    truth = torch.tensor(class_indices(found.table))[rows]
    table = importance.permutation(
        lambda x: trained.model.probabilities(x, lengths),
        inputs,
        truth,
        families,
        len(trained.model.labels),
        trained.about["config"]["seed"],
    )
    importance.write(table, folder)
    return folder


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


def output_folder(path: Path, out: str | None, name: str) -> Path:
    """`out`, or a folder of this name under `evaluation` in the checkpoint's run folder.

    Raises:
        ConfigError: if neither is there: nothing is written where nobody asked.
    """
    if out:
        return Path(out)
    run = path.absolute().parent.parent
    if path.absolute().parent.name != "checkpoints" or not (run / "metrics.csv").exists():
        raise ConfigError(
            "this checkpoint is in no run folder, so there is no place for its results",
            where=path,
            do="give out=FOLDER",
        )
    return run / "evaluation" / name


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


def _dataset(trained: Trained, settings: Mapping[str, Any]) -> Dataset:
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
