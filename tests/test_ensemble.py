"""Several checkpoints scored together, as a user would ask for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Command, small

from ser.evaluation import checkpoints

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]

DUMMY = ["model=dummy", "trainer=cpu", "features.sample_rate=16000"]


@pytest.fixture(scope="module")
def runs(command: Command, workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep of two seeds of the CNN, in `sweep`, and `dummy`, in `dummy`."""
    folder = tmp_path_factory.mktemp("runs")
    brief = ["trainer.max_epochs=1", "logger=none", "seed=1,2", f"hydra.sweep.dir={folder}/sweep"]
    command("train.py", "-m", *small(workplace), *brief)
    command("train.py", *DUMMY, f"data.root={workplace / 'corpus'}", f"hydra.run.dir={folder}/dummy")
    return folder


def scores(folder: Path) -> Any:
    table = pd.read_csv(folder / "test_results.csv")
    return table[[name for name in table if name.startswith("score_")]].to_numpy()


def test_its_scores_are_the_mean_of_its_members(runs: Path, command: Command, tmp_path: Path) -> None:
    members = [str(runs / "sweep" / "0_cnn"), str(runs / "sweep" / "1_cnn"), str(runs / "dummy")]
    for number, member in enumerate(members):
        command("evaluate.py", f"ckpt={member}", f"out={tmp_path}/{number}")
    command("evaluate.py", f"ckpt=[{','.join(members)}]", f"out={tmp_path}/all")
    np.testing.assert_allclose(scores(tmp_path / "all"), sum(scores(tmp_path / str(i)) for i in range(3)) / 3)
    metrics = json.loads((tmp_path / "all" / "metrics.json").read_text())
    assert [of["file"] for of in metrics["checkpoint"]] == [f"{member}/checkpoints/best.ckpt" for member in members]
    assert metrics["model"] == ["cnn", "cnn", "dummy"]
    assert metrics["features"] == ["mel", "mel", "functionals"]
    assert metrics["seed"] == [1, 2, 1]
    assert (metrics["protocol"], metrics["part"], metrics["n_utterances"]) == ("reference", "test", 60)
    assert metrics["speakers"] == "unseen in training"


def test_the_folder_of_a_sweep_is_all_of_its_runs(runs: Path, command: Command, tmp_path: Path) -> None:
    command("evaluate.py", f"ckpt={runs}/sweep", f"out={tmp_path}/sweep")
    metrics = json.loads((tmp_path / "sweep" / "metrics.json").read_text())
    assert metrics["seed"] == [1, 2]
    names = ["2_cnn", "10_cnn", "0_mlp"]
    for name in names:
        (tmp_path / "order" / name / "checkpoints").mkdir(parents=True)
        (tmp_path / "order" / name / "checkpoints" / "last.ckpt").touch()
    assert [Path(run).name for run in checkpoints(str(tmp_path / "order"))] == ["0_mlp", "2_cnn", "10_cnn"]


def test_what_does_not_belong_together_is_refused(
    runs: Path, command: Command, workplace: Path, tmp_path: Path
) -> None:
    one, dummy = runs / "sweep" / "0_cnn", runs / "dummy"
    data = f"data.root={workplace / 'corpus'}"
    fold = ["protocol=speaker_kfold", "protocol.k=3", "protocol.val_speakers=1"]
    command("train.py", *DUMMY, data, *fold, f"hydra.run.dir={tmp_path}/fold")
    command("train.py", *DUMMY, data, "data.labels=[happy,sad]", f"hydra.run.dir={tmp_path}/two")
    out = f"out={tmp_path}/out"
    for ckpt, more, message in [
        (f"[{one},{dummy}]", [], "give out=FOLDER"),
        (f"[{one},{one}]", [out], "each checkpoint has to be named once"),
        ("[]", [out], "each checkpoint has to be named once"),
        (f"[{one},{tmp_path}/fold]", [out], "do not score the same utterances: speakers 20, 21; 01, 02"),
        (f"[{one},{tmp_path}/two]", [out], "do not know the same emotions"),
        (f"[{one},{runs}/sweep/1_cnn]", [out, "split=val"], "do not score the same utterances"),
        (f"[{one},{dummy}]", [out, "test_speakers=[1]"], "speakers 1 were trained on or validated on"),
        (f"[{tmp_path}/fold,{one}]", [out, "test_speakers=[1]"], "speakers 1 were trained on or validated on"),
        (f"[{one},{tmp_path}/no]", [out], "there is no such checkpoint"),
    ]:
        refused = command("evaluate.py", f"ckpt={ckpt}", *more, fails=True)
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
    assert not (tmp_path / "out").exists()
    command("evaluate.py", f"ckpt=[{one},{dummy}]", out, "split=val")  # of one seed: the same validation part
