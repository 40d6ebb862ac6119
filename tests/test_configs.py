"""Every YAML in `conf/` composes; every choice that this machine can run trains briefly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import ROOT, Command, small
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

pytestmark = pytest.mark.usefixtures("without_pictures")

CONF = ROOT / "conf"
CHOICES = sorted(f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml") if not path.stem.startswith("_"))
CHOICES.remove("data=as_trained")  # of evaluate.py alone


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_resolves(choice: str) -> None:
    import train  # noqa: F401 - registers the resolver of the run folder

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[choice], return_hydra_config=False)
    group, name = choice.split("=")
    if group in ("data", "protocol", "features", "model"):
        assert cfg[group].name == {"original": "reference"}.get(name, name)
    OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)


@pytest.mark.slow
@pytest.mark.parametrize("fold", [0, 2])
def test_speaker_folds_train_and_test_whole_speakers(
    command: Command, workplace: Path, tmp_path: Path, fold: int
) -> None:
    protocol = ["protocol=speaker_kfold", "protocol.k=3", f"protocol.fold={fold}", "protocol.val_speakers=2"]
    command("train.py", *small(workplace), *protocol, "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["validation"] == "unseen speakers"
    assert all(pair["speakers"] == 0 for pair in summary["overlap"].values())
    command("evaluate.py", f"ckpt={tmp_path}/run/checkpoints/best.ckpt")
    metrics = json.loads((tmp_path / "run" / "evaluation" / "best-test" / "metrics.json").read_text())
    assert metrics["n_speakers"] == 2
    assert metrics["speakers"] == "unseen in training"


@pytest.mark.slow
def test_two_processes_share_an_epoch(command: Command, workplace: Path, tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    ddp = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.max_epochs=1"]
    arguments = [item for item in small(workplace) if item != "trainer=cpu"]
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", *ddp, *arguments, "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/run"],
        env=os.environ | {"SER_CACHE_DIR": str(workplace / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    command("evaluate.py", f"ckpt={tmp_path}/run/checkpoints/best.ckpt", "split=val")
    metrics = json.loads((tmp_path / "run" / "evaluation" / "best-val" / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx(summary["val_accuracy"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_message_says_so(command: Command, workplace: Path, tmp_path: Path) -> None:
    refused = command("train.py", *small(workplace), "trainer=gpu", f"hydra.run.dir={tmp_path}/run", fails=True)
    assert "no GPU" in refused.stderr
    assert "trainer=cpu" in refused.stderr


@pytest.mark.slow
def test_the_trainer_takes_lightnings_keys(command: Command, workplace: Path, tmp_path: Path) -> None:
    keys = ["trainer.enable_progress_bar=false", "trainer.max_epochs=1", "trainer.gradient_clip_val=1.0"]
    said = command("train.py", *small(workplace), *keys, f"hydra.run.dir={tmp_path}/run")
    assert "it/s" not in said.stdout + said.stderr
    refused = command("train.py", *small(workplace), "trainer.no_such=1", f"hydra.run.dir={tmp_path}/no", fails=True)
    assert "no_such" in refused.stderr
    assert "Traceback" not in refused.stderr


MINE = """
import math
from torch import nn

class Mine(nn.Module):
    def __init__(self, shape, classes, width):
        super().__init__()
        inputs = math.prod(shape)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, x, lengths):
        return self.layers(x)
"""


@pytest.mark.slow
def test_a_network_of_ones_own_is_one_file_and_one_yaml(
    command: Command, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "model" / "mine.yaml").write_text(
        "defaults: [_gradient]\nname: mine\nnet: {_target_: mine.Mine, width: 16}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    command("train.py", "model=mine", *small(workplace), f"hydra.run.dir={tmp_path}/run", "--config-dir", str(tmp_path))
    best = f"ckpt={tmp_path}/run/checkpoints/best.ckpt"
    assert "not trusted: mine.Mine" in command("evaluate.py", best, fails=True).stderr
    command("evaluate.py", best, "trust=[mine]")
    assert json.loads((tmp_path / "run" / "evaluation" / "best-test" / "metrics.json").read_text())["model"] == "mine"
    last = f"resume={tmp_path}/run/checkpoints/last.ckpt"
    again = ("train.py", last, "trainer.max_epochs=3", f"hydra.run.dir={tmp_path}/run", "--config-dir", str(tmp_path))
    assert "not trusted: mine.Mine" in command(*again, fails=True).stderr
    command(again[0], "trust=[mine]", *again[1:])
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["epochs"] == 3
