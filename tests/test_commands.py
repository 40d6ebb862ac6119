"""The two commands end to end, as a user would type them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import Command, small

from ser.corpora.ravdess import EMOTIONS

pytestmark = pytest.mark.slow

PICTURES = ("confusion_matrix", "per_emotion", "per_speaker")


@pytest.fixture(scope="module")
def run(command: Command, workplace: Path) -> Path:
    """A finished run, evaluated on its test speakers."""
    folder = workplace / "run"
    command("train.py", *small(workplace), f"hydra.run.dir={folder}")
    command("evaluate.py", f"ckpt={folder}/checkpoints/best.ckpt")
    return folder


def test_a_run_folder_says_everything(run: Path) -> None:
    for name in (
        ".hydra/config.yaml",
        "train.log",
        "environment.txt",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    ):
        assert (run / name).stat().st_size
    assert (run / "learning_curves.png").stat().st_size
    assert list(run.glob("tensorboard/events*"))
    summary = json.loads((run / "summary.json").read_text())
    parts = pd.read_csv(run / "split.csv")["part"].value_counts()
    assert (summary["n_train"], summary["n_val"]) == (parts["train"], parts["val"])
    assert parts["test"] == 60
    assert (summary["model"], summary["protocol"], summary["seed"]) == ("cnn", "reference", 1)
    assert summary["overlap"]["train_val"] == {"speakers": 4, "statements": 2, "twins": 0}
    assert summary["overlap"]["train_test"]["speakers"] == 0
    assert summary["validation"] == "seen speakers"
    history = pd.read_csv(run / "metrics.csv")
    best = history.loc[history["val/loss"].idxmin()]
    assert summary["best_epoch"] == best["epoch"]
    assert summary["val_loss"] == pytest.approx(best["val/loss"])
    assert summary["val_uar"] == pytest.approx(best["val/uar"])
    assert len(history) == 2
    assert {"val_accuracy", "train_seconds", "split_fingerprint", "versions"} <= set(summary)


def test_the_log_names_what_is_missing_and_where_the_score_comes_from(run: Path) -> None:
    log = (run / "train.log").read_text()
    assert "180 utterances of 6 speakers" in log
    assert "test speakers 22, 23, 24 absent: the test is on the others" in log
    assert "precision 32-true" in log


def test_evaluation_writes_tables_and_pictures(run: Path) -> None:
    folder = run / "evaluation" / "best-test"
    results = pd.read_csv(folder / "test_results.csv", dtype={"speaker": str})
    assert sorted(set(results["speaker"])) == ["20", "21"]
    assert [f"score_{emotion}" for emotion in EMOTIONS] == list(results.columns[-8:])
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx(results["correct"].mean())
    assert (metrics["n_utterances"], metrics["n_speakers"]) == (60, 2)
    assert metrics["protocol"] == "reference"
    assert metrics["speakers"] == "unseen in training"
    assert metrics["shared_with_training"]["speakers"] == 0
    for name in (f"{picture}.{kind}" for picture in PICTURES for kind in ("png", "pdf")):
        assert (folder / name).stat().st_size
    assert len(pd.read_csv(folder / "per_emotion.csv")) == 8
    assert len(pd.read_csv(folder / "per_speaker.csv")) == 2


def test_validation_scores_are_those_of_training(run: Path, command: Command, workplace: Path, tmp_path: Path) -> None:
    moved = shutil.move(shutil.copytree(run, tmp_path / "copy"), tmp_path / "elsewhere")
    said = command("evaluate.py", f"ckpt={moved}/checkpoints/best.ckpt", "split=val", f"out={tmp_path / 'out'}")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    summary = json.loads((run / "summary.json").read_text())
    for score in ("accuracy", "uar", "macro_f1"):
        assert metrics[score] == pytest.approx(summary[f"val_{score}"])
    assert "seen in training" in said.stdout
    assert summary["split_fingerprint"] in said.stdout


def test_same_seed_same_bits(run: Path, command: Command, workplace: Path, tmp_path: Path) -> None:
    command("train.py", *small(workplace), f"hydra.run.dir={tmp_path}/again")
    one, other = (weights(folder / "checkpoints" / "last.ckpt") for folder in (run, tmp_path / "again"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_fitted_once_has_no_learning_curves(command: Command, workplace: Path, tmp_path: Path) -> None:
    settings = [name for name in small(workplace) if "frames" not in name and "sample_rate" not in name]
    command("train.py", *settings, "model=dummy", f"hydra.run.dir={tmp_path}/run")
    assert (tmp_path / "run" / "summary.json").exists()
    assert not list((tmp_path / "run").glob("learning_curves*"))


def test_a_run_is_never_written_over(run: Path, command: Command, workplace: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != "train.log"}
    refused = command("train.py", *small(workplace), f"hydra.run.dir={run}", fails=True)
    assert "a run is in this folder already" in refused.stderr
    assert str(run / "checkpoints" / "last.ckpt") in refused.stderr
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != "train.log"} == before


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["split=dev"], "there is no part 'dev' to score"),
        (["test_speakers=[1,20]"], "speakers 1 were trained on or validated on"),
        (["test_speakers=[24]"], "no utterance of the test speakers 24"),
        (["ckpt=no/such.ckpt"], "there is no such checkpoint"),
        (["ckpt=5"], "there is no such checkpoint"),
        (["test_speakers=20"], "give test_speakers=[20]"),
        (["trust=mine"], "give trust=[mine]"),
    ],
)
def test_what_evaluation_refuses(
    run: Path, command: Command, tmp_path: Path, overrides: list[str], message: str
) -> None:
    ckpt = [] if overrides[0].startswith("ckpt") else [f"ckpt={run}/checkpoints/best.ckpt"]
    refused = command("evaluate.py", *ckpt, *overrides, f"out={tmp_path}", fails=True)
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(tmp_path.iterdir())


def test_a_sweep_goes_on_after_a_failed_run(command: Command, workplace: Path, tmp_path: Path) -> None:
    sweep = [f"hydra.sweep.dir={tmp_path}", "trainer.max_epochs=1", "protocol.val_fraction=7,0.34"]
    failed = command("train.py", "-m", *small(workplace), *sweep, fails=True)
    assert "7 is not a fraction" in failed.stdout + failed.stderr
    assert (tmp_path / "1_cnn" / "summary.json").exists()
    assert "1 of 2 jobs failed" in failed.stderr
    table = pd.read_csv(tmp_path / "sweep.csv", dtype={"protocol.val_fraction": str}, keep_default_na=False)
    assert table["protocol.val_fraction"].tolist() == ["7", "0.34"]
    assert [bool(error) for error in table["error"]] == [True, False]
    assert "7 is not a fraction" in table["error"][0]
    assert "best, by the monitored score: 1_cnn" in failed.stdout


def test_a_sweep_loses_nothing_of_another(command: Command, workplace: Path, tmp_path: Path) -> None:
    place = [f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=${model.name}/${batch_size}", "trainer.max_epochs=1"]
    command("train.py", "-m", *small(workplace), *place, "batch_size=32,0", fails=True)
    before = (tmp_path / "cnn" / "32" / ".hydra" / "overrides.yaml").read_text()
    failed = command("train.py", "-m", *small(workplace), *place, "batch_size=32,16", fails=True)
    assert "1 of 2 jobs failed" in failed.stderr
    table = pd.read_csv(tmp_path / "sweep.csv", keep_default_na=False)
    assert table["folder"].tolist() == ["cnn/32", "cnn/16"]
    assert ["a run is in this folder already" in error for error in table["error"]] == [True, False]
    assert (tmp_path / "cnn" / "32" / ".hydra" / "overrides.yaml").read_text() == before


def weights(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return state
