"""Speakers who are known by own recordings, from training to `ser predict`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Command, small

import ser
from ser.cli import main
from ser.errors import CheckpointError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]


@pytest.fixture(scope="module")
def run(command: Command, workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("enrolled") / "run"
    command("train.py", *small(workplace), "enrol=clips", f"hydra.run.dir={folder}")
    return folder


def metrics(run: Path, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "evaluation" / name / "metrics.json").read_text())
    return found


def test_scores_say_by_what_speakers_were_known(run: Path, command: Command) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert summary["validation"] == "seen speakers, enrolled by all own recordings (transductive)"
    said = command("evaluate.py", f"ckpt={run}")
    assert "unseen in training, enrolled by 8 own recordings" in said.stdout
    found = metrics(run, "best-test-enrol-8")
    assert (found["n_utterances"], found["enrolment"]) == (60 - 2 * 8, "8 own recordings")
    command("evaluate.py", f"ckpt={run}", "enrol.clips=3", "enrol.seed=2")
    assert metrics(run, "best-test-enrol-3-seed-2")["n_utterances"] == 60 - 2 * 3
    command("evaluate.py", f"ckpt={run}", "enrol=all")
    assert metrics(run, "best-test-enrol-all")["enrolment"] == "all own recordings (transductive)"


def test_validation_scores_are_those_of_training(run: Path, command: Command) -> None:
    command("evaluate.py", f"ckpt={run}", "split=val")
    summary = json.loads((run / "summary.json").read_text())
    assert metrics(run, "best-val-enrol-all")["accuracy"] == pytest.approx(summary["val_accuracy"])


def test_what_was_trained_so_is_used_so(run: Path, command: Command, workplace: Path, tmp_path: Path) -> None:
    refused = command("evaluate.py", f"ckpt={run}", "enrol=none", fails=True)
    assert "the model was trained with enrolment" in refused.stderr
    command("train.py", *small(workplace), "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/plain")
    refused = command("evaluate.py", f"ckpt={tmp_path}/plain", "enrol=clips", fails=True)
    assert "the model was trained without enrolment" in refused.stderr
    with pytest.raises(CheckpointError, match="without enrolment"):
        ser.load(tmp_path / "plain").enrol([str(workplace / "corpus" / "Actor_20")])


def test_a_speaker_gives_recordings_to_predict(
    run: Path, command: Command, workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = workplace / "corpus" / "Actor_20"
    assert main(["predict", str(own), "--ckpt", str(run)]) == 2
    assert "--enrol FOLDER" in capsys.readouterr().err
    assert main(["predict", str(own), "--ckpt", str(run), "--enrol", str(own), "--out", f"{tmp_path}/p.csv"]) == 0
    command("evaluate.py", f"ckpt={run}", "enrol=all", "test_speakers=[20]", f"out={tmp_path}/scored")
    scored = pd.read_csv(tmp_path / "scored" / "test_results.csv", index_col="path")
    told = pd.read_csv(tmp_path / "p.csv", index_col="path")
    columns = [name for name in told if name.startswith("score_")]
    np.testing.assert_allclose(told[columns], scored.loc[told.index, columns], atol=1e-5)
