"""What the configuration in a checkpoint may ask to be built: a file from elsewhere must not run code of its choice."""

from __future__ import annotations

import pydoc
from collections.abc import Iterator, Mapping, Sequence

from ser.errors import CheckpointError

PACKAGES = ("ser", "sklearn", "torch.nn", "torch.optim")
"""Their classes are trusted. A function may do anything to the machine it is called on, and few are needed:"""

FUNCTIONS = (
    "sklearn.pipeline.make_pipeline",
    "sklearn.pipeline.make_union",
    "ser.corpora.ravdess.read",
    "ser.demo.corpus.read",
)


def check(config: object, where: str, packages: Sequence[str] = ()) -> None:
    """Look at every `_target_` of a configuration.

    Args:
        config: nested mappings and sequences.
        where: the checkpoint it came with.
        packages: further packages or modules, all of whose contents are trusted.

    Raises:
        CheckpointError: if one names what is not trusted.
    """
    refused = sorted({target for target in _targets(config) if not _is_trusted(target, packages)})
    if refused:
        raise CheckpointError(
            f"this checkpoint asks for what is not trusted: {', '.join(refused)}",
            where=where,
            do="if it is a model of your own, name its package: trust=[package] (ser predict: --trust package)",
        )


def _targets(config: object) -> Iterator[str]:
    if isinstance(config, Mapping):
        if "_target_" in config:
            yield str(config["_target_"])
        for value in config.values():
            yield from _targets(value)
    elif isinstance(config, Sequence) and not isinstance(config, str):
        for value in config:
            yield from _targets(value)


def _is_trusted(target: str, packages: Sequence[str]) -> bool:
    if _within(target, packages) or target in FUNCTIONS:
        return True
    if not _within(target, PACKAGES):
        return False
    found = pydoc.locate(target)
    # Where it was defined counts, too: a trusted module's name leads to all that it has imported.
    return isinstance(found, type) and _within(f"{found.__module__}.{found.__qualname__}", PACKAGES)


def _within(name: str, packages: Sequence[str]) -> bool:
    return any(name.startswith(f"{package}.") for package in packages)
