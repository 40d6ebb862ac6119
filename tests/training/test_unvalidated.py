"""Training in which nobody validates, by schedules of the step, as a user would choose it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import Command, small

import ser
from ser.training.module import GradientClassifier
from ser.training.schedules import OneCycle

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]

NOBODY = ["protocol=speaker_kfold", "protocol.k=3", "protocol.val_speakers=0", "logger=none"]
RECIPE = [
    "schedule=one_cycle",
    "optimizer=adamw",
    "model.loss.label_smoothing=0.1",
    "model.loss.class_weights=balanced",
]
DUMMY = ["model=dummy", "trainer=cpu", "features.sample_rate=16000"]

Train = Callable[..., Path]


@pytest.fixture(scope="module")
def train(command: Command, workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Train the CNN; its run folder."""

    def run(*overrides: str) -> Path:
        folder = tmp_path_factory.mktemp("unvalidated") / "run"
        command("train.py", *small(workplace), *overrides, f"hydra.run.dir={folder}")
        return folder

    return run


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def last(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return found


@pytest.fixture(scope="module")
def whole(train: Train) -> Path:
    """Four epochs with all that has a state or depends on the step."""
    return train(*NOBODY, *RECIPE, "callbacks=ema", "callbacks.ema.decay=0.7", "trainer.max_epochs=4")


def test_the_last_epoch_counts(whole: Path, command: Command, tmp_path: Path) -> None:
    facts, history = summary(whole), pd.read_csv(whole / "metrics.csv")
    assert (facts["validation"], facts["best_epoch"], facts["n_val"]) == ("none", 3, 0)
    assert facts["val_accuracy"] is facts["val_loss"] is None
    assert history[[name for name in history if name.startswith("val/")]].isna().all(axis=None)
    assert [path.name for path in (whole / "checkpoints").iterdir()] == ["last.ckpt"]
    assert set(pd.read_csv(whole / "split.csv")["part"]) == {"train", "test"}
    said = command("evaluate.py", f"ckpt={whole}", f"out={tmp_path}")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["checkpoint"] == {"file": "last.ckpt", "epoch": 3}
    assert metrics["validation"] == "none"
    assert "unseen in training" in said.stdout
    assert torch.equal(
        ser.load(whole).net.state_dict()["head.0.weight"], last(whole)["state_dict"]["net.head.0.weight"]
    )
    refused = command("evaluate.py", f"ckpt={whole}", "split=val", f"out={tmp_path}", fails=True)
    assert "nobody validated this training" in refused.stderr


def test_the_average_is_what_counts(whole: Path) -> None:
    averaged, newest = (last(whole)[part]["net.head.0.weight"] for part in ("state_dict", "current_model_state"))
    assert not torch.equal(averaged, newest)


def test_the_rate_goes_up_and_down(whole: Path) -> None:
    schedule = OneCycle(peak=2.0, start=0.08, end=8e-6, warm_up=0.3)
    rates = pd.read_csv(whole / "metrics.csv")["lr"].tolist()
    assert rates == pytest.approx([1e-3 * schedule(step, 16) for step in (3, 7, 11, 15)])  # the last of every epoch


def test_stopped_and_resumed_equals_uninterrupted(
    whole: Path, command: Command, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = [*NOBODY, *RECIPE, "callbacks=ema", "callbacks.ema.decay=0.7", "trainer.max_epochs=4"]
    with monkeypatch.context() as patch:
        patch.setattr(GradientClassifier, "on_train_epoch_start", stop_in_the_third, raising=False)
        command("train.py", *small(workplace), *run, f"hydra.run.dir={tmp_path}/run", fails=True)
    assert last(tmp_path / "run")["epoch"] == 1
    refused = command("train.py", f"resume={tmp_path}/run", "trainer.max_epochs=6", fails=True)
    assert "the schedule was made for trainer.max_epochs=4" in refused.stderr
    refused = command("train.py", f"resume={tmp_path}/run", "schedule=cosine", fails=True)
    assert "a resumed run keeps this setting" in refused.stderr
    command("train.py", f"resume={tmp_path}/run")
    one, other = last(whole), last(tmp_path / "run")
    for part in ("state_dict", "current_model_state", "averaging_state"):
        assert all(torch.equal(one[part][name], other[part][name]) for name in one[part])
    histories = [pd.read_csv(folder / "metrics.csv").drop(columns="seconds") for folder in (whole, tmp_path / "run")]
    pd.testing.assert_frame_equal(*histories)


def stop_in_the_third(self: GradientClassifier) -> None:
    if self.current_epoch == 2:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([], "use schedule=steps, cosine, one_cycle or constant"),
        (["schedule=constant", "callbacks=early_stopping"], "early_stopping has no val/loss to follow"),
        (["schedule=steps", "trainer.max_epochs=-1", "trainer.max_time=00:00:01:00"], "how long training takes"),
    ],
)
def test_what_would_wait_for_ever_is_refused(
    chosen: list[str], message: str, command: Command, workplace: Path, tmp_path: Path
) -> None:
    refused = command("train.py", *small(workplace), *NOBODY, *chosen, f"hydra.run.dir={tmp_path}/run", fails=True)
    assert message in refused.stderr
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_the_plateau_may_be_of_the_training_loss(train: Train) -> None:
    follow = ["monitor.name=train/loss", "model.scheduler.patience=0", "+model.scheduler.threshold=0.9"]
    run = train(*NOBODY, *follow, "trainer.max_epochs=3")
    assert pd.read_csv(run / "metrics.csv")["lr"].tolist() == pytest.approx([1e-3, 1e-3, 5e-4])


def test_a_sweep_copes_with_an_absent_score(command: Command, workplace: Path, tmp_path: Path) -> None:
    sweep = ["model=dummy", "protocol.val_fraction=0,0.34", "trainer=cpu"]
    sweep += ["features.sample_rate=16000", f"data.root={workplace / 'corpus'}", f"hydra.sweep.dir={tmp_path}"]
    said = command("train.py", "-m", *sweep)
    table = pd.read_csv(tmp_path / "sweep.csv", dtype={"protocol.val_fraction": str}).set_index("job")
    none = table["protocol.val_fraction"] == "0"
    assert table["val_accuracy"].isna().tolist() == none.tolist() == [True, False]
    assert "nan" not in said.stdout
    assert "best, by the monitored score: 1_dummy" in said.stdout
    command("evaluate.py", f"ckpt={tmp_path}/0_dummy")
    metrics = json.loads((tmp_path / "0_dummy" / "evaluation" / "last-test" / "metrics.json").read_text())
    assert (metrics["validation"], metrics["n_train"]) == ("none", 120)


@pytest.mark.parametrize("chosen", ["schedule=steps", "model.optimizer.lr=0.1"])
def test_an_estimator_has_neither_optimiser_nor_schedule(
    chosen: str, command: Command, workplace: Path, tmp_path: Path
) -> None:
    run = [f"data.root={workplace / 'corpus'}", f"hydra.run.dir={tmp_path}/run"]
    refused = command("train.py", *DUMMY, chosen, *run, fails=True)
    assert "dummy is not trained by gradient descent" in refused.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_validation_is_by_plain_cross_entropy(train: Train) -> None:
    run = train("model.loss.label_smoothing=0.5", "model.optimizer.lr=1e-9", "trainer.max_epochs=1", "logger=none")
    plain = train("model.optimizer.lr=1e-9", "trainer.max_epochs=1", "logger=none")
    one, other = (pd.read_csv(folder / "metrics.csv") for folder in (run, plain))
    assert one["val/loss"][0] == pytest.approx(other["val/loss"][0], abs=1e-6)
    assert one["train/loss"][0] != other["train/loss"][0]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_every_schedule_and_optimiser_trains(optimizer: str, train: Train) -> None:
    schedule = {"adamw": "cosine", "sgd": "constant"}[optimizer]
    run = train(f"optimizer={optimizer}", f"schedule={schedule}", "logger=none")
    assert len(pd.read_csv(run / "metrics.csv")) == 2
