"""The `ser` command, as a user would type it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from conftest import QUICK, Command

import ser
from ser.cli import main
from ser.results import predictions
from tests.trained import crafted

ROOT = Path(__file__).parent.parent
SCORES = [f"score_{label}" for label in crafted.LABELS]
TRUST = ["--trust", crafted.TRUST]
MODELS = {
    # About a third of the clips is longer than the frames, the others are shorter.
    "cnn": ["trainer.precision=bf16-mixed", "features.hop_length=150"],
    "decision_tree": ["features.sample_rate=8000"],
}
FORBIDDEN = {"lightning", "hydra", "omegaconf", "seaborn", "matplotlib.pyplot", "tensorboard"}


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(crafted.whole(tmp_path_factory.mktemp("run") / "checkpoints" / "best.ckpt"))


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    """Half a second at 16 kHz, something like a voice."""
    time = np.arange(8000) / 16000
    return (0.2 * np.sin(2 * np.pi * 150 * time) * np.sin(2 * np.pi * 3 * time)).astype(np.float32)


def predict(*arguments: object) -> int:
    return main(["predict", *map(str, arguments), *TRUST])


def predicted(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, index_col="path", encoding_errors="surrogateescape", dtype={"path": object})


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    line = [sys.executable, "-m", "ser", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(line, cwd=ROOT, text=True, **pipes)  # type: ignore[call-overload]


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_scores_are_those_of_evaluate(model: str, command: Command, workplace: Path, tmp_path: Path) -> None:
    quick = [setting for setting in QUICK if model == "cnn" or "frames" not in setting]
    settings = [*quick, *MODELS[model], f"model={model}", f"data.root={workplace / 'corpus'}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ser.results.figures.save", lambda figure, path: [])  # takes longer than all else
        command("train.py", *settings, "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/run")
        command("evaluate.py", f"ckpt={tmp_path}/run/checkpoints/best.ckpt")
    folders = [str(workplace / "corpus" / f"Actor_{actor}") for actor in (20, 21)]
    assert main(["predict", *folders, "--ckpt", f"{tmp_path}/run", "--out", f"{tmp_path}/p.csv"]) == 0
    found = predicted(tmp_path / "p.csv")
    (written,) = (tmp_path / "run").glob("evaluation/**/test_results.csv")
    tested = pd.read_csv(written, index_col="path")
    scores = [name for name in tested if name.startswith("score_")]
    assert list(found.columns) == ["predicted", *scores]
    assert len(found) == len(tested) == 60
    np.testing.assert_allclose(found[scores], tested.loc[found.index, scores], rtol=0, atol=1e-6)
    assert found["predicted"].eq(tested.loc[found.index, "predicted"]).mean() > 0.95  # but for equals


@pytest.mark.parametrize(
    ("name", "rate", "subtype"),
    [
        ("a.wav", 44100, "PCM_24"),
        ("a.flac", 22050, None),
        ("a.ogg", 48000, "VORBIS"),
        ("a.mp3", 44100, None),
        ("a.aiff", 48000, None),
        ("a.au", 8000, "ULAW"),
        ("a.w64", 11127, None),
    ],
)
def test_any_format_and_rate(
    ckpt: str, wave: np.ndarray, name: str, rate: int, subtype: str | None, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / name, np.stack([wave, wave / 2], axis=1), rate, subtype=subtype)
    assert predict(tmp_path, "--ckpt", ckpt, "--out", tmp_path / "p.csv") == 0
    found = predicted(tmp_path / "p.csv")
    assert [Path(path).name for path in found.index] == [name]
    assert found[SCORES].to_numpy().sum() == pytest.approx(1)


@pytest.mark.parametrize("samples", [16, 799, 800, 16000 * 60])
def test_any_length_of_speech(
    ckpt: str, wave: np.ndarray, samples: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", np.resize(wave, samples) + np.linspace(0, 0.1, samples), 16000)
    too_short = samples < 800
    assert predict(tmp_path / "a.wav", "--ckpt", ckpt, "--out", tmp_path / "p.csv") == int(too_short)
    assert ("a.wav: shorter than 0.05 s" in capsys.readouterr().err) == too_short
    assert predicted(tmp_path / "p.csv")[SCORES].to_numpy().sum() == pytest.approx(0 if too_short else 1)


def test_what_can_not_be_read_is_counted(
    ckpt: str, wave: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    for name in ("b.m4a", "c.AMR", "d.m4a", "notes.txt"):
        (tmp_path / name).touch()
    assert predict(tmp_path, "--ckpt", ckpt) == 1
    said = capsys.readouterr()
    assert "a.wav" in said.out
    assert f"left out: 2 .m4a, 1 .amr files, such as {tmp_path / 'b.m4a'}" in said.err.replace(
        "1 .amr, 2 .m4a", "2 .m4a, 1 .amr"
    )
    assert "ffmpeg" in said.err


def test_what_is_amiss_with_a_recording_is_said(
    ckpt: str, wave: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([wave, -wave], axis=1), 16000)
    assert predict(tmp_path, "--ckpt", ckpt) == 0
    assert "a.wav: used in spite of flaws: channels cancel out" in capsys.readouterr().err


def test_bad_files_are_named_and_do_not_stop_the_rest(
    ckpt: str, wave: np.ndarray, tmp_path: Path, capfd: pytest.CaptureFixture[str]
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
    assert predict(*paths, "--ckpt", ckpt, "--out", tmp_path / "p.csv") == 1
    said = capfd.readouterr()
    problems = dict(line.split(": ", 1) for line in said.err.splitlines())
    assert {Path(path).name: problem.split(":")[0] for path, problem in problems.items()} == {
        "empty.wav": "empty",
        "text.wav": "unreadable",
        "torn.wav": "truncated or damaged",
        "silent.wav": "silent",
        "nan.wav": "NaN or infinite samples",
        "loud.wav": "samples too far beyond full scale",
        "nothing": "a folder without a recording",
        "absent.wav": "unreadable",
    }
    assert [Path(path).name for path in predicted(tmp_path / "p.csv").index] == ["01.wav", "99.wav", "\udcff.wav"]
    assert "01.wav" in said.out
    assert "empty.wav" not in said.out


def test_nothing_but_bad_files(ckpt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(tmp_path / "absent.wav", "--ckpt", ckpt, "--out", tmp_path / "p.csv") == 1
    assert predicted(tmp_path / "p.csv").empty
    assert capsys.readouterr().out == ""


def test_a_diverged_model_scores_nothing(
    ckpt: str, wave: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diverged = tmp_path / "diverged.ckpt"
    crafted.craft(Path(ckpt), diverged, lambda content: content["state_dict"]["net.linear.bias"].fill_(torch.nan))
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    assert predict(tmp_path / "a.wav", "--ckpt", diverged) == 1
    assert "a.wav: the model's scores are not finite" in capsys.readouterr().err


def test_folders_are_searched_at_any_depth_and_each_file_is_taken_once(
    ckpt: str, wave: np.ndarray, tmp_path: Path
) -> None:
    for name in ("b/c/d/2.WAV", "b/1.flac", "a.ogg", "b/._1.wav", ".hidden/3.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, wave, 16000, format="OGG" if name == "a.ogg" else None)
    (tmp_path / "b" / "notes.txt").write_text("no recording")
    paths = [f"{tmp_path}/b/1.flac", str(tmp_path), f"{tmp_path}/b/1.flac"]
    assert predict(*paths, "--ckpt", ckpt, "--out", tmp_path / "p.csv") == 0
    found = [Path(path).relative_to(tmp_path).as_posix() for path in predicted(tmp_path / "p.csv").index]
    assert found == ["b/1.flac", "a.ogg", "b/c/d/2.WAV"]


@pytest.mark.parametrize(
    ("labels", "head"),
    [
        (crafted.LABELS, ["neut", "surp", "sad", "happ"]),
        (("surprised", "surprising", "no"), ["surprise", "surprisi", "no"]),
        (("[bold]", "[/bold]", "a b"), ["[bol", "[/bo", "a", "b"]),
    ],
)
def test_the_table_on_screen(
    labels: Sequence[str], head: list[str], wave: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ckpt = crafted.whole(tmp_path / "best.ckpt", labels)
    name = f"[bold]a long näme, {100 * 'x'}.wav"
    soundfile.write(tmp_path / name, wave, 16000)
    assert predict(tmp_path, "--ckpt", ckpt, "--out", tmp_path / "p.csv") == 0
    header, row = capsys.readouterr().out.splitlines()
    found = predicted(tmp_path / "p.csv").iloc[0]
    assert list(found.index) == ["predicted", *(f"score_{label}" for label in labels)]
    assert header.split() == ["recording", "emotion", *head]
    assert row.startswith(f"{tmp_path}/{name} ")
    assert f" {found['predicted']} " in row
    shares = [float(share) for share in row.split()[-len(labels) :]]
    assert shares == pytest.approx(100 * found.iloc[1:].astype(float), abs=0.51)


def test_unusable_checkpoints(ckpt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "executed"),)

    whole = Path(ckpt)
    crafted.craft(whole, tmp_path / "other.ckpt", lambda content: content.pop("ser"))
    crafted.craft(whole, tmp_path / "half.ckpt", lambda content: content["ser"].update(config={}))
    crafted.craft(whole, tmp_path / "misfit.ckpt", lambda content: content["state_dict"].popitem())
    torch.save({"ser": Code()}, tmp_path / "code.ckpt")
    (tmp_path / "pickle.ckpt").write_bytes(pickle.dumps(Code()))
    (tmp_path / "torn.ckpt").write_bytes(whole.read_bytes()[:1000])
    for name, message in {
        "absent.ckpt": "there is no such checkpoint",
        "other.ckpt": "not a checkpoint of this version",
        "half.ckpt": "do not fit together (KeyError)",
        "misfit.ckpt": "do not fit together (RuntimeError)",
        "code.ckpt": "truncated, damaged or holding code",
        "pickle.ckpt": "truncated, damaged or holding code",
        "torn.ckpt": "truncated, damaged or holding code",
    }.items():
        out = tmp_path / "p.csv"
        assert predict(tmp_path, "--ckpt", tmp_path / name, "--out", out) == 2
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


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"ser {ser.__version__}\n"


def test_a_table_that_can_not_be_written_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    before = set(tmp_path.iterdir())
    for out in (tmp_path, tmp_path / "file" / "p.csv", tmp_path / "file" / "deeper" / "p.csv"):
        assert predict("a.wav", "--ckpt", tmp_path / "absent.ckpt", "--out", out) == 2
        assert capsys.readouterr().err.startswith("error: the table can't be written")
    assert set(tmp_path.iterdir()) == before


def test_the_folder_of_the_table_is_made_with_it(ckpt: str, wave: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    out = tmp_path / "new" / "folder" / "p.csv"
    assert predict(tmp_path / "a.wav", "--ckpt", ckpt, "--out", out) == 0
    assert [path.name for path in out.parent.iterdir()] == ["p.csv"]


def test_a_pipe_and_a_link_are_written_into(ckpt: str, wave: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    assert predict(tmp_path / "a.wav", "--ckpt", ckpt, "--out", tmp_path / "p.csv") == 0
    expected = (tmp_path / "p.csv").read_text()
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "there.csv")
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()), daemon=True)
    reader.start()
    for out in (pipe, link):
        assert predict(tmp_path / "a.wav", "--ckpt", ckpt, "--out", out) == 0
    reader.join(10)
    assert heard == [expected]
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert (tmp_path / "there.csv").read_text() == expected


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout")
@pytest.mark.parametrize("redirected", [False, True])
def test_a_table_on_standard_output_stands_alone_there(
    redirected: bool, ckpt: str, wave: np.ndarray, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    assert predict(tmp_path / "a.wav", "--ckpt", ckpt, "--out", tmp_path / "p.csv") == 0
    arguments = ("predict", tmp_path / "a.wav", "--ckpt", ckpt, "--out", "/dev/stdout", *TRUST)
    if redirected:
        with (tmp_path / "out").open("w") as file:
            assert start(*arguments, stdout=file).wait() == 0
        said = (tmp_path / "out").read_text()
    else:
        said = start(*arguments).communicate()[0]
    assert said == (tmp_path / "p.csv").read_text()


@pytest.mark.slow
def test_the_table_is_written_even_if_nobody_reads_the_output(ckpt: str, wave: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    process = start("predict", tmp_path / "a.wav", "--ckpt", ckpt, "--out", tmp_path / "p.csv", *TRUST)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0
    assert len(predicted(tmp_path / "p.csv")) == 1


def test_figures_are_drawn_again_from_the_table_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = predictions.build(crafted.table(), np.tile([0.4, 0.3, 0.2, 0.1], (10, 1)))
    predictions.write(table, tmp_path / "test_results.csv")
    assert main(["figures", f"{tmp_path}/test_results.csv", "--out", f"{tmp_path}/again"]) == 0
    drawn = [Path(path) for path in capsys.readouterr().out.splitlines()]
    assert {path.name for path in drawn} >= {"confusion_matrix.png", "per_emotion.pdf", "per_speaker.png"}
    assert set((tmp_path / "again").iterdir()) == set(drawn)
    assert all(path.stat().st_size for path in drawn)


@pytest.mark.parametrize("name", ["broken.csv", "absent.csv"])
def test_figures_of_no_table(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n")
    assert main(["figures", f"{tmp_path}/{name}"]) == 2
    assert name in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    process = start("--help", env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"})
    said, imports = process.communicate()
    assert "predict" in said
    imported = {line.split("|")[-1].strip().split(".")[0] for line in imports.splitlines()}
    assert "ser" in imported
    assert not imported & {"torch", "numpy", "pandas", "hydra", "lightning", "matplotlib", "soundfile", "rich", "tqdm"}


@pytest.mark.slow
def test_predicting_imports_neither_training_nor_pictures(ckpt: str, wave: np.ndarray, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", wave, 16000)
    arguments = ["predict", str(tmp_path / "a.wav"), "--ckpt", ckpt, "--out", str(tmp_path / "p.csv"), *TRUST]
    code = f"import sys; from ser.cli import main; assert main({arguments!r}) == 0; print('modules:', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split("modules:")[1].split())
    assert "torch" in modules
    assert not modules & FORBIDDEN
