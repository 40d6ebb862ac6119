"""Errors that a user can cause and fix."""

from __future__ import annotations

from pathlib import Path


class SerError(Exception):
    """What is wrong, where, and what to do about it; printed without a traceback by the commands."""

    def __init__(self, what: str, *, where: str | Path | None = None, do: str | None = None) -> None:
        self.what, self.where, self.do = what, where, do
        super().__init__(what + (f"\n  where: {where}" if where else "") + (f"\n  do:    {do}" if do else ""))


class ConfigError(SerError):
    """A setting, or a combination of settings, that can't work."""


class DataError(SerError):
    """A corpus, a recording or a table that can't be used as it is."""


class DownloadError(SerError):
    """The corpus could not be fetched, checked or unpacked."""


class CheckpointError(SerError):
    """A checkpoint that can't be read, or must not be used for what was asked."""
