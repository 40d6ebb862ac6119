"""A checkpoint on another corpus: scored on the labels that both have, and never on what it was trained on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Command

import ser
from ser.corpora import ravdess
from ser.corpora.ravdess import EMOTIONS
from ser.demo import corpus as synthetic

THEIRS = {"happy": "happy", "sad": "sad", "angry": "angry", "calm": "bored"}
"""What the other corpus calls some of the emotions; it has no others."""

COMMON = ["happy", "sad", "angry"]


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_pictures")]


@pytest.fixture(scope="module")
def run(command: Command, workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the tiny corpus."""
    folder = tmp_path_factory.mktemp("cross") / "run"
    quick = ["model=decision_tree", "trainer=cpu", "features.sample_rate=16000", f"data.root={workplace / 'corpus'}"]
    command("train.py", *quick, f"hydra.run.dir={folder}")
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of another corpus, two speakers of another seed."""
    folder = tmp_path_factory.mktemp("other")
    synthetic.fetch(folder / "wav", seed=7, speakers=(1, 2), repetitions=1, seconds=0.3, rate=16000)
    return write_table(folder / "other.csv", folder / "wav", THEIRS)


def write_table(path: Path, root: Path, names: dict[str, str]) -> Path:
    listed = ravdess.read(root).table
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "speaker", "emotion"])
        for row in listed.itertuples():
            if row.emotion in names:
                writer.writerow([row.path, row.speaker, names[row.emotion]])
    return path


def test_it_is_scored_on_the_labels_that_both_have(run: Path, other: Path, command: Command) -> None:
    said = command("evaluate.py", f"ckpt={run}", "data=csv", f"data.file={other}")
    folder = run / "evaluation" / "best-test-other"
    facts = json.loads((folder / "metrics.json").read_text())
    rows, listed = pd.read_csv(folder / "test_results.csv"), pd.read_csv(other)
    assert list(facts["per_emotion"]) == COMMON
    assert sorted(facts["labels_left_out"]) == sorted({*EMOTIONS, "bored"} - {*COMMON})
    assert (facts["corpus"], facts["scored_corpus"]) == ("ravdess", "other")
    assert facts["corpus_fingerprint"] != facts["scored_corpus_fingerprint"]
    assert "not compared" in facts["speakers"]  # they are called as some who were trained on, and are others
    assert len(rows) == facts["n_utterances"] == listed["emotion"].isin(COMMON).sum()
    assert list(rows.columns[-3:]) == [f"score_{label}" for label in COMMON]
    np.testing.assert_allclose(rows.iloc[:, -3:].sum(axis=1), 1, atol=1e-6)
    assert set(rows["predicted"]) <= set(COMMON)
    assert facts["accuracy"] == pytest.approx(rows["correct"].mean())
    assert "scored on happy, sad, angry" in said.stdout
    assert f"{len(listed) - len(rows)} of {len(listed)} utterances have another emotion" in said.stdout
    assert "labels left out" in said.stdout
    assert "bored" in said.stdout


def test_scores_are_renormalised(run: Path, other: Path, command: Command, tmp_path: Path) -> None:
    command("evaluate.py", f"ckpt={run}", "data=csv", f"data.file={other}", f"out={tmp_path}")
    rows = pd.read_csv(tmp_path / "test_results.csv")
    for row, found in zip(rows.to_dict("records"), ser.load(run)(rows["path"].tolist()), strict=True):
        known = np.array([found.scores[label] for label in COMMON])
        expected = known / known.sum()
        np.testing.assert_allclose([row[f"score_{label}"] for label in COMMON], expected, atol=1e-5)


def test_emotions_may_be_renamed_to_be_scored(run: Path, other: Path, command: Command, tmp_path: Path) -> None:
    corpus = ["data=csv", f"data.file={other}", "data.labels={bored:calm}"]
    command("evaluate.py", f"ckpt={run}", *corpus, f"out={tmp_path}")
    facts = json.loads((tmp_path / "metrics.json").read_text())
    assert list(facts["per_emotion"]) == ["calm", *COMMON]
    assert facts["n_utterances"] == len(pd.read_csv(other))


@pytest.mark.parametrize("names", [{"happy": "glad", "sad": "low"}, {"happy": "happy", "sad": "low"}])
def test_fewer_than_two_labels_in_common(
    names: dict[str, str], run: Path, other: Path, command: Command, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "few.csv", other.parent / "wav", names)
    out = f"out={tmp_path}/out"
    refused = command("evaluate.py", f"ckpt={run}", "data=csv", f"data.file={table}", out, fails=True)
    assert "too few in common" in refused.stderr
    assert "data.labels" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_recordings_of_the_training_are_no_test(
    run: Path, workplace: Path, other: Path, command: Command, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "same.csv", workplace / "corpus", THEIRS)
    heard = [*pd.read_csv(run / "split.csv").query("part != 'test'")["utterance"]]
    listed = pd.read_csv(table)
    counted = listed[listed["emotion"].isin(COMMON)]
    again = counted["path"].map(lambda path: Path(path).stem).isin(heard).sum()
    out = f"out={tmp_path}/out"
    refused = command("evaluate.py", f"ckpt={run}", "data=csv", f"data.file={table}", out, fails=True)
    assert f"{again} of {len(counted)} recordings were trained on or validated on" in refused.stderr
    assert not (tmp_path / "out").exists()
    tested = listed[~listed["path"].map(lambda path: Path(path).stem).isin(heard)]
    tested.to_csv(tmp_path / "tested.csv", index=False)
    command("evaluate.py", f"ckpt={run}", "data=csv", f"data.file={tmp_path / 'tested.csv'}", out)


def test_all_of_another_corpus_is_test(run: Path, other: Path, command: Command) -> None:
    refused = command("evaluate.py", f"ckpt={run}", "data=csv", f"data.file={other}", "split=val", fails=True)
    assert "all of another corpus is test" in refused.stderr
