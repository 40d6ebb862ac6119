"""Objects from configurations: what users may write, and what they are told about what they may not."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser import build
from ser.errors import ConfigError, DataError
from ser.utterances import utterance_table

if TYPE_CHECKING:
    from nowhere import Unknown


@dataclass
class Net:
    width: int
    rate: float = 0.5
    hidden: Sequence[int] = ()
    kind: Literal["start", "middle"] = "start"
    deep: bool = False
    title: str | None = None
    old: Optional[int] = None  # noqa: UP045
    options: Mapping[str, int] | None = None
    anything: Any = None
    inner: Net | None = None


class Wider(Net):
    """Its `__init__` is inherited."""


class Loose:
    def __init__(self, *args: object, **kwargs: object) -> None:
        self.args, self.kwargs = args, kwargs


def named(name: str, root: str | Path = ".") -> str:
    return name


def refuse(how: str) -> None:
    raise {"type": TypeError, "value": ValueError, "key": KeyError, "data": DataError}[how]("not so")


def unknown(odd: Unknown) -> None:
    pass


def implicit(width: int = None) -> int:  # type: ignore[assignment]  # noqa: RUF013
    return width


NET, LOOSE, ME = f"{__name__}.Net", f"{__name__}.Loose", __name__
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(categories=["L"])), inner),
)


@given(PLAIN)
def test_plain_values_stay_as_they_are(values: object) -> None:
    assert build.build(values) == values
    build.check(values, "data")


def test_all_that_is_nested_is_built() -> None:
    inner = {"_target_": NET, "width": 2}
    config = {"_target_": LOOSE, "_args_": [1, inner], "nets": [inner, {"deep": inner}], "rate": 1.5}
    built = build.build(config, seed=3)
    assert built.args == (1, Net(2))
    assert built.kwargs == {"nets": [Net(2), {"deep": Net(2)}], "rate": 1.5, "seed": 3}
    assert build.build({"one": [inner]}) == {"one": [Net(2)]}


def test_a_partial_is_called_later() -> None:
    partial = build.build({"_target_": NET, "_partial_": True, "rate": 1.0})
    assert isinstance(partial, functools.partial)
    assert partial(width=4) == Net(4, 1.0)
    assert build.build({"_target_": NET, "_partial_": False, "width": 4}) == Net(4)


def test_keywords_of_the_call_come_on_top() -> None:
    config = {"_target_": NET, "width": 1, "inner": {"_target_": NET, "width": 1}}
    assert build.build(config, width=7) == Net(7, inner=Net(1))


def test_the_name_of_a_choice_goes_only_to_what_takes_one() -> None:
    assert build.build({"_target_": NET, "name": "wide", "width": 1}) == Net(1)
    assert build.build({"_target_": f"{ME}.named", "name": "wide"}) == "wide"
    build.check({"_target_": NET, "name": "wide", "width": 1}, "model")


@pytest.mark.parametrize(
    ("config", "where", "message"),
    [
        ({"_target_": NET, "width": 1, "hiden": [1]}, ".hiden", "Net has no such parameter; did you mean 'hidden'"),
        ({"_target_": NET}, "", "Net can't be built: TypeError: .*missing 1 required positional argument: 'width'$"),
        ({"_target_": NET, "_args_": [1] * 20}, "", "Net can't be built: TypeError: .* positional arguments"),
        ({"_target_": NET, "_args_": 1}, "", "Net can't be built: TypeError: "),
        ({"_target_": f"{ME}.Nett"}, "._target_", r"there is no class or function .*\.Nett"),
        ({"_target_": "no.such.Net"}, "._target_", r"there is no class or function no\.such\.Net"),
        ({"_target_": f"{ME}.NET"}, "._target_", r"there is no class or function .*\.NET"),
        ({"_target_": None}, "._target_", "there is no class or function None"),
        ({"_target_": NET, "_convert_": "all"}, "._convert_", "Net has no such parameter"),
        ({"_target_": NET, "width": 1, "inner": [{"_target_": "no.Net"}]}, ".inner[0]._target_", "there is no "),
        ({"_target_": f"{ME}.refuse", "how": "type"}, "", "refuse can't be built: TypeError: not so"),
        ({"_target_": f"{ME}.refuse", "how": "value"}, "", "refuse can't be built: ValueError: not so"),
        ({"_target_": "math.sqrt", "x": 1}, "", "math.sqrt can't be built: TypeError"),
        ({"_target_": "builtins.max", "x": 1}, "", "builtins.max can't be built: TypeError"),
    ],
)
def test_what_can_not_be_built_is_named(config: dict[str, Any], where: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build.build(config, where="model.net")
    assert raised.value.where == f"model.net{where}"
    assert re.search(message, raised.value.what)
    assert ("test_build.py, line" in str(raised.value.do)) == ("not so" in message)


def test_errors_for_users_pass_and_so_do_defects() -> None:
    with pytest.raises(DataError, match=r"^not so$"):
        build.build({"_target_": f"{ME}.refuse", "how": "data"}, where="data.read")
    with pytest.raises(KeyError):
        build.build({"_target_": f"{ME}.refuse", "how": "key"})


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("nothing", "NameError: name 'nothing' is not defined"),
        ("class Net(:", "SyntaxError: invalid syntax"),
    ],
)
def test_a_module_that_can_not_be_imported_says_why(
    code: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    for look in (build.build, build.check):
        with pytest.raises(ConfigError, match=message):
            look({"_target_": "broken_module.Net"})


@pytest.mark.parametrize("target", [NET, f"{ME}.Wider"])
@pytest.mark.parametrize(
    ("values", "where", "message"),
    [
        ({"width": 3.5}, "width", "3.5 is not accepted"),
        ({"width": True}, "width", "True is not accepted"),
        ({"width": "abc"}, "width", "'abc' is not accepted"),
        ({"width": None}, "width", "None is not accepted"),
        ({"width": [1]}, "width", "[1] is not accepted"),
        ({"rate": "abc"}, "rate", "'abc' is not accepted"),
        ({"rate": False}, "rate", "False is not accepted"),
        ({"hidden": 5}, "hidden", "5 is not accepted"),
        ({"hidden": "5"}, "hidden", "'5' is not accepted"),
        ({"kind": "end"}, "kind", "'end' is not accepted"),
        ({"deep": 1}, "deep", "1 is not accepted"),
        ({"deep": "no"}, "deep", "'no' is not accepted"),
        ({"title": 5}, "title", "5 is not accepted"),
        ({"old": 0.5}, "old", "0.5 is not accepted"),
        ({"options": 1}, "options", "1 is not accepted"),
        ({"inner": 1}, "inner", "1 is not accepted"),
        ({"depth": 1}, "depth", " has no such parameter"),
        ({"inner": {"_target_": NET, "width": 0.5}}, "inner.width", "0.5 is not accepted"),
        ({"anything": [{"_target_": NET, "wide": 1}]}, "anything[0].wide", "; did you mean 'width'?"),
        ({"_args_": [{"_target_": NET, "wide": 1}]}, "_args_[0].wide", "has no such parameter"),
    ],
)
def test_wrong_settings_are_found_before_anything_is_built(
    target: str, values: dict[str, Any], where: str, message: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        build.check({"model": {"net": {"_target_": target, **values}}})
    assert raised.value.where == f"model.net.{where}"
    assert message in raised.value.what


@pytest.mark.parametrize(
    "values",
    [
        {"width": 3, "rate": 1, "hidden": [1, 2], "kind": "middle", "deep": True, "title": None, "old": 3},
        {"rate": 0.5, "hidden": [], "title": "a", "old": None, "options": {"a": 1}, "anything": 5},
        {"anything": [1], "inner": {"_target_": NET}},
        {"width": {"_target_": LOOSE, "what": "ever"}},
        {"_partial_": True},
    ],
)
def test_right_settings_pass(values: dict[str, Any]) -> None:
    build.check({"_target_": NET, **values}, "model")


@pytest.mark.parametrize(
    "config",
    [
        {"_target_": f"{ME}.implicit", "width": None},
        {"_target_": f"{ME}.unknown", "odd": 5},
        {"_target_": f"{ME}.named", "root": "data/ravdess"},
        {"_target_": "builtins.max", "what": "ever"},
        {"_target_": "sklearn.svm.SVC", "C": "not hinted"},
        {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 2, "kernel_size": 3},
        {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3},
    ],
)
def test_hints_of_others_are_understood(config: dict[str, Any]) -> None:
    build.check(config, "model")


def test_nothing_is_built_to_check() -> None:
    build.check({"_target_": f"{ME}.refuse", "how": "type"})


def test_values_are_checked_against_anything_with_parameters() -> None:
    build.check_against({"width": 1, "inner": {"_target_": NET}}, Net, "top")
    build.check_against({"labels": ["sad"]}, utterance_table, "")
    build.check_against({"what": "ever"}, max, "")
    with pytest.raises(ConfigError, match=r"(?s)labels: 5 is not accepted.*Sequence") as raised:
        build.check_against({"labels": 5}, utterance_table, "")
    assert raised.value.where == "labels"
