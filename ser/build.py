"""Objects that a configuration names by `_target_`: checked before any work, then built; from plain values alone."""

from __future__ import annotations

import difflib
import functools
import inspect
import pydoc
import re
import traceback
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ser.errors import ConfigError

SCALARS = (int, float, bool, str, types.NoneType)


def build(config: Any, /, *, where: str = "", **kwargs: Any) -> Any:
    """Build what a configuration names, after `check`.

    A mapping with `_target_` becomes a call of that class or function: `_args_` are its positional arguments, the
    other values its keywords, all built first; with `_partial_: true` it becomes the `functools.partial` of it. Other
    mappings and lists are built element by element. `name` is what a choice of a group is called: only what has a
    parameter of that name is given it.

    Args:
        config: plain values.
        where: the key that leads to them in the whole configuration, for messages.
        kwargs: further keywords of the outermost call.

    Raises:
        ConfigError: if there is no such class or function, or it does not take these arguments.
    """
    check(config, where)
    return _build(config, where, kwargs)


def check(config: Any, where: str = "") -> None:
    """Check names and simple types of the arguments of every `_target_`; those that are missing may come later."""
    if isinstance(config, list | tuple):
        for index, value in enumerate(config):
            check(value, f"{where}[{index}]")
    elif isinstance(config, Mapping):
        if "_target_" in config:
            named = {key: config[key] for key in config if key not in ("_target_", "_args_", "_partial_", "name")}
            check_against(named, locate(config["_target_"], where), where)
        for key, value in config.items():
            check(value, _join(where, key))


def check_against(values: Mapping[Any, Any], target: Callable[..., Any], where: str = "") -> None:
    """Check names and simple types of values against the parameters of a class or function."""
    parameters = _parameters(target)
    if parameters is None:
        return
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    for key, value in values.items():
        if key in parameters:
            hint, default = parameters[key].annotation, parameters[key].default
            nested = isinstance(value, Mapping) and "_target_" in value
            if not nested and value is not default and not _fits(value, hint):
                what = f"{_join(where, key)}: {value!r} is not accepted"
                raise ConfigError(what, where=_join(where, key), do=f"give {_said(hint)}")
        elif not takes_any:
            close = difflib.get_close_matches(str(key), parameters, 1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            what = f"{_join(where, key)}: {getattr(target, '__qualname__', target)} has no such parameter{meant}"
            raise ConfigError(what, where=_join(where, key), do=f"it takes {', '.join(parameters) or 'none'}")


def locate(target: object, where: str = "") -> Callable[..., Any]:
    """The class or function of this dotted name, imported; if it can't be, the error says why."""
    try:
        found = pydoc.locate(str(target))
    except pydoc.ErrorDuringImport as error:
        what = f"importing {target} fails: {type(error.value).__name__}: {error.value}"
        raise ConfigError(what, where=_join(where, "_target_")) from error.value
    if not callable(found):
        do = "check its spelling, and that its module can be imported"
        raise ConfigError(f"there is no class or function {target}", where=_join(where, "_target_"), do=do)
    return found


def _build(config: Any, where: str, kwargs: Mapping[str, Any]) -> Any:
    if isinstance(config, list | tuple):
        return [_build(value, f"{where}[{index}]", {}) for index, value in enumerate(config)]
    if not isinstance(config, Mapping):
        return config
    values = {key: _build(value, _join(where, key), {}) for key, value in config.items()}
    if "_target_" not in values:
        return values
    name = values.pop("_target_")
    target, args, partial = locate(name, where), values.pop("_args_", ()), values.pop("_partial_", False)
    if "name" not in (_parameters(target) or ()):
        values.pop("name", None)
    try:
        call = functools.partial(target, *args, **{**values, **kwargs})
        return call if partial else call()
    except (TypeError, ValueError, RuntimeError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        inside = f"see {frames[-1].filename}, line {frames[-1].lineno}" if len(frames) > 1 else None
        what = f"{name} can't be built: {type(error).__name__}: {error}"
        raise ConfigError(what, where=where, do=inside) from error


def _parameters(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """None for what does not tell, such as functions written in C."""
    for evaluated in (True, False):  # a hint may name what is imported for type checkers alone
        try:
            return inspect.signature(target, eval_str=evaluated).parameters
        except Exception:
            continue
    return None


def _fits(value: object, hint: Any) -> bool:
    """Whether a plain value fits a type hint; in doubt it does. What a collection holds is not judged."""
    kind, parts = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is typing.Literal:
        return value in parts
    if type(value) not in SCALARS:
        return kind not in SCALARS
    if kind in SCALARS:
        return type(value) is kind or (kind is float and type(value) is int)
    if not isinstance(kind, type) or kind in (Any, object, inspect.Parameter.empty):
        return True
    return kind is Path and isinstance(value, str)


def _said(hint: Any) -> str:
    """A type hint in words of a configuration."""
    text = inspect.formatannotation(hint).replace("typing.", "").replace(" | None", " or null").replace(" | ", " or ")
    return re.sub(r"^Optional\[(.*)\]$", r"\1 or null", text)


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
