"""An estimator that somebody changed is refused with a CheckpointError, or what was put in it does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
import torch
from sklearn.tree import DecisionTreeClassifier

from ser.errors import CheckpointError
from ser.models.estimator import Estimator
from ser.models.skops_check import cleaned
from tests.models.hostile import CLASSES, DIM, ESTIMATORS, ROWS, call, data, fitted
from tests.models.hostile_cases import CASES, HARMLESS

pytestmark = pytest.mark.slow  # hundreds of small ones

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    """What came of each case, by its name, in a process that may crash: then the rest is lacking."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.hostile"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    lacking = [name for name in CASES if name not in said]
    assert not lacking, f"ended with {done.returncode} at: {lacking[0]}\n{done.stderr[-2000:]}"
    return said


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_nothing_that_somebody_changed_does_harm(case: str, outcomes: dict[str, str]) -> None:
    if case in HARMLESS:
        assert outcomes[case] == "used"
    else:
        assert outcomes[case].startswith("refused: ")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_is_not_changed_is_used(name: str) -> None:
    assert call(fitted(name)) == "used"


def test_a_state_is_taken_where_it_stands() -> None:
    x, _ = data()
    content, names = cleaned(CASES["a state in another's place"]())
    again = skops.io.loads(content, trusted=names)
    expected = ESTIMATORS["tree"].fit(*data()).predict_proba(x)
    assert np.array_equal(again.predict_proba(x), expected)


def test_random_states_and_processes_are_taken_out() -> None:
    content, names = cleaned(fitted("mlp"))
    assert skops.io.loads(content, trusted=names)._random_state is None
    content, names = cleaned(CASES["a hundred thousand processes"]())
    assert skops.io.loads(content, trusted=names).n_jobs is None


@pytest.mark.parametrize(
    "state",
    [
        {"n_fitted": -CLASSES},
        {"n_fitted": 0},
        {"n_fitted": 1.5},
        {"n_fitted": "60"},
        {"n_fitted": True},
        {"skops": b"text"},
        {"skops": torch.zeros(3, 3, dtype=torch.uint8)},
        {"skops": torch.zeros(9)},
        {"skops": torch.zeros(1, dtype=torch.uint8).expand(2**44)},
    ],
)
def test_a_state_that_training_does_not_write(state: dict[str, Any]) -> None:
    assert call(fitted("linear"), state) == "refused: the estimator in this checkpoint is not as training writes it"


@pytest.mark.parametrize("lacking", ["skops", "n_fitted"])
def test_a_state_that_lacks_something(lacking: str) -> None:
    state: dict[str, Any] = {"skops": torch.zeros(0, dtype=torch.uint8), "n_fitted": ROWS}
    del state[lacking]
    with pytest.raises(CheckpointError, match="not as training writes it"):
        Estimator((DIM, 1), CLASSES, DecisionTreeClassifier()).set_extra_state(state)
