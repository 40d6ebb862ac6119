"""A run folder: claimed once, filled by training, read by everything that comes after."""

from __future__ import annotations

import logging
import os
import platform
import shlex
import shutil
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch

from ser.errors import ConfigError

RESULTS = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics.csv", "summary.json")
"""What shows that a folder belongs to a run already; one that failed before its first epoch ended has none of it."""

log = logging.getLogger(__name__)


def last(resume: str) -> Path:
    """The checkpoint to go on from: `resume` itself, or the last one of a run folder.

    Raises:
        ConfigError: if it is not there.
    """
    path = Path(resume, "checkpoints", "last.ckpt") if Path(resume).is_dir() else Path(resume)
    if not path.is_file():
        raise ConfigError(
            f"there is no such checkpoint: {path}",
            where="resume",
            do="give the folder of a run whose first epoch has ended, or its checkpoints/last.ckpt",
        )
    return path


def claim(folder: Path, resume: str | None) -> None:
    """Make sure that nothing of another run is written over.

    A run that is resumed in another folder takes its best checkpoint so far along.

    Raises:
        ConfigError: if a run is in the folder already, and it is not the one to resume.
    """
    checkpoints = Path(resume).absolute().parent if resume is not None else None
    if checkpoints == folder.absolute() / "checkpoints":
        return
    found = [name for name in RESULTS if (folder / name).exists()]
    if found:
        raise ConfigError(
            f"a run is in this folder already ({', '.join(found)})",
            where=folder,
            do=f"choose another hydra.run.dir, or go on with it: resume={folder / 'checkpoints' / 'last.ckpt'}",
        )
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    if resume is not None and (best := Path(resume).with_name("best.ckpt")).exists():
        shutil.copy(best, folder / "checkpoints")


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


def say_how_to_go_on(folder: Path) -> None:
    """Tell what an interrupted run left."""
    last = folder / "checkpoints" / "last.ckpt"
    if last.exists():
        log.info("interrupted; go on with: python train.py resume=%s", last)
    else:
        log.info("interrupted before the first epoch ended: there is no checkpoint yet")
