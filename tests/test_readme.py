"""The README's code blocks, run in their order on generated speech, as a new user would."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import soundfile
from conftest import ROOT, Command

from ser.demo import voice

BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
RATE = 16000


@pytest.fixture(scope="module")
def place(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two scripts, their configurations and the recordings that the README speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "conf", folder / "conf")
    for script in ("train.py", "evaluate.py"):
        shutil.copy(ROOT / script, folder)
    for number, name in enumerate(
        ["clip", "interviews/anna", "clips/ben 1", "clips/ben 2", "clips/eva 1", "clips/eva 2"]
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / f"{name}.wav", voice.synthesise(number, (3, 1, 1, 1, 1), 2.0, RATE), RATE)
    (folder / "my.csv").write_text(block("csv"))
    (folder / "mine.py").write_text(next(text for kind, text in BLOCKS if "class Mine" in text))
    (folder / "conf" / "model" / "mine.yaml").write_text(next(text for _, text in BLOCKS if "mine.Mine" in text))
    (folder / "conf" / "model" / "bayes.yaml").write_text(next(text for _, text in BLOCKS if "naive_bayes" in text))
    return folder


def block(kind: str) -> str:
    """The only block of its kind."""
    (found,) = (text for of_kind, text in BLOCKS if of_kind == kind)
    return found


@pytest.fixture(autouse=True)
def _here(place: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SER_RAVDESS_ROOT", str(workplace / "corpus"))
    monkeypatch.chdir(place)


@pytest.mark.slow
def test_the_commands_and_the_api_work_as_they_are_written(
    command: Command, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, text in BLOCKS:
        if kind == "bash":
            for line in text.splitlines():
                python, script, *overrides = shlex.split(line)
                assert python == "python"
                command(script, *overrides, place=place)
        if kind == "python" and "import ser" in text:
            exec(text, {})
            label, scores = capsys.readouterr().out.split(" ", 1)
            assert scores.startswith("{'neutral': ")
            assert f"'{label}': " in scores
    assert (place / "outputs" / "first" / "evaluation" / "best-test" / "confusion_matrix.png").exists()
    assert (place / "outputs" / "mine" / "evaluation" / "best-test" / "test_results.csv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mine", "bayes"])
def test_the_models_work_as_they_are_written(model: str, command: Command, place: Path) -> None:
    folder = place / "outputs" / f"model_{model}"
    command("train.py", f"model={model}", "trainer.max_epochs=1", f"hydra.run.dir={folder}", place=place)
    command("evaluate.py", f"ckpt={folder}", "trust=[mine]", place=place)
    assert (folder / "evaluation" / "best-test" / "metrics.json").exists()
