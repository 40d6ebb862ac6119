"""A checkpoint, read without unpickling, and what it says of its run in plain values: all that evaluation needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ser.errors import CheckpointError, ConfigError, DataError
from ser.features.normalise import Normalisation
from ser.protocols.split import Split
from ser.utterances import EMOTIONS

SCHEMA = 1


def make(
    config: Any, table: pd.DataFrame, split: Split, normalisation: Normalisation, about: dict[str, Any]
) -> dict[str, Any]:
    """The record of a run.

    Args:
        config: the run's configuration, resolved.
        table: the utterance table that was split.
        about: what `summary.json` says beside the scores.
    """
    parts = {part: table.iloc[list(getattr(split, part))] for part in ("train", "val")}
    return {
        "schema": SCHEMA,
        "labels": list(EMOTIONS),
        "config": config,
        "normalisation": {"mean": list(normalisation.mean), "deviation": list(normalisation.deviation)},
        "about": about,
        "val": parts["val"]["utterance"].tolist(),
        "statements": {part: _numbers(rows["statement"]) for part, rows in parts.items()},
        "speakers": {
            **{part: _numbers(rows["speaker"]) for part, rows in parts.items()},
            "test": [int(speaker) for speaker in split.test_speakers],
        },
    }


def read(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of plain values and tensors onto the CPU; `["ser"]` is the record of its run.

    Raises:
        CheckpointError: if it is not there, can't be read without unpickling, or is of another version.
    """
    if not Path(path).is_file():
        raise CheckpointError("there is no such checkpoint", where=path, do="give <run folder>/checkpoints/best.ckpt")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from EOFError to UnpicklingError here
        raise CheckpointError(
            f"the checkpoint can't be read ({type(error).__name__}): truncated, damaged or holding code",
            where=path,
            do="use last.ckpt or best.ckpt as training wrote it",
        ) from error
    check(checkpoint.get("ser") if isinstance(checkpoint, dict) else None, str(path))
    return checkpoint


def check(record: object, where: str) -> dict[str, Any]:
    """Return the record, if it is one of this version and for these labels.

    Raises:
        CheckpointError: if it is not.
    """
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise CheckpointError("this is not a checkpoint of this version's train.py", where=where, do="train again")
    if record["labels"] != list(EMOTIONS):
        raise CheckpointError(
            f"the checkpoint's labels are {', '.join(record['labels'])}; here they are {', '.join(EMOTIONS)}",
            where=where,
            do="train a checkpoint with the labels of this version",
        )
    return record


def normalisation(record: dict[str, Any]) -> Normalisation:
    """The statistics fitted in training."""
    return Normalisation(*(tuple(record["normalisation"][name]) for name in ("mean", "deviation")))


def rows_to_score(
    record: dict[str, Any], table: pd.DataFrame, part: str, speakers: Sequence[int] | None
) -> tuple[int, ...]:
    """Rows of the table to score.

    Args:
        part: "test" or "val".
        speakers: whom to test; None for those that the protocol kept for it.

    Raises:
        CheckpointError: if a speaker to be tested was trained on or chosen by.
        DataError: if the corpus lacks what is to be scored.
    """
    if part == "val":
        if speakers is not None:
            raise ConfigError("test_speakers has no say in split=val", where="test_speakers", do="leave it out")
        wanted = table["utterance"].isin(record["val"]).to_numpy()
        if wanted.sum() < len(record["val"]):
            raise DataError(
                f"the corpus has {wanted.sum()} of the {len(record['val'])} validation utterances of the run",
                do="give data.root=<the corpus it was trained on>",
            )
    elif part == "test":
        tested = list(record["speakers"]["test"] if speakers is None else speakers)
        known = sorted(set(tested) & {*record["speakers"]["train"], *record["speakers"]["val"]})
        if known:
            raise CheckpointError(
                f"speakers {_listed(known)} were trained on or validated on: a test on them would be no test",
                where="test_speakers",
                do="test other speakers, or take a checkpoint of a protocol that holds them out",
            )
        wanted = table["speaker"].isin(tested).to_numpy()
        absent = tested if speakers is None else sorted(set(tested) - set(table["speaker"]))
        if not wanted.any() or (speakers is not None and absent):
            raise DataError(
                f"the corpus has no utterance of the test speakers {_listed(absent)}",
                do="give data.root=<a corpus that has them>, or split=val for the validation part",
            )
    else:
        raise ConfigError(f"there is no part {part!r} to score", where="split", do="use split=test or split=val")
    return tuple(int(row) for row in wanted.nonzero()[0])


def facts(record: dict[str, Any], scored: pd.DataFrame, part: str) -> dict[str, Any]:
    """What has to stand beside the scores: the protocol, its fingerprint, what was shared with training."""
    about = record["about"]
    shared = {
        name: len(set(_numbers(scored[name[:-1]])) & set(record[name]["train"])) for name in ("speakers", "statements")
    }
    return {
        **{name: about[name] for name in ("model", "seed", "protocol", "protocol_settings", "split_fingerprint")},
        "split": part,
        "speakers": "seen in training" if shared["speakers"] else "unseen in training",
        "shared_with_training": shared,
    }


def _numbers(column: pd.Series[int]) -> list[int]:
    return sorted({int(number) for number in column})


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
