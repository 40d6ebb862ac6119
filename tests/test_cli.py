"""The `ser` command, as a user would type it; the checkpoints are of real, short trainings."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from conftest import QUICK, Command
from hydra.utils import instantiate

from ser.cli import main
from ser.features import audio
from ser.trained import recogniser
from ser.utterances import EMOTIONS

SCORES = [f"score_{emotion}" for emotion in EMOTIONS]
MODELS = {
    # About a third of the clips is longer than the frame, the others are shorter.
    "cnn": ["trainer.precision=bf16-mixed", "features.hop_length=150"],
    "decision_tree": ["features.sample_rate=8000"],
}


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest, command: Command, workplace: Path) -> Path:
    """A run folder of each model."""
    return run(request.param, command, workplace)


@pytest.fixture(scope="module")
def ckpt(command: Command, workplace: Path) -> str:
    """A checkpoint of the CNN."""
    return str(run("cnn", command, workplace) / "checkpoints" / "best.ckpt")


def run(model: str, command: Command, workplace: Path) -> Path:
    """The folder of a run that is trained and evaluated once; without pictures, which take longer than all else."""
    folder = workplace / f"cli_{model}"
    if not folder.exists():
        quick = [setting for setting in QUICK if model == "cnn" or "input" not in setting]
        settings = [*quick, *MODELS[model], f"model={model}", f"data.root={workplace / 'corpus'}"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ser.results.figures.save", lambda figure, path: [])
            command("train.py", *settings, "trainer.max_epochs=1", f"hydra.run.dir={folder}")
            command("evaluate.py", f"ckpt={folder}/checkpoints/best.ckpt")
    return folder


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    """Half a second at 16 kHz, something like a voice."""
    time = np.arange(8000) / 16000
    return (0.2 * np.sin(2 * np.pi * 150 * time) * np.sin(2 * np.pi * 3 * time)).astype(np.float32)


def predicted(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, index_col="path")


@pytest.mark.slow
def test_scores_are_those_of_evaluate(trained: Path, workplace: Path, tmp_path: Path) -> None:
    folders = [str(workplace / "corpus" / f"Actor_{actor}") for actor in (20, 21)]
    assert main(["predict", *folders, "--ckpt", f"{trained}/checkpoints/best.ckpt", "--out", f"{tmp_path}/p.csv"]) == 0
    found = predicted(tmp_path / "p.csv")
    tested = pd.read_csv(trained / "evaluation" / "test_results.csv", index_col="path")
    assert list(found.columns) == ["predicted", *SCORES]
    assert len(found) == len(tested) == 60
    np.testing.assert_allclose(found[SCORES], tested.loc[found.index, SCORES], rtol=0, atol=1e-6)
    assert found["predicted"].eq(tested.loc[found.index, "predicted"]).mean() > 0.95  # but for equals


def test_a_recogniser_is_called_with_waves(ckpt: str, workplace: Path, tmp_path: Path) -> None:
    path = str(next((workplace / "corpus").rglob("*.wav")))
    samples, facts = audio.read(path)
    recognise = recogniser.load(ckpt, instantiate)
    scores = recognise(torch.from_numpy(samples), facts.rate)
    assert scores.shape == (len(EMOTIONS),)
    assert float(scores.sum()) == pytest.approx(1)
    (result,) = recogniser.recognise(recognise, [path])
    assert result.scores == pytest.approx(scores.tolist())
    assert result.emotion == EMOTIONS[int(scores.argmax())]


@pytest.mark.parametrize(
    ("name", "rate", "subtype"),
    [
        ("a.wav", 44100, "PCM_24"),
        ("a.flac", 22050, None),
        ("a.ogg", 48000, "VORBIS"),
        ("a.mp3", 44100, None),
        ("a.aiff", 96000, None),
        ("a.au", 8000, "ULAW"),
        ("a.w64", 11127, None),
    ],
)
def test_any_format_and_rate(
    ckpt: str, wave: np.ndarray, name: str, rate: int, subtype: str | None, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / name, np.stack([wave, wave / 2], axis=1), rate, subtype=subtype)
    assert main(["predict", str(tmp_path), "--ckpt", ckpt, "--out", f"{tmp_path}/p.csv"]) == 0
    found = predicted(tmp_path / "p.csv")
    assert [Path(path).name for path in found.index] == [name]
    assert found[SCORES].to_numpy().sum() == pytest.approx(1)


@pytest.mark.parametrize("samples", [2, 300, 16000 * 60])
def test_any_length(trained: Path, wave: np.ndarray, samples: int, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.resize(wave, samples) + np.linspace(0, 0.1, samples), 16000)
    ckpt = f"{trained}/checkpoints/last.ckpt"
    assert main(["predict", f"{tmp_path}/a.wav", "--ckpt", ckpt, "--out", f"{tmp_path}/p.csv"]) == 0
    assert predicted(tmp_path / "p.csv")[SCORES].to_numpy().sum() == pytest.approx(1)


def test_bad_files_are_named_and_do_not_stop_the_rest(
    ckpt: str, wave: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (tmp_path / "nothing").mkdir()
    for name in ("01", "99"):
        soundfile.write(folder / f"{name}.wav", wave, 16000)
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("no sound")
    (folder / "torn.wav").write_bytes((folder / "01.wav").read_bytes()[:9000])
    soundfile.write(folder / "silent.wav", 0 * wave, 16000)
    soundfile.write(folder / "nan.wav", np.where(wave > 0.1, np.nan, wave), 16000, subtype="FLOAT")
    (folder / os.fsdecode(b"\xff.wav")).write_bytes((folder / "01.wav").read_bytes())
    soundfile.write(folder / "loud.wav", 1e30 * wave, 16000, subtype="FLOAT")
    paths = [str(folder), f"{tmp_path}/nothing", f"{tmp_path}/absent.wav"]
    assert main(["predict", *paths, "--ckpt", ckpt, "--out", f"{tmp_path}/p.csv"]) == 1
    said = capsys.readouterr()
    problems = dict(line.split(": ", 1) for line in said.err.splitlines())
    assert {Path(path).name: problem.split(":")[0] for path, problem in problems.items()} == {
        "empty.wav": "empty",
        "text.wav": "unreadable",
        "torn.wav": "truncated or damaged",
        "silent.wav": "silent",
        "nan.wav": "NaN or infinite samples",
        r"\xff.wav": "unreadable",
        "loud.wav": "samples too far beyond full scale",
        "nothing": "a folder without a recording",
        "absent.wav": "unreadable",
    }
    assert [Path(path).name for path in predicted(tmp_path / "p.csv").index] == ["01.wav", "99.wav"]
    assert "01.wav" in said.out
    assert "empty.wav" not in said.out


def test_nothing_but_bad_files(ckpt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", f"{tmp_path}/absent.wav", "--ckpt", ckpt, "--out", f"{tmp_path}/p.csv"]) == 1
    assert predicted(tmp_path / "p.csv").empty
    assert capsys.readouterr().out == ""


def test_a_diverged_model_scores_nothing(
    ckpt: str, wave: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = torch.load(ckpt, weights_only=True)
    checkpoint["state_dict"]["net.head.0.bias"].fill_(torch.nan)
    torch.save(checkpoint, tmp_path / "diverged.ckpt")
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    assert main(["predict", f"{tmp_path}/a.wav", "--ckpt", f"{tmp_path}/diverged.ckpt"]) == 1
    assert "a.wav: the model's scores are not finite" in capsys.readouterr().err


def test_folders_are_searched_at_any_depth_and_each_file_is_taken_once(
    ckpt: str, wave: np.ndarray, tmp_path: Path
) -> None:
    for name in ("b/c/d/2.WAV", "b/1.flac", "a.ogg", "b/._1.wav", ".hidden/3.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, wave, 16000, format="OGG" if name == "a.ogg" else None)
    (tmp_path / "b" / "notes.txt").write_text("no recording")
    paths = [f"{tmp_path}/b/1.flac", str(tmp_path), f"{tmp_path}/b/1.flac"]
    assert main(["predict", *paths, "--ckpt", ckpt, "--out", f"{tmp_path}/p.csv"]) == 0
    found = [Path(path).relative_to(tmp_path).as_posix() for path in predicted(tmp_path / "p.csv").index]
    assert found == ["b/1.flac", "a.ogg", "b/c/d/2.WAV"]


def test_the_table_on_screen(ckpt: str, wave: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"[bold]a long näme, {100 * 'x'}.wav"
    soundfile.write(tmp_path / name, wave, 16000)
    assert main(["predict", str(tmp_path), "--ckpt", ckpt, "--out", f"{tmp_path}/p.csv"]) == 0
    header, _, row = capsys.readouterr().out.splitlines()
    found = predicted(tmp_path / "p.csv").iloc[0]
    assert header.split()[-9:-1] == [emotion[:4] for emotion in EMOTIONS]
    assert f"{tmp_path}/{name}" in row
    assert row.split()[-9] == found["predicted"]
    assert [float(share) for share in row.split()[-8:]] == pytest.approx(100 * found[SCORES].astype(float), abs=0.51)


def test_unusable_checkpoints(ckpt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    checkpoint = torch.load(ckpt, weights_only=True)
    made = {
        "other.ckpt": {"state_dict": {}},
        "half.ckpt": checkpoint | {"ser": {**checkpoint["ser"], "config": {}}},
        "misfit.ckpt": checkpoint | {"state_dict": {"net.weight": torch.zeros(1)}},
    }
    for name, content in made.items():
        torch.save(content, tmp_path / name)
    (tmp_path / "code.ckpt").write_bytes(pickle.dumps(Code()))
    (tmp_path / "torn.ckpt").write_bytes(Path(ckpt).read_bytes()[:5000])
    for name, message in {
        "absent.ckpt": "there is no such checkpoint",
        "other.ckpt": "not a checkpoint of this version",
        "half.ckpt": "do not fit together (KeyError)",
        "misfit.ckpt": "do not fit together (RuntimeError)",
        "code.ckpt": "truncated, damaged or holding code",
        "torn.ckpt": "truncated, damaged or holding code",
    }.items():
        out = tmp_path / "p.csv"
        assert main(["predict", str(tmp_path), "--ckpt", f"{tmp_path}/{name}", "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert name in said
        assert not out.exists()
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("argv", [[], ["predict"], ["predict", "a.wav"], ["predict", "--ckpt", "a"], ["train"]])
def test_wrong_arguments(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    assert "usage: ser" in capsys.readouterr().err


def test_a_table_that_can_not_be_written(
    ckpt: str, wave: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    before = set(tmp_path.iterdir())
    assert main(["predict", f"{tmp_path}/a.wav", "--ckpt", ckpt, "--out", str(tmp_path)]) == 2
    assert "the table can't be written" in capsys.readouterr().err
    assert set(tmp_path.iterdir()) == before


def test_figures_are_drawn_again_from_the_table_alone(
    ckpt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Path(ckpt).parent.parent / "evaluation" / "test_results.csv"
    (tmp_path / "test_results.csv").write_bytes(table.read_bytes())
    assert main(["figures", f"{tmp_path}/test_results.csv", "--out", f"{tmp_path}/again"]) == 0
    drawn = [Path(path) for path in capsys.readouterr().out.splitlines()]
    assert {path.name for path in drawn} >= {"confusion_matrix.png", "per_emotion.pdf", "per_actor.png"}
    assert set((tmp_path / "again").iterdir()) == set(drawn)
    assert all(path.stat().st_size for path in drawn)


@pytest.mark.parametrize("name", ["broken.csv", "absent.csv"])
def test_figures_of_no_table(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n")
    assert main(["figures", f"{tmp_path}/{name}"]) == 2
    assert name in capsys.readouterr().err


def test_the_console_script_imports_nothing_heavy_for_its_help() -> None:
    script = Path(sys.executable).parent / "ser"
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run([script, "--help"], env=environment, capture_output=True, text=True, check=True)
    assert "predict" in done.stdout
    imported = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "ser" in imported
    assert not imported & {"torch", "numpy", "pandas", "hydra", "lightning", "matplotlib", "soundfile", "rich", "tqdm"}
