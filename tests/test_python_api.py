"""Training and reading a run from Python, as in a notebook: no command line, no `@hydra.main`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, Command, small
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

import ser
from ser import experiment
from ser.errors import ConfigError
from ser.results import figures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(command: Command, workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[float, Path]:
    """What training returns, and its folder, which was evaluated afterwards."""
    folder = tmp_path_factory.mktemp("python") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save", lambda figure, path: [])  # takes longer than all else
        best = experiment.train(composed(workplace, "monitor.name=val/uar", "monitor.mode=max"), folder)
        for split in ("test", "val"):
            command("evaluate.py", f"ckpt={folder}", f"split={split}")
    return best, folder


def composed(workplace: Path, *overrides: str) -> DictConfig:
    import train  # noqa: F401 - any key of Lightning's Trainer, and the name of a new run folder

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", [*small(workplace), f"cache.dir={workplace / 'cache'}", *overrides])


def test_training_returns_the_best_value(trained: tuple[float, Path]) -> None:
    best, folder = trained
    summary = json.loads((folder / "summary.json").read_text())
    assert best == pytest.approx(summary["val_uar"])
    assert best == pytest.approx(pd.read_csv(folder / "metrics.csv")["val/uar"].max())
    assert (folder / ".hydra" / "config.yaml").exists()


def test_a_run_is_read_back(trained: tuple[float, Path]) -> None:
    best, folder = trained
    run = ser.read_run(folder)
    assert run.config["model"]["name"] == "cnn"
    assert run.config["monitor"] == {"name": "val/uar", "mode": "max"}
    assert run.summary["val_uar"] == pytest.approx(best)
    assert run.history["epoch"].tolist() == [0, 1]
    assert list(run.predictions) == ["best-test", "best-val"]
    assert run.predictions["best-val"]["correct"].mean() == pytest.approx(run.summary["val_accuracy"])
    assert set(run.predictions["best-test"]["speaker"]) == {"20", "21"}
    tested = run.split.loc[run.split["part"] == "test", "utterance"]
    assert set(run.predictions["best-test"]["utterance"]) == set(tested)


def test_what_was_trained_recognises_what_was_tested(trained: tuple[float, Path]) -> None:
    _, folder = trained
    table = ser.read_run(folder).predictions["best-test"].head(5)
    found = ser.load(folder)(table["path"].tolist())
    scores = [[*one.scores.values()] for one in found]
    np.testing.assert_allclose(scores, table[[f"score_{label}" for label in found[0].scores]], atol=1e-5)


def test_errors_are_exceptions(trained: tuple[float, Path], workplace: Path) -> None:
    with pytest.raises(ConfigError, match="a run is in this folder already"):
        experiment.train(composed(workplace), trained[1])
