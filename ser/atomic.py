"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a scratch path beside `path` to write to; it takes the place of `path` unless something is raised."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield scratch
        os.replace(scratch, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # writing to an open file does not say to which
        raise
    finally:
        scratch.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text, lines ended by a line feed on every system."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8", newline="\n")
