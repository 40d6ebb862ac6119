"""The contract of every model in conf/model: the same commands, the same run folder, the same scores once loaded."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, Command

from ser import cli

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*returned `None`"),
    pytest.mark.usefixtures("without_pictures"),
]

MODELS = sorted(path.stem for path in (ROOT / "conf" / "model").glob("[!_]*.yaml"))
OF_FRAMES = ("cnn", "cnn_attention", "crnn", "resnet", "transformer")
NETWORKS = (*OF_FRAMES, "encoder_head", "mlp_torch")
BRIEF = ("decision_tree",)
"""The others take long and are left to the slow tests."""
QUICK = {
    **{name: ["features.sample_rate=16000", "input.frames=32"] for name in OF_FRAMES},
    "hist_gradient_boosting": ["model.net.estimator.max_iter=2"],
    "random_forest": ["model.net.estimator.n_estimators=20"],
    "extra_trees": ["model.net.estimator.n_estimators=20"],
}

Run = Callable[..., None]


@pytest.fixture
def run(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `<script> <overrides>` in this process, which spares the imports; the errors of users come through."""
    monkeypatch.setenv("SER_CACHE_DIR", str(workplace / "cache"))
    monkeypatch.chdir(workplace)

    def command(script: str, *overrides: str) -> None:
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *overrides])
        runpy.run_path(str(ROOT / f"{script}.py"), run_name="__main__")

    return command


@pytest.fixture
def trained(run: Run, workplace: Path, tmp_path: Path) -> Callable[..., Path]:
    """Train a model briefly on the tiny corpus; its run folder."""

    def train(model: str, *overrides: str) -> Path:
        quick = [*QUICK.get(model, []), "trainer=cpu", "trainer.max_epochs=2", f"data.root={workplace / 'corpus'}"]
        run("train", f"model={model}", *quick, *overrides, f"hydra.run.dir={tmp_path / model}")
        return tmp_path / model

    return train


@pytest.mark.parametrize(
    "model", [model if model in BRIEF else pytest.param(model, marks=pytest.mark.slow) for model in MODELS]
)
def test_every_model_keeps_the_contract(model: str, run: Run, trained: Callable[..., Path]) -> None:
    folder = trained(model)
    summary = json.loads((folder / "summary.json").read_text())
    of_frames = dict.fromkeys(OF_FRAMES, "mel")
    features = (of_frames | {"encoder_head": "encoder", "linear_layer": "encoder"}).get(model, "functionals")
    assert (summary["model"], summary["features"]) == (model, features)
    assert summary["epochs"] == (2 if model in NETWORKS else 1)
    assert model in NETWORKS or summary["precision"] == "32-true"
    assert (folder / "checkpoints" / "last.ckpt").exists()
    run("evaluate", f"ckpt={folder}/checkpoints/best.ckpt", "split=val")
    metrics = json.loads((folder / "evaluation" / "best-val" / "metrics.json").read_text())
    for score in ("accuracy", "uar", "macro_f1"):
        assert metrics[score] == pytest.approx(summary[f"val_{score}"], abs=1e-6)
    results = pd.read_csv(folder / "evaluation" / "best-val" / "val_results.csv")
    of_truth = np.array([row[f"score_{row['emotion']}"] for _, row in results.iterrows()])
    tolerance = 1e-2 if summary["precision"] == "bf16-mixed" else 1e-5
    assert -np.log(of_truth).mean() == pytest.approx(summary["val_loss"], rel=tolerance)


def test_importance_is_a_command(trained: Callable[..., Path], workplace: Path) -> None:
    folder = trained("decision_tree")
    assert cli.main(["importance", str(folder), "--root", str(workplace / "corpus")]) == 0
    table = pd.read_csv(folder / "evaluation" / "best-importance" / "feature_importance.csv")
    assert {"pitch", "level", "mfcc", "timing"} < set(table["family"])
    assert table["drop"].is_monotonic_decreasing


def test_importance_of_a_spectrogram_is_refused(
    trained: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["importance", str(trained("cnn"))]) == 2
    assert "this model takes frames" in capsys.readouterr().err


def test_features_on_the_command_line_win(run: Run, trained: Callable[..., Path]) -> None:
    with pytest.raises(SystemExit, match="one vector per utterance"):
        trained("decision_tree", "features=mel", *QUICK["cnn"])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler on a processor")
def test_a_compiled_network_learns_the_same(run: Run, trained: Callable[..., Path], tmp_path: Path) -> None:
    plain, compiled = trained("mlp_torch").rename(tmp_path / "plain"), trained("mlp_torch", "model.compile=default")
    losses = [pd.read_csv(folder / "metrics.csv")["val/loss"] for folder in (plain, compiled)]
    np.testing.assert_allclose(*losses, rtol=0.05)  # dropout draws otherwise
    run("evaluate", f"ckpt={compiled}/checkpoints/best.ckpt")


def test_a_mode_that_torch_compile_lacks(trained: Callable[..., Path]) -> None:
    with pytest.raises(SystemExit, match="Unrecognized mode=fast"):
        trained("mlp_torch", "model.compile=fast")


def test_a_subset_is_not_fitted_on_silently(trained: Callable[..., Path]) -> None:
    folder = trained("decision_tree", "trainer.limit_train_batches=1")
    assert "fitted on 32 of 79 training utterances only" in (folder / "train.log").read_text()


def test_validation_before_the_fit_is_refused(trained: Callable[..., Path]) -> None:
    with pytest.raises(SystemExit, match="validation comes before the estimator is fitted"):
        trained("decision_tree", "trainer.val_check_interval=1")


def test_what_scikit_learn_refuses_is_the_users_error(trained: Callable[..., Path]) -> None:
    with pytest.raises(SystemExit, match=r"(?s)can't be fitted on these 79 utterances.*n_splits=9"):
        trained("logistic_regression", "model.net.estimator.cv.n_splits=9")


def test_a_resumed_fit_is_left_alone(run: Run, trained: Callable[..., Path]) -> None:
    folder = trained("decision_tree")
    before = {name: (folder / "checkpoints" / name).stat().st_mtime_ns for name in ("best.ckpt", "last.ckpt")}
    run("train", f"resume={folder}/checkpoints/last.ckpt", f"hydra.run.dir={folder}")
    assert {name: (folder / "checkpoints" / name).stat().st_mtime_ns for name in before} == before
    assert json.loads((folder / "summary.json").read_text())["epochs"] == 1


def test_a_crafted_checkpoint_is_refused(run: Run, trained: Callable[..., Path]) -> None:
    from sklearn.preprocessing import FunctionTransformer
    from skops.io import dumps

    path = trained("decision_tree") / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    packed = torch.frombuffer(bytearray(dumps(FunctionTransformer(Path.unlink))), dtype=torch.uint8)
    checkpoint["state_dict"]["net._extra_state"]["skops"] = packed
    torch.save(checkpoint, path)
    with pytest.raises(SystemExit, match=r"not trusted.*unlink"):
        run("evaluate", f"ckpt={path}")


def test_more_than_one_process_is_refused(trained: Callable[..., Path]) -> None:
    with pytest.raises(SystemExit, match="in one process, not 2"):
        trained("decision_tree", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


@pytest.mark.slow
def test_a_sweep_over_kinds_of_models(command: Command, workplace: Path, tmp_path: Path) -> None:
    models = ["cnn", "random_forest", "mlp", "decision_tree"]
    shared = ["trainer=cpu", "trainer.max_epochs=1", f"data.root={workplace / 'corpus'}", f"hydra.sweep.dir={tmp_path}"]
    command("train.py", "-m", f"model={','.join(models)}", *shared)
    folders = [tmp_path / f"{number}_{model}" for number, model in enumerate(models)]
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in folders]
    assert [summary["features"] for summary in summaries] == ["mel", *["functionals"] * 3]
    assert len({summary["split_fingerprint"] for summary in summaries}) == 1
    assert len({tuple(summary) for summary in summaries}) == 1
    assert len({tuple(sorted(path.name for path in folder.iterdir())) for folder in folders}) == 1
