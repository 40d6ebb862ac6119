"""What a finished run says of itself: `summary.json`, the learning curves, a table on the terminal."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ser.atomic import write_text
from ser.dataset import Dataset
from ser.features.enrol import Enrolment
from ser.protocols.split import Split
from ser.provenance import provenance, versions
from ser.results import figures, tables
from ser.training import trainer
from ser.utterances import speaker_key

log = logging.getLogger(__name__)

SCORES = ("loss", "accuracy", "uar", "macro_f1")


def about(settings: dict[str, Any], found: Dataset, split: Split, enrolment: Enrolment) -> dict[str, Any]:
    """What has to be known beside every score of this run."""
    overlap = split.overlap()
    known_by = str(replace(enrolment, clips="all")) if enrolment else "none"
    present = set(found.table["speaker"].map(speaker_key))
    listed = settings["protocol"].get("dev_speakers") or []
    if lacking := [str(speaker) for speaker in listed if speaker_key(speaker) not in present]:
        log.warning("protocol.dev_speakers: the corpus has no speaker %s", ", ".join(lacking))
    absent = [speaker for speaker in split.test_speakers if speaker_key(speaker) not in present]
    if absent:
        rest = "training and validation only" if not split.test else "the test is on the others"
        log.info("test speakers %s absent: %s", ", ".join(absent), rest)
    validation = "seen speakers" if (overlap["train_val"] or {}).get("speakers") else "unseen speakers"
    validation = validation if split.val else "none"
    return {
        "model": settings["model"]["name"],
        "features": settings["features"]["name"],
        "seed": settings["seed"],
        "corpus": found.corpus,
        "corpus_fingerprint": found.fingerprint,
        "protocol": settings["protocol"]["name"],
        "protocol_settings": {
            key: value for key, value in settings["protocol"].items() if key not in ("name", "_target_")
        },
        "split_fingerprint": split.fingerprint(),
        "overlap": overlap,
        "enrolment": known_by,
        "validation": validation if known_by == "none" or not split.val else f"{validation}, enrolled by {known_by}",
        "n_train": len(split.train),
        "n_val": len(split.val),
        "monitor": settings["monitor"],
        "limited_by": trainer.limits(settings["trainer"]),
        **provenance(),
    }


def write(folder: Path, facts: dict[str, Any], history: list[dict[str, Any]], best: dict[str, Any]) -> None:
    """Write `summary.json` and `learning_curves.png`, print the summary.

    Args:
        facts: what is known of the run besides its scores.
        history: the rows of `metrics.csv`.
        best: the one of the epoch that counts.
    """
    summary = {
        **facts,
        "best_epoch": best["epoch"],
        "epochs": len(history),
        **{f"val_{name}": best.get(f"val/{name}") for name in SCORES},
        "train_seconds": round(sum(row["seconds"] for row in history), 3),
        "versions": versions(),
    }
    write_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    if len(history) > 1:  # what is fitted once has no course
        curves = figures.learning_curves(pd.DataFrame(history), best["epoch"])
        figures.save(curves, folder / "learning_curves")
    tables.show_summary({name: value for name, value in summary.items() if name != "versions"}, title=str(folder))
