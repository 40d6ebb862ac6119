"""A corpus of one's own, from its table to the emotion in a clip, as a user would type it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import Command

import ser
from ser import cli

LABELS = ["bored to tears", "fâché", "keen"]
SPEAKERS = ["007", "Ann-Marie", 'Bob "Bo" Ray', "Doe, Jane", "Zoë  Ü"]
RATE, SECONDS = 16000, 0.4
FOLDS = ["protocol=speaker_kfold", "protocol.k=5", "protocol.fold=1", "protocol.val_speakers=1"]
MODELS = {
    "decision_tree": ["features.sample_rate=16000"],
    "cnn": ["trainer.max_epochs=1", "trainer.precision=32-true", "features.sample_rate=16000", "input.frames=32"],
}

Row = tuple[str, str, str, str, str]


def voice(pitch: float, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(round(RATE * SECONDS)) / RATE
    tone = sum(np.sin(2 * np.pi * pitch * part * time) / part for part in range(1, 9))
    return (0.1 * tone * np.sin(np.pi * time / SECONDS) + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


def write_table(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "speaker", "emotion", "start", "end"), *rows])
    return path


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the first speaker one long file in segments, of the others a file for each utterance."""
    folder, rng, rows = tmp_path_factory.mktemp("csv corpus"), np.random.default_rng(0), list[Row]()
    for number, speaker in enumerate(SPEAKERS):
        waves = [(label, voice(100 + 90 * at + 7 * number, rng)) for at, label in enumerate(LABELS) for _ in range(4)]
        if not number:
            soundfile.write(folder / "a long one.wav", np.concatenate([wave for _, wave in waves]), RATE)
            ends = [f"{SECONDS * (take + 1):.1f}" for take in range(len(waves))]
            starts = ["0", *ends[:-1]]
            rows += [
                ("a long one.wav", speaker, label, *segment)
                for (label, _), segment in zip(waves, zip(starts, ends, strict=True), strict=True)
            ]
            continue
        for take, (label, wave) in enumerate(waves):
            name = f"clips of é/{number} take {take}.wav"
            (folder / name).parent.mkdir(exist_ok=True)
            soundfile.write(folder / name, wave, RATE)
            rows.append((name, speaker, label, "", ""))
    return write_table(folder / "my table.csv", rows)


@pytest.fixture(scope="module")
def runs(command: Command, table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of either kind of model, evaluated."""
    folder = tmp_path_factory.mktemp("csv runs")
    for model, quick in MODELS.items():
        corpus = [f"data.file='{table}'", "data=csv", *FOLDS, "trainer=cpu"]
        command("train.py", f"model={model}", *corpus, *quick, f"hydra.run.dir={folder / model}")
        command("evaluate.py", f"ckpt={folder / model}")
    return {model: folder / model for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_labels_and_speakers_are_those_of_the_table(model: str, runs: dict[str, Path]) -> None:
    parts = pd.read_csv(runs[model] / "split.csv")["part"].value_counts()
    assert parts.to_dict() == {"train": 36, "val": 12, "test": 12}
    results = pd.read_csv(runs[model] / "evaluation" / "best-test" / "test_results.csv", dtype={"speaker": str})
    assert list(results.columns[-3:]) == [f"score_{label}" for label in LABELS]
    assert set(results["emotion"]) == set(LABELS)
    facts = json.loads((runs[model] / "evaluation" / "best-test" / "metrics.json").read_text())
    assert list(facts["per_emotion"]) == LABELS
    assert list(facts["per_speaker"]) == sorted(set(results["speaker"]))
    assert facts["corpus"] == "my table"
    assert facts["speakers"] == "unseen in training"


def test_every_utterance_is_tested_once(command: Command, table: Path, tmp_path: Path) -> None:
    folds = ",".join(map(str, range(5)))
    corpus = ["data=csv", f"data.file='{table}'", *FOLDS[:2], f"protocol.fold={folds}", FOLDS[3], "trainer=cpu"]
    command("train.py", "-m", "model=dummy", *corpus, *MODELS["decision_tree"], f"hydra.sweep.dir={tmp_path}")
    splits = pd.concat(pd.read_csv(tmp_path / f"{fold}_dummy" / "split.csv") for fold in range(5))
    tested = splits.loc[splits["part"] == "test", "utterance"]
    assert len(tested) == tested.nunique() == 60


@pytest.mark.parametrize("model", MODELS)
def test_a_clip_is_recognised_with_these_labels(
    model: str, runs: dict[str, Path], table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = table.parent / "clips of é"
    assert cli.main(["predict", str(clips), "--ckpt", str(runs[model]), "--out", f"{tmp_path}/p.csv"]) == 0
    found = pd.read_csv(tmp_path / "p.csv").set_index("path")
    assert list(found.columns) == ["predicted", *(f"score_{label}" for label in LABELS)]
    assert len(found) == 48
    shown = capsys.readouterr().out
    assert all(label[:4] in shown for label in LABELS)
    clip = clips / "1 take 0.wav"
    assert list(ser.load(runs[model])(clip).scores) == LABELS
    scored = pd.read_csv(runs[model] / "evaluation" / "best-test" / "test_results.csv").set_index("path")
    both = [path for path in scored.index if path in found.index]
    assert both
    names = [f"score_{label}" for label in LABELS]
    np.testing.assert_allclose(found.loc[both, names], scored.loc[both, names], atol=1e-5)


def test_wrong_rows_are_named_by_their_line(command: Command, table: Path, tmp_path: Path) -> None:
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    rows[2][0] = "not there.wav"
    rows[20][2] = ""
    rows[5][3] = "9"
    bad = write_table(tmp_path / "bad.csv", rows)  # type: ignore[arg-type]
    corpus = ["data=csv", f"data.file={bad}", f"data.root='{table.parent}'", *FOLDS, "trainer=cpu", "model=dummy"]
    refused = command("train.py", *corpus, f"hydra.run.dir={tmp_path}/run", fails=True)
    assert "problems in the corpus: 3" in refused.stderr
    assert f"{bad}:4: no such file" in refused.stderr
    assert f"{bad}:7: " in refused.stderr
    assert f"{bad}:22: no emotion" in refused.stderr
    assert "Traceback" not in refused.stderr
    command("train.py", *corpus, "data.on_problem=leave_out", f"hydra.run.dir={tmp_path}/run")
    assert len(pd.read_csv(tmp_path / "run" / "split.csv")) == len(rows) - 3


def test_a_corpus_that_has_moved_is_named(command: Command, runs: dict[str, Path], table: Path, tmp_path: Path) -> None:
    run = shutil.copytree(runs["cnn"], tmp_path / "run")
    moved = shutil.copytree(table.parent, tmp_path / "else where")
    left = (moved / table.name).rename(tmp_path / "table.csv")
    before = json.loads((run / "evaluation" / "best-test" / "metrics.json").read_text())
    here = [f"data.root='{moved}'", f"data.file={left}"]
    command("evaluate.py", f"ckpt={run}", *here)
    again = json.loads((run / "evaluation" / "best-test" / "metrics.json").read_text())
    assert (again["accuracy"], again["scored_corpus_fingerprint"]) == (
        before["accuracy"],
        before["scored_corpus_fingerprint"],
    )
    command("train.py", f"resume={run}", "trainer.max_epochs=2", here[0], f"+{here[1]}")  # as Hydra tells to write it
    assert len(pd.read_csv(run / "metrics.csv")) == 2
    command("evaluate.py", f"ckpt={run}")  # knows from the resumed run where it is
    gone = shutil.copytree(runs["cnn"], tmp_path / "gone")
    refused = command("evaluate.py", f"ckpt={gone}", "data.root=no/where", fails=True)
    assert "no row of the table can be used" in refused.stderr
    assert "data.root" in refused.stderr


def test_a_root_alone_is_enough_where_names_say_all(command: Command, workplace: Path, tmp_path: Path) -> None:
    quick = ["trainer=cpu", "trainer.max_epochs=1", *MODELS["cnn"][1:], f"data.root={workplace / 'corpus'}"]
    command("train.py", *quick, f"hydra.run.dir={tmp_path}/run")
    moved = shutil.copytree(workplace / "corpus", tmp_path / "elsewhere")
    command("evaluate.py", f"ckpt={tmp_path}/run", f"data.root={moved}")
    results = pd.read_csv(tmp_path / "run" / "evaluation" / "best-test" / "test_results.csv")
    assert results["path"].str.startswith(str(moved)).all()
    command("train.py", f"resume={tmp_path}/run/checkpoints/last.ckpt", "trainer.max_epochs=2", f"data.root={moved}")
    assert len(pd.read_csv(tmp_path / "run" / "metrics.csv")) == 2


@pytest.mark.parametrize(
    ("choice", "labels"),
    [
        ("{calm:neutral,surprised:null}", ["neutral", "happy", "sad", "angry", "fearful", "disgust"]),
        ("[angry,sad]", ["sad", "angry"]),
        ("{calm:low,neutral:low,sad:low}", ["low", "happy", "angry", "fearful", "disgust", "surprised"]),
    ],
)
def test_labels_are_chosen_on_the_command_line(
    choice: str, labels: list[str], command: Command, workplace: Path, tmp_path: Path
) -> None:
    quick = ["model=decision_tree", "trainer=cpu", *MODELS["decision_tree"], f"data.root={workplace / 'corpus'}"]
    command("train.py", *quick, f"data.labels={choice}", f"hydra.run.dir={tmp_path}/run")
    command("evaluate.py", f"ckpt={tmp_path}/run")
    results = pd.read_csv(tmp_path / "run" / "evaluation" / "best-test" / "test_results.csv")
    scores = [name for name in results if name.startswith("score_")]
    assert scores == [f"score_{label}" for label in labels]
    assert set(results["emotion"]) == set(labels)
    assert ser.load(tmp_path / "run").labels == tuple(labels)
