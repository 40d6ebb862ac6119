"""How commands end: by a signal, a full disk, a busy folder, in a shell that something else has left its marks in."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import Command, small
from lightning.pytorch.utilities.rank_zero import rank_zero_only

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
FOREVER = "trainer.max_epochs=1000000"
PLAIN = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}


class Started:
    """`python <script> <overrides>` in a process of its own, as a shell starts it; what it says is kept."""

    def __init__(self, workplace: Path, script: str, *overrides: str, **environment: str) -> None:
        line = [sys.executable, str(ROOT / script), *overrides]
        variables = {**PLAIN, "SER_CACHE_DIR": str(workplace / "cache"), **environment}
        self.process = subprocess.Popen(
            line, cwd=workplace, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.said = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def wait_for(self, text: str) -> None:
        """Until it has said this."""
        until = time.monotonic() + 90
        while text not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.01)

    def end(self) -> int:
        """Its exit status."""
        status = self.process.wait(90)
        self.reader.join()
        return status


def test_a_signal_ends_a_sweep_and_leaves_a_checkpoint_and_the_command_to_go_on(
    workplace: Path, tmp_path: Path
) -> None:
    place = tmp_path / "a b, c=d 'e'"
    escaped = str(place).replace("'", "\\'")
    sweep = [
        "-m",
        *small(workplace)[1:],
        FOREVER,
        "seed=1,2",
        f"hydra.sweep.dir='{escaped}'",
        "hydra.sweep.subdir=${seed}",
    ]
    run = Started(workplace, "train.py", *sweep)
    run.wait_for("epoch 2/")
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 143
    assert "SIGTERM: stopping" in run.said
    assert "Traceback" not in run.said
    assert not (place / "2").exists()
    folder = place / "1"
    line = re.search(r"go on with: python (.*)", run.said)
    assert line is not None
    done = len(pd.read_csv(folder / "metrics.csv"))
    paste = f"{sys.executable} {line[1].replace('train.py', str(ROOT / 'train.py'))} trainer.max_epochs={done + 2}"
    kernel = {
        **PLAIN,
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }  # what `!python` of a notebook inherits
    resumed = subprocess.run(paste, shell=True, cwd=workplace, env=kernel, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads((folder / "summary.json").read_text())["epochs"] == done + 2
    assert not set("\r\x1b") & set(resumed.stdout + resumed.stderr)
    (said,) = (line for line in resumed.stdout.splitlines() if line.startswith(f"epoch {done + 1}/{done + 2}"))
    assert re.fullmatch(r"epoch \S+: loss \d\.\d{3}, val loss \d\.\d{3}, accuracy \d+\.\d%, \d\d:\d\d left", said)
    assert said in (folder / "train.log").read_text()


def test_a_start_that_was_interrupted_can_be_made_again(command: Command, workplace: Path, tmp_path: Path) -> None:
    settings = [*small(workplace), "trainer.max_epochs=1", "features=functionals", "input=vector", "model=mlp_torch"]
    settings = [name for name in settings if name not in ("input.frames=32", "features.sample_rate=16000")]
    settings += [f"cache.dir={tmp_path}/cache", f"hydra.run.dir={tmp_path}/run"]
    run = Started(workplace, "train.py", *settings)
    run.wait_for("computing features")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130
    assert "Traceback" not in run.said
    command("train.py", *settings)
    assert not list((tmp_path / "cache").glob("*.part"))


def test_a_signal_while_imports_are_on_their_way(workplace: Path, tmp_path: Path) -> None:
    run = Started(workplace, "train.py", *small(workplace), f"hydra.run.dir={tmp_path}/run")
    while not (tmp_path / "run").exists():  # Hydra is there, torch comes next
        time.sleep(0.01)
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130
    assert run.said.strip() == "Ctrl-C: stopping"


@pytest.mark.parametrize(
    "environment",
    [
        {"RANK": "1", "LOCAL_RANK": "1"},
        {
            "SLURM_PROCID": "1",
            "SLURM_LOCALID": "1",
            "SLURM_NODEID": "0",
            "SLURM_NTASKS": "2",
            "SLURM_JOB_ID": "3",
            "SLURM_JOB_NAME": "train",
        },
    ],
    ids=["torchrun", "Slurm"],
)
def test_a_rank_in_the_environment_silences_no_run(
    command: Command, workplace: Path, tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 1)  # as Lightning finds it when it is imported
    settings = [*small(workplace), f"hydra.run.dir={tmp_path}/run", "trainer.max_epochs=1"]
    said = command("train.py", *settings)
    for name in ("summary.json", "split.csv", "metrics.csv", "checkpoints/last.ckpt", ".hydra/config.yaml"):
        assert (tmp_path / "run" / name).exists()
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))
    assert "best epoch" in said.stdout
    assert "a run is in this folder already" in command("train.py", *settings, fails=True).stderr


@pytest.mark.parametrize(("most", "file"), [(3000, "environment.txt"), (700_000, "checkpoints/best.ckpt")])
def test_a_disk_that_takes_no_more_is_named(
    command: Command, workplace: Path, tmp_path: Path, most: int, file: str
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))  # on the size of files: stands for a full disk
    try:
        refused = command("train.py", *small(workplace), f"hydra.run.dir={tmp_path}/run", fails=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"error: File too large\n  where: {tmp_path}/run/{file}" in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
    assert not (tmp_path / "run" / file).exists()


@pytest.mark.parametrize("setting", ["hydra.run.dir", "hydra.sweep.dir", "cache.dir"])
def test_a_place_that_can_not_be_written_is_named(
    command: Command, workplace: Path, tmp_path: Path, setting: str
) -> None:
    many = ["-m"] if setting == "hydra.sweep.dir" else []
    run = [] if "hydra" in setting else [f"hydra.run.dir={tmp_path}/run"]
    refused = command("train.py", *many, *small(workplace), f"{setting}=/dev/null/x", *run, fails=True)
    assert "Not a directory" in refused.stderr
    assert "/dev/null/x" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_file_system_without_locks_is_good_enough(
    command: Command, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    settings = [*small(workplace), "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/run"]
    said = command("train.py", *settings, f"cache.dir={tmp_path}/cache")
    assert "has no locks: do not start two commands there at once" in said.stdout
    assert (tmp_path / "run" / "summary.json").exists()
    assert not list((tmp_path / "cache").glob("*.part"))


def test_a_run_that_is_resumed_elsewhere_may_be_started_again(
    command: Command, workplace: Path, tmp_path: Path
) -> None:
    command("train.py", *small(workplace), "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/one")
    resume = [f"resume={tmp_path}/one", "trainer.max_epochs=2", f"hydra.run.dir={tmp_path}/other"]
    command("train.py", *resume, "data.root=/no/where", fails=True)
    command("train.py", *resume)
    assert (tmp_path / "other" / "checkpoints" / "best.ckpt").exists()


def test_two_runs_do_not_meet_in_one_folder(command: Command, workplace: Path, tmp_path: Path) -> None:
    from ser.locks import holding

    with holding(tmp_path / ".lock", wait=False):
        refused = command("train.py", *small(workplace), f"hydra.run.dir={tmp_path}", fails=True)
    assert "another process is at work in this folder" in refused.stderr
    assert "wait for its end" in refused.stderr


def test_the_folder_of_a_failed_start_can_be_used(command: Command, workplace: Path, tmp_path: Path) -> None:
    settings = [*small(workplace), "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/run"]
    command("train.py", *settings, "protocol.val_fraction=7", fails=True)
    command("train.py", *settings)
    assert (tmp_path / "run" / "summary.json").exists()


def test_relative_places_stay_where_they_are(
    command: Command, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [name for name in small(workplace) if "data.root" not in name]
    settings += ["trainer.max_epochs=1", "hydra.job.chdir=true", f"hydra.run.dir={tmp_path}/run", "data.root=corpus"]
    command("train.py", *settings)
    assert (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize(("setting", "name"), [("data.root", "corpus \udcff"), ("hydra.run.dir", "run \udcfe")])
def test_names_that_are_no_utf8(command: Command, workplace: Path, tmp_path: Path, setting: str, name: str) -> None:
    if setting == "data.root":
        (tmp_path / name).symlink_to(workplace / "corpus")
    settings = [f"hydra.run.dir={tmp_path}/run", f"{setting}='{tmp_path / name}'"]
    refused = command("train.py", *small(workplace), *settings, fails=True)
    assert name.encode("unicode_escape").decode().replace("udc", "x") in refused.stderr
    assert "name is not in UTF-8" in refused.stderr
    assert "Traceback" not in refused.stderr
