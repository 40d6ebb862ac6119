"""Settings that can't work: refused at once, shortly, by the name of the key."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from conftest import Command, small

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("trainer.max_epochs=3.5", "trainer.max_epochs: 3.5 is not accepted"),
        ("batch_size=abc", "batch_size: 'abc' is not accepted"),
        ("batch_size=0", "there is no batch of 0"),
        ("seed=1.5", "seed: 1.5 is not accepted"),
        ("seed=-1", "there is no seed -1"),
        ("seed=4294967296", "there is no seed 4294967296"),
        ("input.framez=3", "Could not override 'input.framez'"),
        ("+input.framez=3", "input.framez: Input has no such parameter; did you mean 'frames'?"),
        ("model.net.dropuot=0.1", "Could not override 'model.net.dropuot'"),
        ("+model.net.dropuot=0.1", "model.net.dropuot: SeparableCNN has no such parameter; did you mean"),
        ("protocol.test_speakers=5", "protocol.test_speakers: 5 is not accepted"),
        ("trainer.no_such=1", "trainer.no_such: Trainer has no such parameter"),
        ("trainer.precision=7", "trainer.precision: 7 is not accepted"),
        ("trainer.logger=true", "use the group logger="),
        ("trainer.callbacks=[]", "use the group callbacks="),
        ("trainer.enable_checkpointing=false", "a run without checkpoints can't be evaluated"),
        ("monitor.mode=up", "'up' is no mode"),
        ("monitor.name=val/nothing", "use val/loss, val/accuracy, val/uar, val/macro_f1"),
        ("features.hop_length=0", "features.hop_length"),
        ("features.n_mels=0", "features.n_mels"),
        ("features.sample_rate=-1", "features.sample_rate"),
        ("input.frames=0", "no input has 0 frames"),
        ("input.place=top", "input.place: 'top' is not accepted"),
        ("cache.dir=null", "cache.dir: None is not accepted"),
        ("trust=mine", "trust: 'mine' is not accepted"),
        ("+sede=1", "there is no such key; did you mean 'seed'?"),
        ("+logger=wandb", "logger"),
        ("protocol=[]", "nothing is chosen for protocol"),
        ("resume=no/such.ckpt", "there is no such checkpoint"),
        (
            "+callbacks.lr._target_=lightning.pytorch.callbacks.Nope",
            "there is no class or function lightning.pytorch.callbacks.Nope",
        ),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_done(
    setting: str, message: str, command: Command, workplace: Path, tmp_path: Path
) -> None:
    key = setting.lstrip("+").split("=")[0]
    others = [one for one in small(workplace) if not one.startswith(f"{key}=")]
    elsewhere = [] if key == "cache.dir" else [f"cache.dir={tmp_path}/cache"]
    refused = command("train.py", *others, *elsewhere, setting, f"hydra.run.dir={tmp_path}/run", fails=True)
    said = refused.stderr.strip()
    assert message in said
    assert key in said
    assert len(said.splitlines()[0]) <= 150
    assert "Traceback" not in refused.stdout + refused.stderr
    assert not (tmp_path / "cache").exists()
    assert {path.name for path in tmp_path.glob("run/*")} <= {".lock"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.labels=[nosuch]", "no emotion of the corpus is called nosuch"),
        ("data.labels=calm", "'calm' is neither a mapping nor a list"),
        ("data.on_problem=ignore", "use refuse or leave_out"),
        ("data.root=no/where", "no/where"),
        ("protocol.val_fraction=0", "nobody validates"),
        ("model.net.dropout=2", "dropout probability has to be between 0 and 1"),
        ("model.optimizer.lr=-1", "Invalid learning rate: -1"),
        ("trainer.max_epochs=0", "train at least one epoch"),
        ("logger=none +callbacks.lr._target_=lightning.pytorch.callbacks.LearningRateMonitor", "that has no logger"),
    ],
)
def test_what_only_the_corpus_or_lightning_can_refuse_is_told_as_shortly(
    setting: str, message: str, command: Command, workplace: Path, tmp_path: Path
) -> None:
    quick = [*small(workplace), "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/run"]
    refused = command("train.py", *quick, *setting.split(), fails=True)
    assert message in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
    command("train.py", *quick)  # such a folder is not taken by a run
    assert (tmp_path / "run" / "summary.json").exists()


def test_labels_are_checked_before_features_are_computed(command: Command, workplace: Path, tmp_path: Path) -> None:
    cache = f"cache.dir={tmp_path}/cache"
    quick = [*small(workplace), cache, f"hydra.run.dir={tmp_path}/run"]
    command("train.py", *quick, "data.labels=[nosuch]", fails=True)
    assert not (tmp_path / "cache").exists()


def test_an_estimator_has_no_training_loss_to_choose_by(command: Command, workplace: Path, tmp_path: Path) -> None:
    quick = ["model=decision_tree", "trainer=cpu", f"data.root={workplace / 'corpus'}", f"hydra.run.dir={tmp_path}/run"]
    refused = command("train.py", *quick, "monitor.name=train/loss", fails=True)
    assert "could not find the monitored key" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_any_callback_and_any_key_of_lightnings_is_taken(command: Command, workplace: Path, tmp_path: Path) -> None:
    added = ["+callbacks.lr._target_=lightning.pytorch.callbacks.LearningRateMonitor", "logger=csv"]
    clipped = "trainer.gradient_clip_val=1.0"
    command("train.py", *small(workplace), "trainer.max_epochs=1", *added, clipped, f"hydra.run.dir={tmp_path}/run")
    logged = pd.read_csv(tmp_path / "run" / "csv" / "metrics.csv")
    assert set(logged["lr-Adam"].dropna()) == {0.001}
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["limited_by"] is None


def test_scores_of_another_epoch_are_nowhere(command: Command, workplace: Path, tmp_path: Path) -> None:
    settings = ["trainer.max_epochs=5", "trainer.check_val_every_n_epoch=2", "model.scheduler.patience=0"]
    command("train.py", *small(workplace), *settings, "seed=4294967295", f"hydra.run.dir={tmp_path}/run")
    history = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert history["val/loss"].notna().tolist() == [False, True, False, True, False]
    assert history["train/loss"].notna().all()
    assert history["lr"].diff()[2] == 0  # nothing new was seen by the scheduler


def test_double_precision_trains_and_is_evaluated(command: Command, workplace: Path, tmp_path: Path) -> None:
    settings = ["trainer.precision=64-true", "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/run"]
    command("train.py", *small(workplace), *settings)
    command("evaluate.py", f"ckpt={tmp_path}/run", "split=val")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    metrics = json.loads((tmp_path / "run" / "evaluation" / "best-val" / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx(summary["val_accuracy"])


def test_a_resumed_run_is_not_cut_short(command: Command, workplace: Path, tmp_path: Path) -> None:
    command("train.py", *small(workplace), f"hydra.run.dir={tmp_path}/run")
    refused = command("train.py", f"resume={tmp_path}/run", "trainer.max_epochs=1", fails=True)
    assert "the run to resume has 2 epochs already" in refused.stderr


def test_a_speaker_that_is_not_there_is_named(command: Command, workplace: Path, tmp_path: Path) -> None:
    settings = ["protocol.dev_speakers=[1,2,99]", "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/run"]
    said = command("train.py", *small(workplace), *settings)
    assert "protocol.dev_speakers: the corpus has no speaker 99" in said.stdout


def test_nothing_is_fetched_to_a_place_that_was_mistyped(command: Command, workplace: Path, tmp_path: Path) -> None:
    settings = [name for name in small(workplace) if "data.root" not in name]
    for corpus in ("ravdess", "synthetic"):
        refused = command("train.py", *settings, f"data={corpus}", f"data.root={tmp_path}/tpyo", fails=True)
        assert f"{tmp_path}/tpyo" in refused.stderr
    assert not (tmp_path / "tpyo").exists()


def test_ones_own_experiment_from_ones_own_folder(command: Command, workplace: Path, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 7\ntrainer:\n  max_epochs: 1\n")
    settings = [name for name in small(workplace) if "max_epochs" not in name]
    command("train.py", f"--config-dir={tmp_path}", "experiment=mine", *settings, f"hydra.run.dir={tmp_path}/run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["seed"], summary["epochs"]) == (7, 1)


def test_problems_are_counted_by_kind_and_listed_in_a_file(command: Command, workplace: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpora"
    corpus.mkdir()
    (corpus / "ravdess").symlink_to(workplace / "corpus")
    for number in range(40):  # as of another corpus in the same folder
        (corpus / f"OAF_back_{number}.wav").touch()
    settings = [name for name in small(workplace) if "data.root" not in name]
    settings += [f"data.root={corpus}", f"hydra.run.dir={tmp_path}/run"]
    refused = command("train.py", *settings, fails=True)
    assert "problems in the corpus: 40" in refused.stderr
    assert refused.stderr.count("is no name of RAVDESS") == 5
    assert "and 35 more like these" in refused.stderr
    assert f"all:   {tmp_path}/run/problems.txt" in refused.stderr
    assert len((tmp_path / "run" / "problems.txt").read_text().splitlines()) == 40
    said = command("train.py", *settings, "data.on_problem=leave_out", "trainer.max_epochs=1")
    assert said.stdout.count("is no name of RAVDESS") == 5
