"""A checkpoint, read without unpickling, and what it says of its run in plain values: all that evaluation needs."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ser.errors import CheckpointError, ConfigError, DataError
from ser.features.normalise import Normalisation
from ser.trained import trust

if TYPE_CHECKING:
    import pandas as pd

    from ser.protocols.split import Split

SCHEMA = 2
LISTS, MAPPINGS = ("labels", "val", "recordings"), ("config", "normalisation", "about", "statements", "speakers")
"""What a record holds besides the number of its schema."""


def make(
    config: Mapping[str, Any],
    split: Split,
    recordings: Sequence[str],
    normalisation: Normalisation,
    about: Mapping[str, Any],
    average_speaker: Normalisation | None = None,
) -> dict[str, Any]:
    """The record of a run, plain values alone.

    Args:
        config: resolved.
        recordings: a digest of the samples of each utterance of the split's table.
        about: what `summary.json` says beside the scores.
        average_speaker: to whom speakers are brought by their own recordings; None without enrolment.
    """
    from ser.utterances import labels_of

    parts = {part: split.table.iloc[list(getattr(split, part))] for part in ("train", "val")}
    return {
        "schema": SCHEMA,
        "labels": list(labels_of(split.table)),
        "config": dict(config),
        "normalisation": {"mean": list(normalisation.mean), "deviation": list(normalisation.deviation)},
        "average_speaker": average_speaker
        and {
            "mean": list(average_speaker.mean),
            "deviation": list(average_speaker.deviation),
        },
        "about": dict(about),
        "val": parts["val"]["utterance"].tolist(),
        "recordings": [recordings[row] for row in (*split.train, *split.val)],
        "statements": {part: sorted(set(rows["statement"]) - {""}) for part, rows in parts.items()},
        "speakers": {part: sorted(set(rows["speaker"])) for part, rows in parts.items()}
        | {"test": list(split.test_speakers)},
    }


def find(path: str | os.PathLike[str] | None) -> Path:
    """The checkpoint itself, where the folder of its run is given for the one that counts; an error if it is not there.

    That is the best one, or where nobody validates, and so none is the best, the last one.
    """
    found = Path(str(path or os.devnull))
    if found.is_dir():
        place = found if found.name == "checkpoints" else found / "checkpoints"
        best, last = (place / name for name in ("best.ckpt", "last.ckpt"))
        found = last if last.is_file() and not best.exists() else best
    if not found.is_file():
        do = "give ckpt=<run folder>, or one of its checkpoints/*.ckpt"
        raise CheckpointError("there is no such checkpoint", where=str(path or "ckpt"), do=do)
    return found


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint, or a run's best one, onto the CPU: plain values and tensors, `["ser"]` its record.

    Raises:
        CheckpointError: if it is not there, can't be read without unpickling, is damaged or of another version.
    """
    path, do = find(path), "use last.ckpt or best.ckpt as train.py wrote it"
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at its sums
            damaged = archive.testzip()
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from EOFError to UnpicklingError here
        what = f"the checkpoint can't be read ({type(error).__name__}): truncated, damaged or holding code"
        raise CheckpointError(what, where=path, do=do) from error
    if damaged:
        raise CheckpointError(f"the checkpoint is damaged: {damaged} in it is not as written", where=path, do=do)
    record = checkpoint.get("ser") if isinstance(checkpoint, dict) else None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise CheckpointError("this is not a checkpoint of this version's train.py", where=path, do="train again")
    wrong = [name for name in LISTS if not isinstance(record.get(name), list)]
    wrong += [name for name in MAPPINGS if not isinstance(record.get(name), dict)]
    if wrong:
        raise CheckpointError(f"the checkpoint's record lacks {', '.join(wrong)}", where=path, do=do)
    trust.check_resolved(record["config"], str(path))
    return checkpoint  # type: ignore[no-any-return]


def rows_to_score(
    record: Mapping[str, Any], table: pd.DataFrame, part: str, speakers: Sequence[object] | None
) -> tuple[int, ...]:
    """Rows of the table to score.

    Args:
        table: with the labels of the record.
        part: "test" or "val".
        speakers: whom to test; None for those that the protocol kept for it.

    Raises:
        CheckpointError: if a speaker to be tested was trained on or chosen by, or the labels are others.
        ConfigError: if part and speakers do not fit.
        DataError: if the corpus lacks what is to be scored.
    """
    from ser.utterances import labels_of

    if (labels := list(labels_of(table))) != record["labels"]:
        what = f"the checkpoint's labels are {_listed(record['labels'])}; those of the corpus are {_listed(labels)}"
        raise CheckpointError(what, do="take a corpus with the labels of the checkpoint")
    if part == "test":
        return _tested(record, table, speakers)
    if part != "val":
        raise ConfigError(f"there is no part {part!r} to score", where="split", do="use split=test or split=val")
    if speakers is not None:
        raise ConfigError("test_speakers has no say in split=val", where="test_speakers", do="leave it out")
    if not record["val"]:
        what = "nobody validated this training, so there is no validation part"
        raise ConfigError(what, where="split", do="use split=test")
    rows = np.flatnonzero(table["utterance"].isin(record["val"]))
    if len(rows) < len(record["val"]):
        what = f"the corpus has {len(rows)} of the {len(record['val'])} validation utterances of the run"
        raise DataError(what, do="give data.root=<the corpus it was trained on>")
    return tuple(map(int, rows))


def _tested(record: Mapping[str, Any], table: pd.DataFrame, chosen: Sequence[object] | None) -> tuple[int, ...]:
    """Rows of speakers who were not heard in training; all that are chosen, or those of the protocol who are there."""
    from ser.utterances import rows_of, speaker_key

    speakers = record["speakers"]["test"] if chosen is None else chosen
    heard = {speaker_key(speaker) for part in ("train", "val") for speaker in record["speakers"][part]}
    if known := [speaker for speaker in speakers if speaker_key(speaker) in heard]:
        what = f"speakers {_listed(known)} were trained on or validated on: that would be no test"
        do = "test other speakers, or take a checkpoint of a protocol that holds them out"
        raise CheckpointError(what, where="test_speakers", do=do)
    rows, present = rows_of(table, speakers), set(table["speaker"].map(speaker_key))
    absent = [speaker for speaker in speakers if speaker_key(speaker) not in present]
    if not rows or (absent and chosen is not None):
        do = "give data.root=<a corpus that has them>, or split=val for the validation part"
        raise DataError(f"the corpus has no utterance of the test speakers {_listed(absent)}", do=do)
    return rows


def refuse_trained_on(record: Mapping[str, Any], recordings: Sequence[str], part: str) -> None:
    """Refuse to test on recordings, by the digests of their samples, that were trained on or chosen by.

    Raises:
        CheckpointError: if there is one, and the part is "test".
    """
    heard = len({*recordings} & {*record["recordings"]})
    if part == "test" and heard:
        what = f"{heard} of {len(recordings)} recordings were trained on or validated on: that would be no test"
        raise CheckpointError(what, where="data", do="test on other recordings")


def facts(
    record: Mapping[str, Any], scored: pd.DataFrame, part: str, enrolment: str = "none", other: bool = False
) -> dict[str, Any]:
    """What has to be said beside the scores: all about the run, what was scored, and what training had of it.

    Args:
        scored: rows of the utterance table.
        enrolment: "none", or by what the speakers were known.
        other: whether they are of another corpus, where equal names are not the same speakers and statements.
    """
    from ser.utterances import speaker_key

    speakers: int | None = len(
        set(map(speaker_key, record["speakers"]["train"])) & set(scored["speaker"].map(speaker_key))
    )
    statements, trained_on = set(scored["statement"]) - {""}, record["statements"]["train"]
    both = len(statements.intersection(trained_on)) if statements and trained_on else None
    seen = "seen in training" if speakers else "unseen in training"
    if other:
        speakers, both, seen = None, None, "of another corpus, not compared with those of training"
    return {
        **record["about"],
        "part": part,
        "speakers": seen if enrolment == "none" else f"{seen}, enrolled by {enrolment}",
        "enrolment": enrolment,
        "shared_with_training": {"speakers": speakers, "statements": both},
    }


def _listed(names: Sequence[object]) -> str:
    return ", ".join(map(str, names))
