"""The package from Python, as in a notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import ser
from ser.errors import CheckpointError, DataError
from ser.results import predictions
from ser.trained.recogniser import Recogniser
from tests.trained import crafted

ROOT = Path(__file__).parent.parent
TIME = np.arange(8000) / 16000
WAVE = np.round(6553 * np.sin(2 * np.pi * 150 * TIME) * np.sin(2 * np.pi * 3 * TIME)).astype(np.int16)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with all that training and evaluation write."""
    folder = tmp_path_factory.mktemp("run")
    crafted.whole(folder / "checkpoints" / "best.ckpt")
    (folder / "summary.json").write_text(json.dumps({"model": "mean", "best_epoch": 1}))
    (folder / "metrics.csv").write_text("epoch,val/loss\n0,2.5\n1,2.25\n")
    crafted.split().part_of().to_csv(folder / "split.csv", index=False)
    scores = np.full((4, 4), 0.25)
    for name, part in {"test": "test", "others": "test", "val": "val"}.items():
        (folder / "evaluation" / name).mkdir(parents=True)
        table = predictions.build(crafted.table().iloc[6:], scores)
        predictions.write(table, folder / "evaluation" / name / f"{part}_results.csv")
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> Recogniser:
    return ser.load(run, trust=[crafted.TRUST])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good recordings and a bad one."""
    folder = tmp_path_factory.mktemp("files")
    soundfile.write(folder / "a.wav", WAVE, 16000)
    soundfile.write(folder / "b.wav", WAVE // 4, 16000)
    (folder / "c.wav").write_text("no sound")
    return folder


def test_a_file_is_recognised(model: Recogniser, files: Path) -> None:
    for path in (files / "a.wav", str(files / "a.wav")):
        found = model(path)
        assert found.path == str(path)
        assert list(found.scores) == list(crafted.LABELS)
        assert sum(found.scores.values()) == pytest.approx(1)
        assert found.scores[found.label] == max(found.scores.values())
        assert found.problem == ""


def test_a_checkpoint_may_be_named_instead_of_its_run(run: Path, model: Recogniser, files: Path) -> None:
    named = ser.load(str(run / "checkpoints" / "best.ckpt"), [crafted.TRUST])
    assert named(files / "a.wav") == model(files / "a.wav")


@pytest.mark.parametrize(
    "samples",
    [
        WAVE,
        WAVE.astype(np.int32) << 16,
        WAVE / 32768,
        (WAVE / 32768).astype(np.float32),
        (WAVE.astype(np.int32) + 32768).astype(np.uint16),
        np.stack([WAVE, WAVE], axis=1),
        np.stack([2 * (WAVE / 32768), 0 * WAVE], axis=1),
        torch.from_numpy(WAVE),
        torch.from_numpy(WAVE / 32768).requires_grad_(),
        np.resize(np.stack([WAVE, WAVE], axis=1), (8000, 2))[:, 0],
    ],
    ids=lambda samples: f"{samples.dtype} {tuple(samples.shape)}",
)
def test_samples_are_recognised_as_a_file_of_them(samples: Any, model: Recogniser, files: Path) -> None:
    found = model(samples, rate=16000)
    assert found.path == ""
    assert list(found.scores.values()) == pytest.approx(list(model(files / "a.wav").scores.values()), abs=1e-5)


def test_8_bits_are_centred_on_128(model: Recogniser, tmp_path: Path) -> None:
    samples = ((WAVE >> 8) + 128).astype(np.uint8)
    soundfile.write(tmp_path / "8.wav", (samples.astype(np.int16) - 128) << 8, 16000, subtype="PCM_U8")
    expected = list(model(tmp_path / "8.wav").scores.values())
    assert list(model(samples, rate=16000).scores.values()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("rate", [8000, 44100, 16000.0, 11127])
def test_any_rate(rate: float, model: Recogniser) -> None:
    assert sum(model(WAVE, rate=rate).scores.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (WAVE, None, r"samples without a rate(.|\n)*rate=16000"),
        (WAVE, 0, "no rate of recordings: 0 Hz"),
        (WAVE, 16000.5, "no rate of recordings"),
        (WAVE[:0], 16000, "empty"),
        (0 * WAVE, 16000, "silent"),
        (np.full(100, np.nan), 16000, "NaN or infinite samples"),
        (np.stack([WAVE, WAVE]), 16000, r"not samples .* \(2, 8000\)(.|\n)*\(samples, channels\)"),
        (WAVE[:, None, None], 16000, "not samples of a recording"),
        (np.float64(3), 16000, "not samples of a recording"),
        (WAVE > 0, 16000, "not samples of a recording: bool"),
        (WAVE * 1j, 16000, "not samples of a recording: complex128"),
        (None, 16000, "not samples of a recording: object"),
        ({"a": 1}, 16000, "not samples of a recording: object"),
        (1e38 * (WAVE / 32768), 16000, "samples too far beyond full scale"),
    ],
)
def test_samples_that_can_not_be_used(samples: Any, rate: Any, message: str, model: Recogniser) -> None:
    with pytest.raises(DataError, match=message):
        model(samples, rate=rate)


def test_a_list_is_one_of_files(model: Recogniser) -> None:
    with pytest.raises(TypeError, match="not float"):
        model([0.1, 0.2], rate=16000)


def test_several_recordings_have_a_result_each(model: Recogniser, files: Path) -> None:
    paths = [files / "c.wav", str(files / "b.wav"), files / "absent.wav", files / "b.wav"]
    bad, good, absent, again = model(paths)
    assert [each.path for each in (bad, good, absent, again)] == [str(path) for path in paths]
    assert good == again == model(files / "b.wav")
    assert (bad.label, bad.scores) == ("", {})
    assert bad.problem.startswith("unreadable")
    assert absent.problem.startswith("unreadable")
    assert model([]) == []


def test_a_folder_is_its_recordings(model: Recogniser, files: Path, tmp_path: Path) -> None:
    assert [(Path(found.path).name, bool(found.problem)) for found in model(files)] == [
        ("a.wav", False),
        ("b.wav", False),
        ("c.wav", True),
    ]
    assert [found.problem for found in model(str(tmp_path))] == ["a folder without a recording"]


def test_a_single_file_that_can_not_be_used_is_an_error(model: Recogniser, files: Path) -> None:
    for path in (files / "c.wav", files / "absent.wav"):
        with pytest.raises(DataError, match=rf"unreadable(.|\n)*{path.name}"):
            model(path)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.ckpt"):
        with pytest.raises(CheckpointError, match="there is no such checkpoint"):
            ser.load(path)


def test_a_run_is_read(run: Path) -> None:
    read = ser.read_run(str(run))
    assert read.config == crafted.CONFIG
    assert read.summary == {"model": "mean", "best_epoch": 1}
    assert read.history["val/loss"].tolist() == [2.5, 2.25]
    pd.testing.assert_frame_equal(read.split, crafted.split().part_of(), check_dtype=False)
    assert list(read.predictions) == ["others", "test", "val"]
    assert read.predictions["test"]["speaker"].tolist() == ["20", "20", "21", "21"]


def test_what_is_no_run_is_refused(run: Path, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent", run / "checkpoints"):
        with pytest.raises(DataError, match="not the folder of a finished run"):
            ser.read_run(folder)
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(DataError, match="not the folder of a finished run"):
        ser.read_run(tmp_path)


def test_version() -> None:
    assert ser.__version__ == version("ser")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ser.nothing  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, ser; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "pandas", "importlib.metadata"} & set(done.stdout.split())
