"""What the configuration in a checkpoint may ask to be built: a file from elsewhere must not run code of its choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any

from ser import build as builder
from ser.errors import CheckpointError

PACKAGES = (
    *(f"ser.{name}" for name in ("augment", "corpora", "features", "models", "protocols")),
    *(f"ser.training.{name}" for name in ("callbacks", "loss", "module", "schedules")),
    "sklearn",
    "torch.nn",
    "torch.optim",
    "lightning.pytorch.callbacks.weight_averaging",
)
"""Their classes are trusted: what a configuration has a reason to name, and nothing that writes files. Functions may do
anything to the machine."""

FUNCTIONS = ("sklearn.pipeline.make_pipeline", "sklearn.pipeline.make_union")
"""Trusted all the same, as are functions in `ser.corpora` that are called `read`."""


def check(config: object, where: str, packages: Sequence[str] = ()) -> None:
    """Look at every `_target_` in a configuration, and at what it leads to; import trusted packages alone.

    Args:
        config: nested mappings and lists.
        where: the checkpoint it came with.
        packages: further packages or modules, all of whose contents are trusted.

    Raises:
        CheckpointError: if something is not trusted, or the configuration is not resolved.
    """
    check_resolved(config, where)
    _refuse_pickles(config, where)
    targets = {str(part["_target_"]) for part in _parts(config) if isinstance(part, Mapping) and "_target_" in part}
    refused = [target for target in sorted(targets) if not (_within(target, packages) or _is_trusted(target))]
    if refused:
        raise CheckpointError(
            f"this checkpoint asks for what is not trusted: {', '.join(refused)}",
            where=where,
            do="if you know it, name its package: trust=[package] (ser predict: --trust package)",
        )


def build(config: Any, *, checkpoint: str, packages: Sequence[str] = (), where: str = "", **kwargs: Any) -> Any:
    """`check`, then `ser.build.build`; `where` is the key that leads to the configuration in the whole."""
    check(config, checkpoint, packages)
    return builder.build(config, where=where, **kwargs)


def check_resolved(config: object, where: str) -> None:
    """Records are plain and resolved: what looks like an interpolation was put in, and resolving could run anything.

    Raises:
        CheckpointError: if there is one in any text, keys included, or something is not plain.
    """
    for part in _parts(config):
        if isinstance(part, str) and "${" in part:
            wrong = f"asks for something to be resolved: {part!r}"
        elif not isinstance(part, Mapping | list | tuple | str | int | float | None):
            wrong = f"has a configuration that is not plain values: it holds a {type(part).__name__}"
        else:
            continue
        do = "do not use it: train.py writes no such checkpoint"
        raise CheckpointError(f"this checkpoint {wrong}", where=where, do=do)


def _refuse_pickles(config: object, where: str) -> None:
    """Refuse scikit-learn's `memory`, a folder of pickles that is written to and read from."""
    settings = [part for part in _parts(config) if isinstance(part, Mapping)]
    for part in settings:
        if any(str(key).split("__")[-1] == "memory" and value is not None for key, value in part.items()):
            what = "this checkpoint asks for a cache of pickles: memory"
            raise CheckpointError(what, where=where, do="do not use it, or train again without")


def _parts(config: object) -> Iterator[object]:
    """The configuration and all that is in it, keys included."""
    yield config
    if isinstance(config, Mapping):
        config = [*config, *config.values()]
    if isinstance(config, list | tuple):
        for part in config:
            yield from _parts(part)


def _is_trusted(target: str) -> bool:
    if not _within(target, PACKAGES):
        return False
    # Where it was defined counts, not only where it was found: a module's name leads to all that it has imported.
    found = builder.locate(target)
    module, name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    if isinstance(found, type):
        return _within(f"{module}.{name}", PACKAGES)
    known = f"{module}.{name}" in FUNCTIONS or (name == "read" and _within(str(module), ["ser.corpora"]))
    return known and isinstance(found, FunctionType)


def _within(name: str, packages: Sequence[str]) -> bool:
    return any(name.startswith(f"{package}.") for package in packages)
