"""A run folder: claimed once, filled by training, read by everything that comes after."""

from __future__ import annotations

import logging
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch

from ser.errors import ConfigError, printable
from ser.locks import holding
from ser.overrides import quoted

RESULTS = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics.csv", "summary.json")
"""What shows that a folder belongs to a run already; one that failed before its first epoch ended has none of it."""

log = logging.getLogger(__name__)


def last(resume: str) -> Path:
    """The checkpoint to go on from: `resume` itself, or the last one of a run folder.

    Raises:
        ConfigError: if it is not there.
    """
    path = Path(resume)
    if path.is_dir():
        path = path / ("last.ckpt" if path.name == "checkpoints" else "checkpoints/last.ckpt")
    if not path.is_file():
        raise ConfigError(
            f"there is no such checkpoint: {path}",
            where="resume",
            do="give the folder of a run whose first epoch has ended, or its checkpoints/last.ckpt",
        )
    return path


@contextmanager
def claimed(folder: Path, resume: str | None) -> Iterator[None]:
    """Work in the folder of a run: what is logged goes to its `train.log`, too, and nothing of another run is lost.

    Raises:
        ConfigError: if a run is in the folder already, and it is not the one to resume; or another process is at work;
            or the folder can't be named in a file.
    """
    if os.fsencode(folder).decode(errors="ignore") != str(folder):  # loggers, for one, could not write there
        raise ConfigError("the folder's name is not in UTF-8", where=folder, do="choose another hydra.run.dir")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as until_end:
        try:
            until_end.enter_context(holding(folder / ".lock", wait=False))
        except BlockingIOError as error:
            do = "wait for its end, or choose another hydra.run.dir"
            raise ConfigError("another process is at work in this folder", where=folder, do=do) from error
        _refuse_used(folder, resume)
        (folder / "checkpoints").mkdir(exist_ok=True)
        file = logging.FileHandler(folder / "train.log", encoding="utf-8", errors="backslashreplace")
        until_end.callback(file.close)
        logging.root.addHandler(file)
        until_end.callback(logging.root.removeHandler, file)
        yield


def take_best(folder: Path, resume: str | None) -> None:
    """A run that is resumed in another folder takes its best checkpoint so far along."""
    best = None if resume is None else Path(resume).absolute().with_name("best.ckpt")
    if best and best.exists() and best.parent != folder.absolute() / "checkpoints":
        shutil.copy(best, folder / "checkpoints")


def _refuse_used(folder: Path, resume: str | None) -> None:
    if resume is not None and Path(resume).absolute().parent == folder.absolute() / "checkpoints":
        return
    found = [name for name in RESULTS if (folder / name).exists()]
    if found:
        last = folder / "checkpoints" / "last.ckpt"
        go_on = f", or go on with it: {command_to_resume(last)}" if last.exists() else ", or remove this one"
        raise ConfigError(
            f"a run is in this folder already ({', '.join(found)})",
            where=folder,
            do=f"choose another hydra.run.dir{go_on}",
        )


def command_to_resume(checkpoint: Path) -> str:
    """To be pasted into a shell: quoted for it, and for Hydra inside of that."""
    place = str(checkpoint)
    if not re.fullmatch(r"[\w./+ :-]+", place, re.ASCII):  # more than that, Hydra would take apart
        place = quoted(place)
    return f"python train.py {shlex.quote(f'resume={place}')}"


def environment() -> str:
    """The machine and every installed package, as text."""
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    lines = [
        f"command: {printable(shlex.join(sys.argv))}",
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
        log.info("interrupted; go on with: %s", command_to_resume(last))
    else:
        log.info("interrupted before the first epoch ended: there is no checkpoint yet")
