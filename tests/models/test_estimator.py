from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor

from ser.errors import CheckpointError, ConfigError
from ser.models.estimator import Estimator

DIM = 6
ONES = torch.ones(96, dtype=torch.int64)
"""The lengths of vectors."""

ESTIMATORS = [
    DecisionTreeClassifier(),
    RandomForestClassifier(10),
    ExtraTreesClassifier(10),
    HistGradientBoostingClassifier(max_iter=2),
    KNeighborsClassifier(),
    make_pipeline(StandardScaler(), MLPClassifier(max_iter=5)),
    make_pipeline(StandardScaler(), PCA(), LogisticRegression()),
    DummyClassifier(),
    LinearSVC(),
    RidgeClassifier(),
    SVC(decision_function_shape="ovo"),
]


def data(classes: int = 8) -> tuple[Tensor, Tensor]:
    y = torch.arange(96) % classes
    x = torch.randn(96, DIM, 1, generator=torch.Generator().manual_seed(0))
    x[:, 0, 0] += 2 * y
    return x, y


def stored(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_fits_scores_and_comes_back_from_a_checkpoint_unchanged(estimator: Any) -> None:
    x, y = data()
    model = Estimator((DIM, 1), 8, estimator)
    model.fit(x, y, seed=3)
    scores = model(x, ONES)
    assert scores.shape == (96, 8)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores.exp().sum(1), torch.ones(96))
    assert torch.isfinite(F.cross_entropy(scores, y))
    again = Estimator((DIM, 1), 8, estimator)
    again.load_state_dict(stored(model.state_dict()))
    assert torch.equal(again(x, ONES), scores)


@pytest.mark.parametrize("estimator", [RandomForestClassifier(10), LinearSVC(), RidgeClassifier(), SVC()])
@pytest.mark.parametrize("known", [[2, 5], [1, 4, 6]])
def test_classes_absent_from_training_get_a_finite_loss(estimator: Any, known: list[int]) -> None:
    x, y = data(len(known))
    model = Estimator((DIM, 1), 8, estimator)
    model.fit(x, torch.tensor(known)[y], seed=0)
    scores = model(x, ONES)
    assert set(scores.argmax(1).tolist()) <= set(known)
    absent = F.cross_entropy(scores, torch.zeros(96, dtype=torch.long))
    torch.testing.assert_close(absent, torch.tensor(104.0).log())  # the rule of succession: 1 / (96 + 8)


def test_the_choice_is_that_of_the_estimator() -> None:
    x, y = data()
    for estimator in (LinearSVC(), SVC(), SVC(decision_function_shape="ovo"), DecisionTreeClassifier(random_state=0)):
        model = Estimator((DIM, 1), 8, estimator)
        model.fit(x, y, seed=0)
        vectors = x[..., 0].double().numpy()
        assert model(x, ONES).argmax(1).tolist() == estimator.fit(vectors, y.numpy()).predict(vectors).tolist()


def test_the_seed_decides_every_step() -> None:
    x, y = data()
    model = Estimator((DIM, 1), 8, make_pipeline(PCA(2, svd_solver="randomized"), RandomForestClassifier(5)))
    scores = []
    for seed in (1, 1, 2):
        model.fit(x, y, seed)
        assert model.fitted[0].random_state == model.fitted[1].random_state == seed
        scores.append(model(x, ONES))
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


def test_a_search_keeps_groups_on_one_side() -> None:
    x, y = data()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.01, 1.0]}, cv=GroupKFold(3)
    )
    model = Estimator((DIM, 1), 8, search)
    model.fit(x, y, seed=0, groups=torch.arange(96) // 8)
    again = Estimator((DIM, 1), 8, search)
    again.load_state_dict(stored(model.state_dict()))
    assert torch.equal(again(x, ONES), model(x, ONES))


def test_values_on_which_the_estimator_fails() -> None:
    x, y = data()
    model = Estimator((DIM, 1), 8, RadiusNeighborsClassifier(radius=5.0))
    model.fit(x, y, seed=0)
    with pytest.raises(CheckpointError, match="RadiusNeighborsClassifier can't tell these 96 utterances: No neighbors"):
        model(x + 1e6, ONES)


def test_what_is_scored_in_training_is_what_a_checkpoint_brings_back() -> None:
    x, y = data()
    model = Estimator((DIM, 1), 8, make_pipeline(StandardScaler(), MLPClassifier(max_iter=2)))
    model.fit(x, y, seed=0)
    assert model.fitted[-1]._random_state is None


def test_not_fitted() -> None:
    model = Estimator((DIM, 1), 8, DecisionTreeClassifier())
    again = Estimator((DIM, 1), 8, DecisionTreeClassifier())
    again.load_state_dict(stored(model.state_dict()))
    assert again.fitted is None
    assert not list(model.parameters())


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="one vector per utterance, not 64 x 352"):
        Estimator((64, 352), 8, DecisionTreeClassifier())
    with pytest.raises(ConfigError, match="Ridge is not a classifier"):
        Estimator((DIM, 1), 8, Ridge())


class Foreign(DecisionTreeClassifier):  # type: ignore[misc]
    """A type that no checkpoint of the package holds."""


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (make_pipeline(FunctionTransformer(Path.unlink), DecisionTreeClassifier()), "unlink"),
        (Foreign(), "Foreign"),
    ],
)
def test_a_checkpoint_that_asks_for_another_type_is_refused(estimator: Any, named: str) -> None:
    from skops.io import dumps

    content = torch.frombuffer(bytearray(dumps(estimator)), dtype=torch.uint8)
    model = Estimator((DIM, 1), 8, DecisionTreeClassifier())
    with pytest.raises(CheckpointError, match=f"not trusted.*{named}"):
        model.load_state_dict(stored({"_extra_state": {"skops": content, "n_fitted": 1}}))
    assert model.fitted is None


def test_a_damaged_estimator_is_refused() -> None:
    model = Estimator((DIM, 1), 8, DecisionTreeClassifier())
    with pytest.raises(CheckpointError, match="can't be read"):
        model.load_state_dict({"_extra_state": {"skops": torch.zeros(9, dtype=torch.uint8), "n_fitted": 1}})
