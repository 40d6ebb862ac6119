"""Callbacks, loggers and debugging, as a user would choose them."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import Command, small

from ser.results import figures
from ser.training.module import GradientClassifier

pytestmark = pytest.mark.slow

AVERAGES = {
    "ema": ["callbacks=ema", "callbacks.ema.decay=0.7"],
    "swa": ["callbacks=swa", "callbacks.swa.first_epoch=1"],
}
QUICK = ["trainer.max_epochs=1", "logger=none"]

Train = Callable[..., Path]


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "save", lambda figure, path: [])  # takes longer than all else


@pytest.fixture
def train(command: Command, workplace: Path, tmp_path: Path) -> Train:
    """Train the CNN; its run folder."""

    def run(*overrides: str, folder: str = "run") -> Path:
        command("train.py", *small(workplace), *overrides, f"hydra.run.dir={tmp_path / folder}")
        return tmp_path / folder

    return run


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def assert_same(one: Any, other: Any) -> None:
    """Nested values, to the bit."""
    if isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    else:
        assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("kind", AVERAGES)
def test_averaging_goes_on_as_if_it_had_not_been_stopped(kind: str, train: Train, command: Command) -> None:
    chosen = [*AVERAGES[kind], "logger=none"]
    whole = train(*chosen, "trainer.max_epochs=4", folder="whole")
    parts = train(*chosen, "trainer.max_epochs=2", folder="parts")
    command("train.py", f"resume={parts}", "trainer.max_epochs=4")
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (whole, parts))
        for part in ("state_dict", "current_model_state", "averaging_state"):
            assert_same(one[part], other[part])
    histories = [pd.read_csv(run / "metrics.csv").drop(columns="seconds") for run in (whole, parts)]
    pd.testing.assert_frame_equal(*histories)


@pytest.mark.parametrize("kind", AVERAGES)
def test_what_is_validated_is_what_is_evaluated(kind: str, train: Train, command: Command) -> None:
    run = train(*AVERAGES[kind], "trainer.max_epochs=3", "logger=none", "model.optimizer.lr=0.01")
    history = pd.read_csv(run / "metrics.csv")
    for name, epoch in {"best": summary(run)["best_epoch"], "last": 2}.items():
        command("evaluate.py", f"ckpt={run}/checkpoints/{name}.ckpt", "split=val")
        metrics = json.loads((run / "evaluation" / f"{name}-val" / "metrics.json").read_text())
        for score in ("accuracy", "uar", "macro_f1"):
            assert metrics[score] == pytest.approx(history.loc[epoch, f"val/{score}"])
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    averaged, newest = (last[part]["net.head.0.weight"] for part in ("state_dict", "current_model_state"))
    assert not torch.equal(averaged, newest)


def test_early_stopping_stops_and_stays_stopped(train: Train, command: Command) -> None:
    stopping = ["callbacks=early_stopping", "callbacks.early_stopping.patience=1", "model.optimizer.lr=1e-9"]
    score = ["monitor.name=val/accuracy", "monitor.mode=max"]  # at such a rate it stays
    run = train(*stopping, *score, "trainer.max_epochs=9", "logger=none")
    assert summary(run)["epochs"] == 2
    before = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    command("train.py", f"resume={run}")
    assert summary(run)["epochs"] == 2
    assert len(pd.read_csv(run / "metrics.csv")) == 2
    after = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert_same(before["state_dict"], after["state_dict"])
    assert before["global_step"] == after["global_step"]


@pytest.mark.parametrize("name", ["val/uar", "val/accuracy"])
def test_the_best_epoch_is_that_of_the_chosen_score(name: str, train: Train) -> None:
    run = train(f"monitor.name={name}", "monitor.mode=max", "trainer.max_epochs=4", "logger=none")
    history = pd.read_csv(run / "metrics.csv")
    best = int(history[name].idxmax())
    assert summary(run)["best_epoch"] == best
    assert summary(run)[f"val_{name.removeprefix('val/')}"] == pytest.approx(history[name].max())
    assert summary(run)["monitor"] == {"name": name, "mode": "max"}
    assert torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] == best
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 3


@pytest.mark.parametrize(
    ("logger", "written"), [("csv", ["csv/metrics.csv"]), ("tensorboard", ["tensorboard/events*"]), ("none", [])]
)
def test_loggers_write_into_the_run_folder(logger: str, written: list[str], train: Train) -> None:
    run = train("trainer.max_epochs=1", f"logger={logger}")
    folders = {path.name for path in run.iterdir() if path.is_dir()} - {".hydra", "checkpoints"}
    assert folders == {pattern.split("/")[0] for pattern in written}
    assert all(list(run.glob(pattern)) for pattern in written)
    assert len(pd.read_csv(run / "metrics.csv")) == 1
    if logger == "csv":
        logged = pd.read_csv(run / "csv" / "metrics.csv")
        assert {"val/loss", "val/uar", "train/loss"} <= set(logged)


@pytest.mark.parametrize("logger", ["wandb", "mlflow"])
def test_a_logger_without_its_package(logger: str, command: Command, workplace: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec(logger):
        pytest.skip("it is installed")
    run = f"hydra.run.dir={tmp_path}/run"
    refused = command("train.py", *small(workplace), f"logger={logger}", run, fails=True)
    assert f'pip install "ser[{logger}]"' in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize("model", ["cnn", "decision_tree"])
def test_one_batch_says_that_it_is_no_whole_run(model: str, command: Command, workplace: Path, tmp_path: Path) -> None:
    quick = ["trainer=cpu", f"model={model}", "features.sample_rate=16000", f"data.root={workplace / 'corpus'}"]
    quick += ["input.frames=32"] if model == "cnn" else []
    command("train.py", *quick, "debug=one_batch", f"hydra.run.dir={tmp_path}/run")
    assert summary(tmp_path / "run")["limited_by"] == ["trainer.fast_dev_run"]
    assert summary(tmp_path / "run")["epochs"] == 1
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_it_is_the_same_two_batches_that_are_learnt_by_heart(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    step = GradientClassifier.training_step

    def noting(self: GradientClassifier, rows: torch.Tensor, batch_idx: int) -> torch.Tensor:
        seen.append(rows.tolist())
        return step(self, rows, batch_idx)

    monkeypatch.setattr(GradientClassifier, "training_step", noting)
    run = train("debug=overfit", "trainer.max_epochs=3", "logger=none")
    assert seen[0] != seen[1]
    assert seen == seen[:2] * 3
    assert summary(run)["limited_by"] == ["trainer.overfit_batches"]


def test_the_profile_is_in_the_run_folder(train: Train) -> None:
    run = train("debug=profiler", *QUICK)
    assert "run_training_epoch" in (run / "fit-profile.txt").read_text()
    assert summary(run)["limited_by"] is None


@pytest.mark.parametrize(
    ("setting", "limited"),
    [
        ("trainer.limit_train_batches=1", ["trainer.limit_train_batches"]),
        ("trainer.limit_train_batches=1.0", None),
        ("trainer.limit_val_batches=0.5", ["trainer.limit_val_batches"]),
    ],
)
def test_a_part_of_an_epoch_is_told(setting: str, limited: list[str] | None, train: Train) -> None:
    assert summary(train(setting, *QUICK))["limited_by"] == limited


def test_an_estimator_has_no_weights_to_average(command: Command, workplace: Path, tmp_path: Path) -> None:
    run = [f"data.root={workplace / 'corpus'}", f"hydra.run.dir={tmp_path}/run"]
    for kind in AVERAGES:
        refused = command("train.py", "model=decision_tree", "trainer=cpu", f"callbacks={kind}", *run, fails=True)
        assert "decision_tree has no weights to average" in refused.stderr
