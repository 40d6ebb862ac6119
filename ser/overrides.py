"""Hydra's overrides, `key=value`, as people type them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence


def forgiving(arguments: Sequence[str], path_key: str | None = None) -> list[str]:
    """Overrides as Hydra takes them: a path alone is given its key, and what Hydra would take apart is quoted.

    That is a value with `=` in it, and any name of a file that holds more than letters, digits and usual signs.
    """
    before = ["", *arguments][: len(arguments)]
    named = path_key is None or any(argument.startswith(f"{path_key}=") for argument in arguments)
    return [
        _forgiving(argument, None if named or of.startswith("-") else path_key)
        for argument, of in zip(arguments, before, strict=True)
    ]


def _forgiving(argument: str, path_key: str | None) -> str:
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
