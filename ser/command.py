"""How a command begins and ends: signals, what a terminal shows, and an exit status that tells success from failure."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ser.errors import SerError, printable

STOPPING = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
"""What ends a command early: the user, or Slurm, Docker, systemd."""

DISK = {
    errno.ENOSPC: "make room there, or choose another place",
    errno.EDQUOT: "make room there, or choose another place",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or choose another place",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose a place that you may write",
    errno.EPERM: "choose a place that you may write",
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
        signal.signal(number, _stop)
    os.environ["MPLBACKEND"] = "agg"  # pictures go to files; a notebook's backend, inherited, can't be imported here
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what a test puts in their place may lack it
            stream.reconfigure(errors="backslashreplace")


def forgiving(argument: str, path_key: str | None = None) -> str:
    """An override as Hydra takes it: a path alone is given its key, and a value that Hydra would take apart is quoted.

    That is one with `=` in it, and any name of a file that holds more than letters, digits and usual signs.
    """
    key, equals, value = argument.partition("=")
    if path_key and not argument.startswith("-") and os.path.exists(argument):
        key, equals, value = path_key, "=", argument
    plain = re.fullmatch(r"[\w./+:@ -]*", value, re.ASCII)
    if not equals or plain or key.startswith("-") or value[0] in "'\"[{" or "${" in value or "\\" in value:
        return f"{key}{equals}{value}"
    if "=" in value or os.path.exists(value):
        return f"{key}={quoted(value)}"
    return argument


def quoted(value: str) -> str:
    """A value in quotes of Hydra's grammar, in which a backslash counts as one but before a quote."""
    doubled = re.sub(r"(\\+)(?='|\Z)", r"\1\1", value)
    return "'" + doubled.replace("'", r"\'") + "'"


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
    if folder is None or len(error.what.splitlines()) > len(error.lines):  # all have been named
        return str(error)
    (folder / "problems.txt").write_text("\n".join(error.lines) + "\n", encoding="utf-8")
    return f"{error}\n  all:   {folder / 'problems.txt'}"


def _stop(number: int, frame: FrameType | None) -> None:
    for again in STOPPING:
        signal.signal(again, lambda number, _: os._exit(128 + number))
    print(f"\n{printable(STOPPING[signal.Signals(number)])}: stopping", file=sys.stderr, flush=True)
    raise Stopped(128 + number)
