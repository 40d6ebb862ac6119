"""Runs with copies and masks: what they are trained on, that they go on exactly, that nothing else knows of copies."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import Command, small
from test_commands import weights

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]


@pytest.mark.parametrize("choice", ["strong", "[speed,vtlp]"])
def test_a_resumed_run_hears_the_same(choice: str, command: Command, workplace: Path, tmp_path: Path) -> None:
    settings = [*small(workplace), f"augment={choice}"]
    command("train.py", *settings, "trainer.max_epochs=3", f"hydra.run.dir={tmp_path}/whole")
    command("train.py", *settings, "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/parts")
    command("train.py", f"resume={tmp_path}/parts", "trainer.max_epochs=3")
    one, other = (weights(tmp_path / run / "checkpoints" / "last.ckpt") for run in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    histories = [pd.read_csv(tmp_path / run / "metrics.csv").drop(columns="seconds") for run in ("whole", "parts")]
    pd.testing.assert_frame_equal(*histories)
    command("evaluate.py", f"ckpt={tmp_path}/whole", "split=val")
    metrics = json.loads((tmp_path / "whole" / "evaluation" / "best-val" / "metrics.json").read_text())
    summary = json.loads((tmp_path / "whole" / "summary.json").read_text())
    assert metrics["accuracy"] == pytest.approx(summary["val_accuracy"])


def test_an_estimator_is_fitted_on_all_copies(
    command: Command, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ser.models.estimator import Estimator

    fitted, fit = [], Estimator.fit

    def listening(self: Estimator, x: torch.Tensor, truth: torch.Tensor, *others: object) -> None:
        fitted.append((x, truth))
        fit(self, x, truth, *others)

    monkeypatch.setattr(Estimator, "fit", listening)
    settings = ["model=decision_tree", "augment=speed", "trainer=cpu", f"data.root={workplace / 'corpus'}"]
    command("train.py", *settings, f"hydra.run.dir={tmp_path}/run")
    ((x, truth),) = fitted
    assert len(x) == len(truth) == 3 * 79
    assert torch.equal(truth.view(3, 79), truth[:79].expand(3, 79))
    assert (x[:79, -6] != x[79:158, -6]).all()  # the duration of the clip
    assert "fitted on" not in (tmp_path / "run" / "train.log").read_text()
    assert len(pd.read_csv(tmp_path / "run" / "split.csv")) == 180
    command("evaluate.py", f"ckpt={tmp_path}/run")
