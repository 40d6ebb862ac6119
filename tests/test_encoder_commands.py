"""Training on a frozen encoder, scoring and using it, as a user would; the encoder is tiny and random."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import Command
from tiny_encoders import network, saved

import ser
from ser.errors import ConfigError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one encoder in it."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("encoders")
    saved(network("hubert"), folder / "tiny")
    return folder


@pytest.fixture(autouse=True)
def _here(encoders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SER_ENCODERS", str(encoders))


def on(workplace: Path, *choices: str) -> list[str]:
    return [*choices, "features.model=tiny", "trainer=cpu", "trainer.max_epochs=2", f"data.root={workplace / 'corpus'}"]


def cached(workplace: Path) -> set[str]:
    return {path.name for path in (workplace / "cache").glob("encoder-*") if path.is_dir()}


@pytest.fixture(scope="module")
def run(command: Command, workplace: Path, encoders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on layer 1, trained while the encoder was in another place."""
    folder, before = tmp_path_factory.mktemp("run") / "run", tmp_path_factory.mktemp("before") / "tiny"
    shutil.copytree(encoders / "tiny", before)
    choices = on(workplace, "features=encoder", "model=linear", "features.layer=1")
    command("train.py", *choices, f"features.model={before}", f"hydra.run.dir={folder}")
    shutil.rmtree(before.parent)
    return folder


def test_it_is_scored_and_used_where_the_encoder_is_now(run: Path, command: Command, workplace: Path) -> None:
    entries = cached(workplace)
    said = command("evaluate.py", f"ckpt={run}", "split=val")
    assert "emotion labels: unknown" in said.stdout
    assert cached(workplace) == entries
    metrics = json.loads((run / "evaluation" / "best-val" / "metrics.json").read_text())
    assert metrics["encoder"]["digest"] == ser.read_run(run).config["features"]["digest"]
    predicted = ser.read_run(run).predictions["best-val"]
    model, first = ser.load(run), predicted.iloc[0]
    scores = model(str(first["path"])).scores
    assert scores == pytest.approx({label: first[f"score_{label}"] for label in scores}, abs=1e-6)


def test_without_the_encoder_it_says_where_it_was(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SER_ENCODERS", "/no/such/place")
    with pytest.raises(ConfigError, match=r"(?s)no such encoder.*SER_ENCODERS=FOLDER"):
        ser.load(run)


def test_another_encoder_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    saved(network("hubert", intermediate_size=32), tmp_path / "tiny")
    monkeypatch.setenv("SER_ENCODERS", str(tmp_path))
    with pytest.raises(ConfigError, match="other weights than those of the training"):
        ser.load(run)


@pytest.mark.parametrize("choices", [["experiment=encoder_frozen"], ["model=encoder_head"], ["model=linear"]])
def test_other_models_find_the_layers_in_the_cache(
    choices: list[str], run: Path, command: Command, workplace: Path, tmp_path: Path
) -> None:
    entries = cached(workplace)
    layers = ["features=encoder", "features.layer=[0,2]"] if choices == ["model=linear"] else []
    command("train.py", *on(workplace, *choices, *layers), f"hydra.run.dir={tmp_path}/run")
    assert cached(workplace) == entries
    command("evaluate.py", f"ckpt={tmp_path}/run", "split=val")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    metrics = json.loads((tmp_path / "run" / "evaluation" / "best-val" / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx(summary["val_accuracy"])


def test_a_run_on_an_encoder_is_resumed(command: Command, workplace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command("train.py", *on(workplace, "model=encoder_head"), f"hydra.run.dir={folder}")
    command("train.py", f"resume={folder}", "trainer.max_epochs=3", f"hydra.run.dir={folder}")
    assert json.loads((folder / "summary.json").read_text())["epochs"] == 3


def test_frames_go_to_a_network_over_time(command: Command, workplace: Path, tmp_path: Path) -> None:
    frames = ["features=encoder", "features.pool=none", "features.layer=2", "input=frames", "input.frames=32"]
    command("train.py", *on(workplace, *frames), f"hydra.run.dir={tmp_path}/run")
    command("evaluate.py", f"ckpt={tmp_path}/run", "split=val")


def test_one_layer_is_no_choice_of_layers(command: Command, workplace: Path, tmp_path: Path) -> None:
    choices = on(workplace, "model=encoder_head", "features.layer=1")
    refused = command("train.py", *choices, f"hydra.run.dir={tmp_path}/run", fails=True)
    assert "features.layer=all" in refused.stderr
    assert "Traceback" not in refused.stderr
