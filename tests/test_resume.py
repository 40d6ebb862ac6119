"""A run that is stopped, by whatever, goes on as if it had not been."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import ROOT, SPEAKERS, Command, small
from test_commands import weights

from ser.demo import corpus as synthetic

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]

EPOCHS = 15  # long enough to be stopped on the way
LEARNING = [f"trainer.max_epochs={EPOCHS}", "model.optimizer.lr=0.01", "model.scheduler.patience=0"]


@pytest.fixture(scope="module")
def whole(command: Command, workplace: Path) -> Path:
    """A run that nothing stopped; its rate falls on the way."""
    folder = workplace / "whole"
    command("train.py", *small(workplace), *LEARNING, f"hydra.run.dir={folder}")
    assert pd.read_csv(folder / "metrics.csv")["lr"].nunique() > 1
    return folder


def start(workplace: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / "train.py", *small(workplace), *LEARNING, f"hydra.run.dir={folder}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"SER_CACHE_DIR": str(workplace / "cache")},
        preexec_fn=partial(
            signal.signal, signal.SIGINT, signal.SIG_DFL
        ),  # ignored by what a shell puts in the background
    )


def wait_for_epochs(process: subprocess.Popen[str], folder: Path, epochs: int) -> None:
    while process.poll() is None:
        history = folder / "metrics.csv"
        last = folder / "checkpoints" / "last.ckpt"
        if last.exists() and len(history.read_text().splitlines()) > epochs:
            return
        time.sleep(0.002)
    pytest.fail(f"ended before {epochs} epochs: {process.communicate()[0]}")


def assert_same_end(folder: Path, whole: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (weights(run / "checkpoints" / name) for run in (folder, whole))
        assert all(torch.equal(one[key], other[key]) for key in one)
    histories = [pd.read_csv(run / "metrics.csv").drop(columns="seconds") for run in (folder, whole)]
    pd.testing.assert_frame_equal(*histories)
    optimizers = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (folder, whole)]
    one, other = (checkpoint["optimizer_states"][0]["param_groups"][0] for checkpoint in optimizers)
    assert one["lr"] == other["lr"]
    assert optimizers[0]["ser"]["plateau"] == optimizers[1]["ser"]["plateau"]


@pytest.mark.parametrize(("epochs", "delay"), [(6, 0.02)])
def test_killed_and_resumed_equals_uninterrupted(
    command: Command, workplace: Path, whole: Path, tmp_path: Path, epochs: int, delay: float
) -> None:
    folder = tmp_path / "run"
    process = start(workplace, folder)
    wait_for_epochs(process, folder, epochs)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    last = folder / "checkpoints" / "last.ckpt"
    command("train.py", f"resume={last}")
    assert_same_end(folder, whole)


def test_a_moved_run_goes_on_and_keeps_its_best(command: Command, workplace: Path, whole: Path, tmp_path: Path) -> None:
    command("train.py", *small(workplace), *LEARNING, "trainer.max_epochs=4", f"hydra.run.dir={tmp_path}/run")
    moved = shutil.move(tmp_path / "run", tmp_path / "moved")
    command("train.py", f"resume={moved}/checkpoints/last.ckpt", f"trainer.max_epochs={EPOCHS}")
    assert_same_end(moved, whole)
    assert not (tmp_path / "run").exists()


def test_a_run_resumed_elsewhere_takes_its_best_along(
    command: Command, workplace: Path, whole: Path, tmp_path: Path
) -> None:
    command(
        "train.py",
        f"resume={whole}/checkpoints/last.ckpt",
        f"trainer.max_epochs={EPOCHS + 1}",
        f"hydra.run.dir={tmp_path}/on",
    )
    assert len(pd.read_csv(tmp_path / "on" / "metrics.csv")) == EPOCHS + 1
    assert len(pd.read_csv(whole / "metrics.csv")) == EPOCHS
    assert (tmp_path / "on" / "checkpoints" / "best.ckpt").exists()


def test_a_changed_split_is_refused(command: Command, whole: Path, tmp_path: Path) -> None:
    resume = [f"resume={whole}/checkpoints/last.ckpt", f"hydra.run.dir={tmp_path}/on"]
    for changed in ("protocol.val_fraction=0.5", "model.optimizer.lr=1e-4", "monitor.name=val/uar", "debug=overfit"):
        refused = command("train.py", *resume, changed, fails=True)
        assert "a resumed run keeps this setting" in refused.stderr
        assert changed.split("=")[0] in refused.stderr


def test_a_changed_corpus_is_refused(command: Command, whole: Path, tmp_path: Path) -> None:
    synthetic.fetch(tmp_path / "other", seed=1, speakers=SPEAKERS, repetitions=1, seconds=0.3, rate=16000)
    resume = [f"resume={whole}/checkpoints/last.ckpt", f"hydra.run.dir={tmp_path}/on", f"data.root={tmp_path}/other"]
    assert "no longer that of the run to resume" in command("train.py", *resume, fails=True).stderr


def test_a_checkpoint_by_itself_is_resumed_in_a_new_folder(command: Command, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    alone = shutil.copy(whole / "checkpoints" / "last.ckpt", tmp_path / "saved" / "last.ckpt")
    before = sorted(tmp_path.rglob("*"))
    command("train.py", f"resume={alone}", f"trainer.max_epochs={EPOCHS + 1}", f"hydra.run.dir={tmp_path}/saved/on")
    assert [path for path in sorted(tmp_path.rglob("*")) if "on" not in path.parts] == before
    import train

    assert not str(tmp_path).startswith(train.run_dir(str(alone), "cnn"))


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(
    command: Command, workplace: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = start(workplace, folder)
    wait_for_epochs(process, folder, 2)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode
    assert "Traceback" not in said
    advice = re.search(r"go on with: python (train\.py) (resume=\S+)", said)
    assert advice, said
    command(*advice.groups())
    assert_same_end(folder, whole)
