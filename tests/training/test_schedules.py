from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
import yaml
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.build import build
from ser.errors import ConfigError
from ser.training.schedules import Constant, Cosine, OneCycle, Schedule, Steps

CONF = ROOT / "conf" / "schedule"


def chosen(path: Path) -> Schedule:
    """As a YAML's numbers are read by Hydra."""
    values = {key: float(of) if isinstance(of, str) and key[0] != "_" else of for key, of in read(path).items()}
    return build(values)  # type: ignore[no-any-return]


def read(path: Path) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(path.read_text())
    return found


CHOICES = {path.stem: chosen(path) for path in CONF.glob("*.yaml") if "_partial_" not in read(path)}


def rates(schedule: Schedule, total: int) -> list[float]:
    return [schedule(step, total) for step in range(total)]


@settings(deadline=None)
@given(st.sampled_from(sorted(CHOICES)), st.integers(1, 3000))
def test_every_rate_is_positive_and_no_higher_than_its_peak(name: str, total: int) -> None:
    schedule = CHOICES[name]
    peak = schedule.peak if isinstance(schedule, OneCycle) else 1.0
    found = rates(schedule, total)
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in found)
    assert min(found) == found[-1] or name == "constant" or total < 40  # of a few steps, warm-up has the first


def test_the_course_of_each_choice_stays_as_it_is() -> None:
    found = {
        name: [round(schedule(step, 100), 4) for step in (0, 2, 29, 60, 75, 99)] for name, schedule in CHOICES.items()
    }
    assert found == {
        "constant": [1, 1, 1, 1, 1, 1],
        "steps": [1, 1, 1, 0.5, 0.25, 0.125],
        "cosine": [0.1667, 0.5, 0.8506, 0.3773, 0.1614, 0.0003],
        "one_cycle": [0.08, 0.1024, 2.0, 1.1786, 0.5261, 0.0],
    }


@pytest.mark.slow
@pytest.mark.parametrize("total", [2, 7, 100])
def test_one_cycle_is_that_of_torch(total: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1e-3)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=total, cycle_momentum=False)
    ours = OneCycle(peak=2.0, start=0.08, end=8e-6, warm_up=0.3)
    for step in range(total):
        assert 1e-3 * ours(step, total) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an optimiser that has not stepped
            theirs.step() if step < total - 1 else None


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 0.99), max_size=4), st.integers(1, 200))
def test_steps_only_fall(at: list[float], total: int) -> None:
    found = rates(Steps(at, 0.5), total)
    assert found == sorted(found, reverse=True)
    assert found[0] == 1.0 or min(at, default=1) * total <= 0
    assert found[-1] == 0.5 ** sum(total - 1 >= share * total for share in at)


@settings(deadline=None)
@given(st.floats(0, 0.99), st.integers(2, 200))
def test_cosine_rises_then_falls(warm_up: float, total: int) -> None:
    found = rates(Cosine(warm_up), total)
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert top <= warm_up * total + 1
    assert Constant()(0, total) == 1


@pytest.mark.parametrize(
    "make", [lambda: Steps([1.5], 0.5), lambda: Cosine(1.0), lambda: OneCycle(2.0, 0.1, 0.0, -0.1)]
)
def test_what_is_no_share_is_refused(make: object) -> None:
    with pytest.raises(ConfigError, match=r"no share of the training"):
        make()  # type: ignore[operator]
