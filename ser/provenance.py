"""Where a score comes from: version, commit and command."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

DECIDING = ("torch", "torchaudio", "lightning", "torchmetrics", "numpy", "scikit-learn", "hydra-core")


def provenance() -> dict[str, str | None]:
    """`version` of this package, git `commit` of its source ("modified" if it differs from it), and the `command`."""
    return {"version": metadata.version("ser"), "commit": _commit(), "command": shlex.join(sys.argv)}


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in DECIDING}


@lru_cache
def _commit() -> str | None:
    """None if the source is in no git checkout."""
    here = Path(__file__).parent
    try:
        head, changes = (
            subprocess.run(["git", "-C", here, *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "-uno", "--", "."])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head} modified" if changes else head
