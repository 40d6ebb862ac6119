from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_predictions import made_up
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from ser.results import metrics
from ser.results.predictions import class_pairs

CLASSES = 8
CLASS = st.integers(0, CLASSES - 1)
PAIRS = st.lists(st.tuples(CLASS, CLASS), min_size=1, max_size=60)
SPOKEN = st.lists(st.tuples(CLASS, CLASS, st.text(max_size=2)), min_size=1, max_size=60)

TRUTH = [0, 0, 1, 1, 1, 2, 3, 3]
PREDICTED = [0, 1, 1, 1, 2, 2, 3, 4]

quickly = settings(max_examples=40, deadline=None)


def counted(pairs: Sequence[tuple[int, int]]) -> metrics.Counts:
    truth, predicted = zip(*pairs, strict=True)
    return metrics.confusion(truth, predicted, CLASSES)


def by_speaker(rows: pd.DataFrame) -> metrics.Counts:
    truth, predicted, classes = class_pairs(rows)
    return metrics.confusion_by_speaker(truth, predicted, rows["speaker"], classes)[1]


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@quickly
@given(PAIRS)
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    counts = counted(pairs)
    assert metrics.scores(counts) == pytest.approx(
        {
            "accuracy": accuracy_score(truth, predicted),
            "uar": balanced_accuracy_score(truth, predicted),
            "macro_f1": f1_score(truth, predicted, average="macro"),
        }
    )
    labels = range(CLASSES)
    assert (counts == confusion_matrix(truth, predicted, labels=labels)).all()
    theirs = confusion_matrix(truth, predicted, labels=labels, normalize="true")
    assert np.nan_to_num(metrics.shares(counts)) == pytest.approx(theirs)


@quickly
@given(PAIRS)
def test_scores_of_a_class_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    theirs = precision_recall_fscore_support(truth, predicted, labels=range(CLASSES), zero_division=np.nan)
    for of, (*ratios, support) in zip(metrics.per_class(counted(pairs)), zip(*theirs, strict=True), strict=True):
        defined = [np.nan if ratio is None else ratio for ratio in (of["precision"], of["recall"], of["f1"])]
        assert defined == pytest.approx(ratios, nan_ok=True)
        assert of["support"] == support


@quickly
@given(SPOKEN)
def test_scores_of_a_speaker_are_those_of_their_utterances(rows: list[tuple[int, int, str]]) -> None:
    speakers, counts = metrics.confusion_by_speaker(*zip(*rows, strict=True), CLASSES)
    assert speakers == sorted({row[2] for row in rows})
    for speaker, of in zip(speakers, metrics.per_speaker(counts), strict=True):
        alone = [row[:2] for row in rows if row[2] == speaker]
        expected = metrics.scores(counted(alone))
        assert of == pytest.approx({"accuracy": expected["accuracy"], "uar": expected["uar"], "n": len(alone)})


def test_scores_counted_by_hand() -> None:
    counts = metrics.confusion(TRUTH, PREDICTED, 5)
    assert metrics.scores(counts) == pytest.approx({"accuracy": 5 / 8, "uar": 2 / 3, "macro_f1": 8 / 15})
    of = metrics.per_class(counts)
    assert of[1] == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3})
    assert of[2] == pytest.approx({"precision": 1 / 2, "recall": 1.0, "f1": 2 / 3, "support": 1})


def test_ratio_without_a_denominator_is_none() -> None:
    of = metrics.per_class(metrics.confusion(TRUTH, PREDICTED, 6))
    assert of[4] == {"precision": 0.0, "recall": None, "f1": 0.0, "support": 0}
    assert of[5] == {"precision": None, "recall": None, "f1": None, "support": 0}


def test_rows_of_the_confusion_are_the_truth() -> None:
    assert metrics.confusion([1], [2], 3).tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize("kind", [np.int8, np.uint64])
def test_any_kind_of_whole_number_is_an_index(kind: Any) -> None:
    assert metrics.confusion(np.array([11], kind), np.array([10], kind), 12)[11, 10] == 1


@settings(max_examples=5, deadline=None)
@given(SPOKEN)
def test_all_scores_are_plain_values_that_survive_json(rows: list[tuple[int, int, str]]) -> None:
    _, counts = metrics.confusion_by_speaker(*zip(*rows, strict=True), CLASSES)
    found = {
        **metrics.scores(counts.sum(axis=0)),
        **metrics.speaker_bootstrap(counts),
        "per_class": metrics.per_class(counts.sum(axis=0)),
        "per_speaker": metrics.per_speaker(counts),
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_intervals_are_those_of_scipy() -> None:
    counts = by_speaker(made_up(range(1, 20)))
    found = metrics.speaker_bootstrap(counts)
    assert found == {
        "accuracy_ci95": [0.5614035087719298, 0.6157894736842106],
        "uar_ci95": [0.5641447368421053, 0.6192434210526315],
    }
    for score, name in ((metrics.accuracy, "accuracy_ci95"), (metrics.uar, "uar_ci95")):
        theirs = bootstrap(
            (np.arange(len(counts)),),
            lambda drawn, score=score: score(counts[drawn].sum(axis=0)),
            vectorized=False,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        assert found[name] == [theirs.low, theirs.high]


def test_intervals_contain_the_score() -> None:
    counts = by_speaker(made_up(range(1, 20)))
    found, score = metrics.speaker_bootstrap(counts), metrics.scores(counts.sum(axis=0))
    for (low, high), point in zip(found.values(), (score["accuracy"], score["uar"]), strict=True):
        assert 0 < low < point < high < 1


def test_intervals_do_not_depend_on_the_order_of_utterances() -> None:
    rows = made_up(range(20, 25))
    found = metrics.speaker_bootstrap(by_speaker(rows))
    assert found == {"accuracy_ci95": [0.56, 0.6066666666666667], "uar_ci95": [0.571875, 0.621875]}
    assert metrics.speaker_bootstrap(by_speaker(rows.iloc[::-1])) == found


def test_whole_speakers_are_drawn() -> None:
    """Of ten speakers five are always right, so the right ones among ten drawn are binomial: 2 to 8 in 95%."""
    right = [[25, 0, 0], [0, 25, 0], [0, 0, 0]]
    wrong = [[0, 0, 25], [0, 0, 25], [0, 0, 0]]
    found = metrics.speaker_bootstrap(np.array([right] * 5 + [wrong] * 5))
    assert found == {"accuracy_ci95": [0.2, 0.8], "uar_ci95": [0.2, 0.8]}


def test_more_utterances_of_the_same_speakers_say_nothing_new() -> None:
    counts = by_speaker(made_up(range(20, 25)))
    assert metrics.speaker_bootstrap(3 * counts) == metrics.speaker_bootstrap(counts)


def test_speakers_that_score_the_same_give_an_interval_without_width() -> None:
    found = metrics.speaker_bootstrap(np.array([[[1, 0], [1, 0]]] * 3))
    assert found == {"accuracy_ci95": [0.5, 0.5], "uar_ci95": [0.5, 0.5]}


def test_one_speaker_has_no_interval() -> None:
    found = metrics.speaker_bootstrap(metrics.confusion(TRUTH, PREDICTED, 5)[None])
    assert found == {"accuracy_ci95": None, "uar_ci95": None}
