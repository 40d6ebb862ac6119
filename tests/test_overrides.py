from __future__ import annotations

import os
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from ser.overrides import forgiving, quoted


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_what_is_quoted_is_what_hydra_reads(value: str) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"key={quoted(value)}"])
    assert override.value() == value


@pytest.mark.parametrize(
    "argument",
    [
        "seed=1",
        "seed=1,2,3",
        "model.net={a: 1}",
        "ckpt='a=b'",
        r"ckpt=a\=b",
        "ckpt=${oc.env:HOME}/a=b",
        "~resume",
        "-m",
        "--config-dir=a=b",
        "trainer.max_epochs=",
        "data.root=/no/such (file)",
    ],
)
def test_what_hydra_is_to_decide_stays(argument: str) -> None:
    assert forgiving([argument], "ckpt") == [argument]


@pytest.mark.parametrize("name", ["epoch=3-step=60.ckpt", "a (1).ckpt", "it's, mine.ckpt", "café.ckpt"])
def test_a_path_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    for argument in (f"ckpt={path}", str(path)):
        (override,) = OverridesParser.create().parse_overrides(forgiving([argument], "ckpt"))
        assert (override.key_or_group, override.value()) == ("ckpt", os.fspath(path))


def test_no_argument_is_none() -> None:
    assert forgiving([], "ckpt") == []


def test_a_path_alone_means_nothing_without_a_key(tmp_path: Path) -> None:
    assert forgiving([str(tmp_path)]) == [str(tmp_path)]
    for arguments in (["--config-dir", str(tmp_path)], ["ckpt=a", str(tmp_path)]):
        assert forgiving(arguments, "ckpt") == arguments
