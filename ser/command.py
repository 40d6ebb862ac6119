"""How a command begins and ends: signals, what a terminal shows, and an exit status that tells success from failure."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from ser.errors import SerError

STOPPING = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
"""What ends a command early: the user, or Slurm, Docker, systemd."""

PATIENCE = 8.0  # seconds from a signal to the end, come what may: Docker kills after 10, Slurm after 30

DISK = {
    errno.ENOSPC: "make room there, or choose another place",
    errno.EDQUOT: "make room there, or choose another place",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose a place that you may read and write",
    errno.EPERM: "choose a place that you may read and write",
    errno.EIO: "look at the disk: it fails",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: "choose another place: a file is in the way",
    errno.EISDIR: "choose another place: a folder is in the way",
    errno.EEXIST: "choose another place: a file is in the way",
}
"""What a disk refuses, by no fault of ours, and what to do."""


class Stopped(SystemExit):
    """A command was told to stop. No handler of exceptions in a library takes it for an error of its own."""


def begin() -> None:
    """Prepare a process for a command; called before any import that takes long.

    A signal ends the command with status 128 + its number, as a shell has it, once what is half-written is cleared up;
    a second one ends it at once.
    """
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # a shell's way to keep it from what runs in the background
            signal.signal(number, _stop)
    logging.raiseExceptions = False  # a log on a full disk, or to a pipe that is closed, must not end what is logged
    os.environ["MPLBACKEND"] = "agg"  # pictures go to files; a notebook's backend, inherited, can't be imported here
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what a test puts in their place may lack it
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def ending(folder: Path | None = None) -> Iterator[None]:
    """Show what a user or a disk has caused as a message, not as a traceback, and exit with status 1; see `message`."""
    try:
        yield
    except Exception as error:
        said = message(error, folder)
        if said is None:
            raise
        sys.exit(f"\nerror: {said}")


def message(error: Exception, folder: Path | None = None) -> str | None:
    """What to say of an error that a user or a disk has caused; None of another.

    Args:
        error: what was raised.
        folder: where a list goes that is too long for a terminal; None: nowhere.
    """
    if isinstance(error, OSError) and error.errno in DISK:
        return str(SerError(str(error.strerror), where=error.filename, do=DISK[error.errno]))
    if not isinstance(error, SerError):
        return None
    if folder is None or not error.lines:
        return str(error)
    place = folder / "problems.txt"
    try:
        place.write_text("\n".join(error.lines) + "\n", encoding="utf-8")
    except OSError as refused:
        return f"{error}\n  all:   {place} can't be written: {refused.strerror}"
    return f"{error}\n  all:   {place}"


def _stop(number: int, frame: FrameType | None) -> None:
    if _stopping:
        os._exit(128 + number)
    _stopping.append(number)
    watch = threading.Timer(PATIENCE, os._exit, [128 + number])  # what clears up may wait for what never comes
    watch.daemon = True
    watch.start()
    with suppress(OSError):  # of a pipe that was stopped, too
        os.write(2, f"\n{STOPPING[signal.Signals(number)]}: stopping\n".encode())
    raise Stopped(128 + number)


_stopping: list[int] = []
"""The first signal; not in the handlers, which Lightning puts back as they were."""
