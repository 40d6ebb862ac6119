from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_predictions import made_up
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from ser.results import metrics
from ser.utterances import EMOTIONS

EMOTION = st.sampled_from(EMOTIONS)
PAIRS = st.lists(st.tuples(EMOTION, EMOTION), min_size=1, max_size=60)
SPOKEN = st.lists(st.tuples(EMOTION, EMOTION, st.integers(1, 5)), min_size=1, max_size=60)

TRUTH = ["neutral", "neutral", "calm", "calm", "calm", "happy", "sad", "sad"]
PREDICTED = ["neutral", "calm", "calm", "calm", "happy", "happy", "sad", "angry"]

quickly = settings(max_examples=40, deadline=None)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@quickly
@given(PAIRS)
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    assert metrics.scores(truth, predicted) == pytest.approx(
        {
            "accuracy": accuracy_score(truth, predicted),
            "uar": balanced_accuracy_score(truth, predicted),
            "macro_f1": f1_score(truth, predicted, average="macro"),
        }
    )
    assert (metrics.confusion(truth, predicted) == confusion_matrix(truth, predicted, labels=EMOTIONS)).all()


@quickly
@given(PAIRS)
def test_scores_of_an_emotion_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    theirs = precision_recall_fscore_support(truth, predicted, labels=EMOTIONS, zero_division=np.nan)
    ours = metrics.per_emotion(truth, predicted)
    assert list(ours) == list(EMOTIONS)
    for of, (*ratios, support) in zip(ours.values(), zip(*theirs, strict=True), strict=True):
        defined = [np.nan if ratio is None else ratio for ratio in (of["precision"], of["recall"], of["f1"])]
        assert defined == pytest.approx(ratios, nan_ok=True)
        assert of["support"] == support


@quickly
@given(SPOKEN)
def test_scores_of_a_speaker_are_those_of_their_utterances(rows: list[tuple[str, str, int]]) -> None:
    truth, predicted, speaker = zip(*rows, strict=True)
    ours = metrics.per_speaker(truth, predicted, speaker)
    assert list(ours) == [f"{number:02d}" for number in sorted(set(speaker))]
    for number, of in ours.items():
        alone = [row[:2] for row in rows if row[2] == int(number)]
        expected = metrics.scores(*zip(*alone, strict=True))
        assert of == pytest.approx({"accuracy": expected["accuracy"], "uar": expected["uar"], "n": len(alone)})


def test_scores_counted_by_hand() -> None:
    assert metrics.scores(TRUTH, PREDICTED) == pytest.approx({"accuracy": 5 / 8, "uar": 2 / 3, "macro_f1": 8 / 15})
    of = metrics.per_emotion(TRUTH, PREDICTED)
    assert of["calm"] == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3})
    assert of["happy"] == pytest.approx({"precision": 1 / 2, "recall": 1.0, "f1": 2 / 3, "support": 1})


def test_ratio_without_a_denominator_is_none() -> None:
    of = metrics.per_emotion(TRUTH, PREDICTED)
    assert of["angry"] == {"precision": 0.0, "recall": None, "f1": 0.0, "support": 0}
    assert of["disgust"] == {"precision": None, "recall": None, "f1": None, "support": 0}


def test_rows_of_the_confusion_are_the_truth() -> None:
    counts = metrics.confusion(["sad"], ["angry"])
    assert counts.sum() == counts[EMOTIONS.index("sad"), EMOTIONS.index("angry")] == 1


@pytest.mark.parametrize("kind", [list, np.array, pd.Series], ids=["list", "array", "series"])
def test_any_kind_of_array_is_taken(kind: Any) -> None:
    truth, predicted, speaker = kind(TRUTH), kind(PREDICTED), kind(["01", "01", "01", "01", "12", "12", "12", "12"])
    assert metrics.scores(truth, predicted)["accuracy"] == 5 / 8
    assert metrics.per_speaker(truth, predicted, speaker)["12"]["accuracy"] == 1 / 2
    assert metrics.speaker_bootstrap(truth, predicted, speaker, resamples=99)["accuracy_ci95"] == [0.5, 0.75]


@quickly
@given(SPOKEN)
def test_all_scores_are_plain_values_that_survive_json(rows: list[tuple[str, str, int]]) -> None:
    truth, predicted, speaker = zip(*rows, strict=True)
    found = {
        **metrics.scores(truth, predicted),
        **metrics.speaker_bootstrap(truth, predicted, speaker, resamples=20),
        "per_emotion": metrics.per_emotion(truth, predicted),
        "per_actor": metrics.per_speaker(truth, predicted, speaker),
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("truth", "predicted", "what"),
    [
        ([], [], "0 true and 0 predicted"),
        (["sad", "calm"], ["sad"], "2 true and 1 predicted"),
        (["sad"], ["bored"], "not among the emotions .*: bored"),
        ([float("nan")], ["sad"], "not among the emotions .*: nan"),
    ],
)
def test_arrays_that_cannot_be_scored_are_refused(truth: list[Any], predicted: list[Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        metrics.scores(truth, predicted)


@pytest.mark.parametrize("score", [metrics.per_speaker, metrics.speaker_bootstrap])
def test_speakers_must_be_as_many_as_utterances(score: Any) -> None:
    with pytest.raises(ValueError, match="2 true, 2 predicted emotions, 1 speakers"):
        score(["sad", "calm"], ["sad", "calm"], [1])


def drawn(actors: range) -> tuple[pd.Series, pd.Series, pd.Series]:
    rows = made_up(actors)
    return rows["emotion"], rows["predicted"], rows["actor"]


def test_intervals_contain_the_score() -> None:
    truth, predicted, speaker = drawn(range(1, 20))
    found, score = metrics.speaker_bootstrap(truth, predicted, speaker), metrics.scores(truth, predicted)
    for (low, high), point in zip(found.values(), (score["accuracy"], score["uar"]), strict=True):
        assert 0 < low < point < high < 1


def test_intervals_are_the_same_each_time() -> None:
    rows = drawn(range(20, 25))
    assert metrics.speaker_bootstrap(*rows) == metrics.speaker_bootstrap(*rows)


def test_another_seed_gives_nearly_the_same_interval() -> None:
    rows = drawn(range(1, 20))
    one, other = metrics.speaker_bootstrap(*rows), metrics.speaker_bootstrap(*rows, seed=1)
    assert one["uar_ci95"] != other["uar_ci95"]
    assert one["uar_ci95"] == pytest.approx(other["uar_ci95"], abs=0.005)


def test_intervals_do_not_depend_on_the_order_of_utterances() -> None:
    rows = drawn(range(20, 25))
    backwards = [column.iloc[::-1] for column in rows]
    assert metrics.speaker_bootstrap(*backwards) == metrics.speaker_bootstrap(*rows)


def test_whole_speakers_are_drawn() -> None:
    """Of ten speakers five are always right, so the right ones among ten drawn are binomial: 2 to 8 in 95%."""
    speaker = np.repeat(range(10), 50)
    truth = np.resize(EMOTIONS[:2], 500)
    predicted = np.where(speaker < 5, truth, "sad")
    found = metrics.speaker_bootstrap(truth, predicted, speaker)
    assert found == {"accuracy_ci95": [0.2, 0.8], "uar_ci95": [0.2, 0.8]}


def test_more_utterances_of_the_same_speakers_say_nothing_new() -> None:
    rows = drawn(range(20, 25))
    thrice = [pd.concat([column] * 3) for column in rows]
    assert metrics.speaker_bootstrap(*thrice) == metrics.speaker_bootstrap(*rows)


def test_speakers_that_score_the_same_give_an_interval_without_width() -> None:
    found = metrics.speaker_bootstrap(["sad", "calm"] * 3, ["sad", "sad"] * 3, [1, 1, 2, 2, 3, 3])
    assert found == {"accuracy_ci95": [0.5, 0.5], "uar_ci95": [0.5, 0.5]}


def test_one_speaker_has_no_interval() -> None:
    found = metrics.speaker_bootstrap(TRUTH, PREDICTED, [7] * len(TRUTH))
    assert found == {"accuracy_ci95": None, "uar_ci95": None}
