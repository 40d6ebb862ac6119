"""A run folder: claimed once, filled by training, read by everything that comes after."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import shlex
import shutil
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ser.atomic import write_text
from ser.errors import ConfigError
from ser.results import figures, tables

RESULTS = ("checkpoints", "metrics.csv", "summary.json", "split.csv")
"""What shows that a folder belongs to a run already."""

VERSIONS = ("torch", "torchaudio", "lightning", "torchmetrics", "numpy", "scikit-learn", "hydra-core")

log = logging.getLogger(__name__)


def of_checkpoint(path: str | Path) -> Path:
    """The folder of the run that wrote this checkpoint."""
    return Path(path).absolute().parent.parent


def claim(folder: Path, resume: str | None) -> None:
    """Make sure that nothing of another run is written over.

    A run that is resumed in another folder takes its best checkpoint so far along.

    Raises:
        ConfigError: if a run is in the folder already, and it is not the one to resume.
    """
    if resume is not None and of_checkpoint(resume) == folder.absolute():
        return
    found = [name for name in RESULTS if (folder / name).exists()]
    if found:
        raise ConfigError(
            f"a run is in this folder already ({', '.join(found)})",
            where=folder,
            do=f"choose another hydra.run.dir, or go on with it: resume={folder / 'checkpoints' / 'last.ckpt'}",
        )
    (folder / "checkpoints").mkdir(parents=True)
    if resume is not None and (best := Path(resume).with_name("best.ckpt")).exists():
        shutil.copy(best, folder / "checkpoints")


def versions() -> dict[str, str]:
    """Versions of what decides the numbers, this package's first."""
    names = ("ser", *VERSIONS)
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in names}


def environment() -> str:
    """The machine and every installed package, as text."""
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    lines = [
        f"command: {shlex.join(sys.argv)}",
        f"python: {platform.python_version()}",
        f"platform: {platform.platform()}",
        f"processor: {platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        f"threads: {torch.get_num_threads()}",
        f"gpus: {', '.join(devices) or 'none'}",
    ]
    return "\n".join([*lines, "", *_packages(), ""])


@lru_cache  # a sweep's jobs share one process, and so its packages
def _packages() -> list[str]:
    return sorted({f"{found.metadata['Name']}=={found.version}" for found in metadata.distributions()})


def best_of(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of the lowest `val/loss`.

    Raises:
        ConfigError: if no epoch was validated, or no loss is a finite number.
    """
    rows = [row for row in history if math.isfinite(row.get("val/loss", math.nan))]
    if not rows:
        raise ConfigError(
            "no epoch ended with a finite val/loss, so there is no best one",
            where="trainer, model.optimizer",
            do="train at least one epoch with validation; if the loss diverged, lower model.optimizer.lr",
        )
    return min(rows, key=lambda row: float(row["val/loss"]))


def say_how_to_go_on(folder: Path) -> None:
    """Tell what an interrupted run left."""
    last = folder / "checkpoints" / "last.ckpt"
    if last.exists():
        log.info("interrupted; go on with: python train.py resume=%s", last)
    else:
        log.info("interrupted before the first epoch ended: there is no checkpoint yet")


def finish(folder: Path, about: dict[str, Any], history: list[dict[str, Any]]) -> float:
    """Write `summary.json` and `learning_curves.png`, print the summary, return the best `val/loss`.

    Args:
        about: what is known of the run besides its scores.
        history: the rows of `metrics.csv`.
    """
    best = best_of(history)
    scores = {f"val_{name}": best[f"val/{name}"] for name in ("loss", "accuracy", "uar", "macro_f1")}
    seconds = {"train_seconds": round(sum(row["seconds"] for row in history), 3)}
    summary = {
        **about,
        "best_epoch": best["epoch"],
        "epochs": len(history),
        **scores,
        **seconds,
        "versions": versions(),
    }
    write_text(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    figures.save(figures.learning_curves(pd.DataFrame(history)), folder / "learning_curves")
    tables.show_summary({name: value for name, value in summary.items() if name != "versions"}, title=str(folder))
    return float(best["val/loss"])
