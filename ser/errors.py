"""Errors that a user can cause and fix."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path


def printable(text: str) -> str:
    """The text with control characters, and the bytes of names that are not UTF-8, as escapes; its lines stay.

    A terminal would obey the first, and a file in UTF-8 can't hold the second.
    """
    return "".join(char if char in "\n\t" else _shown(char) for char in text)


def _shown(char: str) -> str:
    kind = unicodedata.category(char)
    if kind == "Cs":  # how Python keeps a byte that is no UTF-8
        return f"\\x{ord(char) & 0xFF:02x}"
    return ascii(char)[1:-1] if kind == "Cc" else char


class SerError(Exception):
    """What is wrong, where, and what to do about it; printed without a traceback by the commands.

    `lines`: of a list that is too long for a terminal; a command that has a folder writes it there.
    """

    def __init__(
        self, what: str, *, where: str | Path | None = None, do: str | None = None, lines: Sequence[str] = ()
    ) -> None:
        self.what, self.where, self.do, self.lines = what, where, do, lines
        said = what + (f"\n  where: {where}" if where else "") + (f"\n  do:    {do}" if do else "")
        super().__init__(printable(said))


class ConfigError(SerError):
    """A setting, or a combination of settings, that can't work."""


class DataError(SerError):
    """A corpus, a recording or a table that can't be used as it is."""


class DownloadError(SerError):
    """The corpus could not be fetched, checked or unpacked."""


class CheckpointError(SerError):
    """A checkpoint that can't be read, or must not be used for what was asked."""
