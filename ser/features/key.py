"""The name of a cache entry: all that decides the values in it, digested, so that nobody has to count versions."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ser.errors import ConfigError
from ser.features import audio

IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t]+(\.*)(\w*)([^(\n]*(?:\([^)]*\))?)", re.MULTILINE)


def key(feature: object, recordings: Iterable[str]) -> str:
    """The feature's class, its settings, its code and what it was computed of, digested.

    Args:
        feature: a dataclass whose settings JSON can tell; or `identity()` does, where they do not decide the values.
        recordings: a text for each that says what it holds; their order and repetitions do not matter.

    Raises:
        ConfigError: if the feature is no dataclass, or its class is not in a file.
    """
    parts = [*told(feature), sorted(set(recordings))]
    return f"{type(feature).__name__.lower()}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]}"


def told(feature: object) -> list[Any]:
    """Module and name of the class, settings and code, as JSON can tell them; errors as of `key`."""
    kind = type(feature)
    if not is_dataclass(feature) or isinstance(feature, type):
        raise ConfigError(f"{kind.__qualname__} is not a dataclass", where="features", do="@dataclass(frozen=True)")
    settings = feature.identity() if hasattr(feature, "identity") else asdict(feature)
    return [kind.__module__, kind.__qualname__, settings, code(kind.__module__)]


@lru_cache
def code(module: str) -> tuple[str, ...]:
    """Names and digests of the source files that a module and `audio.read` compute with; versions of what they import.

    Of what a source file imports, in functions as well, those files count that lie beside it or in `ser/features`, and
    theirs in turn. Changes of other files are not noticed.

    Raises:
        ConfigError: if the module is not in a file, as in a notebook.
    """
    import soundfile

    here, path = Path(audio.__file__), getattr(sys.modules[module], "__file__", None)
    if path is None:
        what = f"the code of {module} is not in a file, so the cache could not tell when it changes"
        raise ConfigError(what, where="features", do="define the feature in a module")
    found = {f"libsndfile {soundfile.__libsndfile_version__}"}
    waiting, seen = {Path(path), here}, set[Path]()
    while waiting:
        file = waiting.pop()
        seen.add(file)
        text = file.read_text(encoding="utf-8", errors="replace")
        found.add(f"{file.name} {hashlib.sha256(text.encode()).hexdigest()}")
        for dots, top, rest in IMPORT.findall(text):
            names = re.findall(r"\w+", f"{top} {rest}")
            files = {folder / f"{name}.py" for name in names for folder in (file.parent, here.parent)}
            waiting |= {other for other in files - seen if other.is_file()}
            if not dots and top not in ("", "ser", *sys.stdlib_module_names):
                found.add(f"{top} {_version(top)}")
    return tuple(sorted(found))


def _version(package: str) -> str:
    """The version of the distribution that has this top-level package, "" if there is none."""
    with suppress(metadata.PackageNotFoundError):  # most are called as their package, and looking at all takes long
        return metadata.version(package)
    return ", ".join(map(metadata.version, metadata.packages_distributions().get(package, [])))
