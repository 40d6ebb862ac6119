"""A score says what it is a score of, and stands beside the others of its run."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT, Command

from ser import provenance

QUICK = ["model=decision_tree", "trainer=cpu", "features.sample_rate=16000"]


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]


@pytest.fixture(scope="module")
def run(command: Command, workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, evaluated in all ways that it can be."""
    folder = tmp_path_factory.mktemp("scores") / "run"
    command("train.py", *QUICK, f"data.root={workplace / 'corpus'}", f"hydra.run.dir={folder}")
    last = f"ckpt={folder}/checkpoints/last.ckpt"
    for ways in ([f"ckpt={folder}"], [f"ckpt={folder}", "split=val"], [last], [f"ckpt={folder}", "test_speakers=[20]"]):
        command("evaluate.py", *ways)
    return folder


def said(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return facts


def test_every_way_to_evaluate_has_its_folder(run: Path) -> None:
    found = {path.name: said(path) for path in (run / "evaluation").iterdir()}
    parts = {
        name: (facts["part"], facts["checkpoint"]["file"], facts["n_speakers"], facts["n_utterances"])
        for name, facts in found.items()
    }
    assert parts == {
        "best-test": ("test", "best.ckpt", 2, 60),
        "best-val": ("val", "best.ckpt", 4, 41),
        "last-test": ("test", "last.ckpt", 2, 60),
        "best-test-speakers-20": ("test", "best.ckpt", 1, 30),
    }


def test_a_score_says_what_it_is_of(run: Path) -> None:
    summary, facts = json.loads((run / "summary.json").read_text()), said(run / "evaluation" / "best-test")
    for about in (summary, facts):
        assert (about["corpus"], about["protocol"], about["model"]) == ("ravdess", "reference", "decision_tree")
        assert (about["features"], about["seed"], about["limited_by"]) == ("functionals", 1, None)
        assert len(about["corpus_fingerprint"]) == len(about["split_fingerprint"]) == 16
        assert about["protocol_settings"]["val_fraction"] == 0.34
        assert about["parameters"] == 0  # of a network; an estimator has none that are counted so
        assert about["version"] == provenance.provenance()["version"]
        assert about["commit"] == provenance.provenance()["commit"]
        assert about["command"].startswith(f"{ROOT}/train.py model=decision_tree")
    assert facts["part"] == "test"
    assert facts["checkpoint"] == {"file": "best.ckpt", "epoch": summary["best_epoch"]}
    assert facts["scored_corpus"] == "ravdess"
    assert facts["scored_corpus_fingerprint"] == summary["corpus_fingerprint"]
    assert facts["evaluated_by"]["command"] == f"{ROOT}/evaluate.py ckpt={run}"
    assert facts["labels_left_out"] == []


def test_scoring_again_gives_the_same(run: Path, command: Command) -> None:
    before = said(run / "evaluation" / "best-test")
    command("evaluate.py", f"ckpt={run}")
    assert said(run / "evaluation" / "best-test") == before


def test_other_recordings_of_the_same_names_are_another_corpus(
    run: Path, command: Command, workplace: Path, tmp_path: Path
) -> None:
    root, speakers = tmp_path / "other", "data.fetch.speakers=[1,2,3,4,20,21]"
    brief = ["data.fetch.repetitions=1", "data.fetch.seconds=0.3", "data.fetch.rate=16000", "data.fetch.seed=1"]
    made = ["data=synthetic", f"data.root={root}", "data.download=true", speakers, *brief]
    command("train.py", *QUICK, *made, f"hydra.run.dir={tmp_path}/run")
    one, other = (json.loads((folder / "summary.json").read_text()) for folder in (run, tmp_path / "run"))
    assert other["corpus"] == "synthetic"
    assert one["split_fingerprint"] == other["split_fingerprint"]
    assert one["corpus_fingerprint"] != other["corpus_fingerprint"]
    command("evaluate.py", f"ckpt={run}", f"data.root={root}", f"out={tmp_path}/out")
    facts = said(tmp_path / "out")
    assert facts["corpus_fingerprint"] == one["corpus_fingerprint"]
    assert facts["scored_corpus_fingerprint"] == other["corpus_fingerprint"]


def test_the_fingerprint_is_of_content_and_not_of_place(
    run: Path, command: Command, workplace: Path, tmp_path: Path
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (workplace / "corpus").rglob("*.wav"):
        shutil.copy(path, flat)
    command("evaluate.py", f"ckpt={run}", f"data.root={flat}", f"out={tmp_path}/out")
    expected = json.loads((run / "summary.json").read_text())["corpus_fingerprint"]
    assert said(tmp_path / "out")["scored_corpus_fingerprint"] == expected


def test_a_checkpoint_alone_is_scored_only_to_where_one_says(run: Path, command: Command, tmp_path: Path) -> None:
    for name in ("lone/best.ckpt", "deeper/checkpoints/best.ckpt"):
        alone = tmp_path / name
        alone.parent.mkdir(parents=True)
        shutil.copy(run / "checkpoints" / "best.ckpt", alone)
        before = set(tmp_path.rglob("*"))
        refused = command("evaluate.py", f"ckpt={alone}", fails=True)
        assert "in no run folder" in refused.stderr
        assert "out=FOLDER" in refused.stderr
        assert set(tmp_path.rglob("*")) == before
        command("evaluate.py", f"ckpt={alone}", f"out={alone.parent}/out")
        assert said(alone.parent / "out")["accuracy"] == said(run / "evaluation" / "best-test")["accuracy"]


def test_the_commit_says_whether_the_source_is_that_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> str:
        line = ["git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e@e", *words]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()

    source = tmp_path / "ser" / "provenance.py"
    source.parent.mkdir()
    monkeypatch.setattr(provenance, "__file__", str(source))
    assert provenance._commit.__wrapped__() is None
    source.write_text("one")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    head = git("rev-parse", "--short=12", "HEAD")
    assert provenance._commit.__wrapped__() == head
    (tmp_path / "outside.txt").write_text("of no concern")
    assert provenance._commit.__wrapped__() == head
    source.write_text("other")
    assert provenance._commit.__wrapped__() == f"{head} modified"


def test_scores_of_a_part_of_an_epoch_say_so(command: Command, workplace: Path, tmp_path: Path) -> None:
    limited = ["trainer.limit_train_batches=0.9", "trainer.limit_val_batches=1"]
    command("train.py", *QUICK, f"data.root={workplace / 'corpus'}", *limited, f"hydra.run.dir={tmp_path}/run")
    command("evaluate.py", f"ckpt={tmp_path}/run")
    for path in ("summary.json", "evaluation/best-test/metrics.json"):
        facts = json.loads((tmp_path / "run" / path).read_text())
        assert facts["limited_by"] == ["trainer.limit_train_batches", "trainer.limit_val_batches"]


def test_the_split_file_agrees_with_the_scored_rows(run: Path) -> None:
    parts = pd.read_csv(run / "split.csv").set_index("utterance")["part"]
    for part in ("test", "val"):
        scored = pd.read_csv(run / "evaluation" / f"best-{part}" / f"{part}_results.csv")["utterance"]
        assert set(scored) == set(parts[parts == part].index)
