"""A checkpoint's score, or that of several together, in tables and pictures; and what a model listens to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ser import dataset
from ser.errors import CheckpointError, ConfigError
from ser.provenance import provenance
from ser.results import figures, importance, predictions, tables
from ser.scoring import Scored, Trained, corpus, heard, score
from ser.trained import record
from ser.utterances import class_indices


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
        scored, facts = score(trained, settings)
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
    (scored, first), facts = score(members[0], settings)
    found, said = [first], [facts]
    for member in members[1:]:
        (table, probabilities), about = score(member, settings)
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
    found = corpus(trained, settings)
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
