"""The files below a folder, with what keeps them from being read."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator

UNREADABLE = (".3gp", ".aac", ".amr", ".avi", ".m4a", ".m4b", ".mkv", ".mov", ".mp4", ".webm", ".wma")
"""Recordings of phones and films, which libsndfile does not decode."""


def files(root: str | os.PathLike[str], suffixes: Container[str]) -> Iterator[tuple[str, str]]:
    """Every file below `root` that has one of the suffixes, and every folder that can't be read.

    Hidden files and folders are passed over. A folder's files come first, then its folders, each by name; a folder
    that links lead to again is read once.

    Args:
        root: a folder; without one, it is what can't be read.
        suffixes: such as ".wav", in lower case; those of files may be in any case.

    Yields:
        The path, which begins with `root`, and a short phrase of what is wrong with it, "" if nothing.
    """
    seen, unreadable = set[str](), list[OSError]()
    for folder, folders, names in os.walk(os.fspath(root), onerror=unreadable.append, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        for name in [] if real in seen else sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes:
                path = os.path.join(folder, name)
                yield path, problem(path)
        seen.add(real)
    for error in unreadable:
        yield error.filename, f"unreadable folder: {error.strerror}"


def problem(path: str) -> str:
    """A short phrase of what keeps a file from being opened, or named in a table; "" if nothing."""
    if not path.isascii() and path.encode(errors="ignore").decode() != path:
        return "its name is not in UTF-8"
    if os.path.isfile(path):
        return "" if os.access(path, os.R_OK) else "unreadable: permission denied"
    if os.path.exists(path):
        return "not a regular file"
    return "a broken link" if os.path.islink(path) else "no such file"
