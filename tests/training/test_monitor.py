from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser.errors import ConfigError
from ser.training.monitor import Monitor


def test_the_first_of_equals_is_the_best() -> None:
    history = [{"epoch": epoch, "val/loss": loss} for epoch, loss in enumerate([2.0, 1.0, 1.0, 3.0])]
    assert Monitor("val/loss", "min").best(history)["epoch"] == 1
    assert Monitor("val/uar", "max").best([{**row, "val/uar": row["val/loss"]} for row in history])["epoch"] == 3


@given(st.lists(st.floats() | st.none(), min_size=1))
def test_what_is_not_a_number_is_never_the_best(losses: list[float | None]) -> None:
    history = [{"epoch": epoch} | ({} if loss is None else {"val/loss": loss}) for epoch, loss in enumerate(losses)]
    finite = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    if finite:
        assert Monitor("val/loss", "min").best(history)["val/loss"] == min(finite)
    else:
        with pytest.raises(ConfigError, match="no epoch has a finite val/loss"):
            Monitor("val/loss", "min").best(history)


def test_a_score_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="there are: train/loss, val/uar"):
        Monitor("val/accuracy", "max").best([{"epoch": 0, "val/uar": 0.5, "train/loss": 1.0, "lr": 0.1}])


@pytest.mark.parametrize("name", ["val/nothing", "seconds", "lr", "epoch", ""])
def test_what_is_no_score_is_not_monitored(name: str) -> None:
    with pytest.raises(ConfigError, match="no score to choose by"):
        Monitor(name, "max")


def test_a_mode_is_min_or_max() -> None:
    with pytest.raises(ConfigError, match="'maximum' is no mode"):
        Monitor("val/uar", "maximum")


@pytest.mark.parametrize(("name", "mode"), [("val/loss", "max"), ("val/uar", "min"), ("train/loss", "max")])
def test_the_worst_epoch_is_not_chosen(name: str, mode: str) -> None:
    with pytest.raises(ConfigError, match=f"the {mode} of {name} is its worst value"):
        Monitor(name, mode)
