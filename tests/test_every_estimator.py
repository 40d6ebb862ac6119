"""Every classifier of scikit-learn: comes back from a checkpoint unchanged, or is refused in time."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import NMF, PCA, FastICA, IncrementalPCA, KernelPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomTreesEmbedding,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import (
    RFE,
    SelectFromModel,
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
    chi2,
    mutual_info_classif,
)
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier, kernels
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.kernel_approximation import AdditiveChi2Sampler, Nystroem, PolynomialCountSketch, RBFSampler
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, RidgeClassifierCV, SGDClassifier
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import ComplementNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis, RadiusNeighborsClassifier
from sklearn.neural_network import BernoulliRBM, MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from torch import Tensor

from ser.errors import ConfigError
from ser.models.estimator import Estimator

pytestmark = pytest.mark.filterwarnings("ignore")

DIM, ROWS = 5, 60
ONES = torch.ones(ROWS, dtype=torch.int64)
LOGISTIC = LogisticRegression()
TWO = [("one", LOGISTIC), ("two", DecisionTreeClassifier())]

NEEDED: dict[str, dict[str, Any]] = {
    "estimator": {"estimator": LOGISTIC},
    "estimators": {"estimators": TWO},
    "param_grid": {"param_grid": {"C": [0.1, 1.0]}},
    "param_distributions": {"param_distributions": {"C": [0.1, 1.0]}, "n_iter": 2},
}
"""What has no default among the arguments of meta-estimators."""

REFUSED = {
    "ClassifierChain": "not trusted",
    "FixedThresholdClassifier": "can't be fitted.*binary",
    "MultiOutputClassifier": "not trusted",
    "TunedThresholdClassifierCV": "can't be fitted.*binary",
}
"""Of more than one label, or of two classes."""


def data() -> tuple[Tensor, Tensor]:
    """Three classes; no value is negative, which some of naive Bayes ask for."""
    y = torch.arange(ROWS) % 3
    x = torch.randn(ROWS, DIM, 1, generator=torch.Generator().manual_seed(0)).abs()
    x[:, 0, 0] += 2 * y
    return x, y


def comes_back(estimator: Any) -> None:
    x, y = data()
    model = Estimator((DIM, 1), 3, estimator)
    model.fit(x, y, seed=1)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    again = Estimator((DIM, 1), 3, estimator)
    again.load_state_dict(torch.load(file, weights_only=True))
    scores = again(x, ONES)
    assert torch.equal(scores, model(x, ONES))
    assert scores.isfinite().all()


def arguments(kind: type) -> dict[str, Any]:
    import inspect

    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.default is inspect.Parameter.empty or (name, kind.__name__) == (
            "estimator",
            "SelfTrainingClassifier",
        ):
            found |= NEEDED.get(name, {})
    return found


def case(name: str, kind: type) -> Any:
    marks = [pytest.mark.slow] if "Boost" in name or "Forest" in name or "ExtraTrees" in name else []
    return pytest.param(name, kind, id=name, marks=marks)


@pytest.mark.parametrize(("name", "kind"), [case(*found) for found in all_estimators(type_filter="classifier")])
def test_with_its_defaults(name: str, kind: type) -> None:
    estimator = kind(**arguments(kind))
    if name in REFUSED:
        x, y = data()
        with pytest.raises(ConfigError, match=REFUSED[name]):
            Estimator((DIM, 1), 3, estimator).fit(x, y, seed=1)
    else:
        comes_back(estimator)


def knn(**settings: Any) -> Any:
    return make_pipeline(StandardScaler(), KNeighborsClassifier(**settings))


def after(*steps: Any) -> Any:
    """A pipeline that ends with logistic regression."""
    return make_pipeline(*steps, LOGISTIC)


def process(kernel: Any) -> Any:
    return GaussianProcessClassifier(kernel, max_iter_predict=5, n_restarts_optimizer=0, optimizer=None)


VARIANTS: list[Any] = [
    *(knn(metric=metric) for metric in ("manhattan", "cosine", "chebyshev", "canberra", "braycurtis", "euclidean")),
    *(knn(metric=metric) for metric in ("l1", "l2", "cityblock", "sqeuclidean", "correlation", "hamming")),
    knn(metric="minkowski", p=3),
    knn(metric="minkowski", p=1),
    knn(metric="minkowski", p=3, algorithm="brute"),
    knn(metric="minkowski", p=3, metric_params={"w": np.arange(1.0, DIM + 1)}),
    knn(metric="mahalanobis", metric_params={"VI": np.eye(DIM)}),
    knn(metric="seuclidean", algorithm="ball_tree", metric_params={"V": np.ones(DIM)}),
    *(knn(algorithm=name, weights="distance", leaf_size=4) for name in ("brute", "ball_tree", "kd_tree", "auto")),
    knn(algorithm="ball_tree", metric="canberra"),
    RadiusNeighborsClassifier(radius=9.0, weights="distance", algorithm="ball_tree"),
    RadiusNeighborsClassifier(radius=0.01, outlier_label="most_frequent", algorithm="brute"),
    *(SVC(kernel=kernel) for kernel in ("linear", "poly", "rbf", "sigmoid")),
    SVC(class_weight="balanced", decision_function_shape="ovo"),
    SVC(break_ties=True),
    SVC(probability=True),
    NuSVC(nu=0.2, kernel="poly"),
    LinearSVC(multi_class="crammer_singer"),
    LinearSVC(penalty="l1"),
    *(LogisticRegression(solver=solver) for solver in ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")),
    LogisticRegression(C=np.inf),
    LogisticRegression(l1_ratio=1, solver="saga", max_iter=20),
    LogisticRegression(l1_ratio=0.5, solver="saga", class_weight="balanced", max_iter=20),
    LogisticRegressionCV(Cs=2, cv=2, scoring="balanced_accuracy", use_legacy_attributes=False),
    RidgeClassifierCV(alphas=[0.1, 1.0], class_weight="balanced"),
    *(SGDClassifier(loss=loss) for loss in ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron")),
    SGDClassifier(loss="huber", average=True, early_stopping=True),
    HistGradientBoostingClassifier(max_iter=3, early_stopping=True, validation_fraction=0.2),
    HistGradientBoostingClassifier(max_iter=3, class_weight="balanced", scoring="loss", early_stopping=True),
    make_pipeline(
        KBinsDiscretizer(5, encode="ordinal"), HistGradientBoostingClassifier(max_iter=3, categorical_features=[0, 2])
    ),
    *(MLPClassifier(4, solver=solver, max_iter=5) for solver in ("lbfgs", "sgd", "adam")),
    *(MLPClassifier(4, activation=name, max_iter=5) for name in ("identity", "logistic", "tanh", "relu")),
    MLPClassifier((4, 3), max_iter=5, early_stopping=True, learning_rate="adaptive", solver="sgd"),
    *(CalibratedClassifierCV(LinearSVC(), method=method, cv=2) for method in ("isotonic", "sigmoid")),
    CalibratedClassifierCV(LOGISTIC, method="temperature", cv=2),
    CalibratedClassifierCV(make_pipeline(StandardScaler(), SVC(C=10)), ensemble=False),
    StackingClassifier(TWO, final_estimator=GaussianNB(), passthrough=True, cv=2),
    VotingClassifier(TWO, voting="soft"),
    BaggingClassifier(LOGISTIC, 3, max_features=0.6),
    AdaBoostClassifier(LOGISTIC, n_estimators=3),
    RandomForestClassifier(5, max_depth=3, oob_score=True, class_weight="balanced_subsample", bootstrap=True),
    RandomForestClassifier(5, criterion="entropy", ccp_alpha=0.01, monotonic_cst=None),
    ExtraTreesClassifier(5, criterion="log_loss", n_jobs=2),
    GradientBoostingClassifier(n_estimators=3, subsample=0.5, init="zero"),
    GradientBoostingClassifier(n_estimators=9, n_iter_no_change=2, criterion="squared_error"),
    DecisionTreeClassifier(splitter="random", min_samples_leaf=3),
    *(DummyClassifier(strategy=name) for name in ("stratified", "uniform", "prior", "most_frequent")),
    DummyClassifier(strategy="constant", constant=1),
    GridSearchCV(LOGISTIC, {"C": [0.1, 1.0]}, cv=StratifiedKFold(2), scoring="f1_macro"),
    RandomizedSearchCV(KNeighborsClassifier(), {"metric": ["manhattan", "cosine"]}, n_iter=2, cv=2),
    HalvingGridSearchCV(LOGISTIC, {"C": [0.1, 1.0]}, cv=2),
    HalvingRandomSearchCV(LOGISTIC, {"C": [0.1, 1.0, 10.0]}, cv=2),
    make_pipeline(StandardScaler(), GridSearchCV(LOGISTIC, {"C": [0.1, 1.0]}, cv=2, scoring="balanced_accuracy")),
    process(kernels.RBF()),
    process(1.0 * kernels.Matern(nu=1.5) + kernels.WhiteKernel()),
    process(kernels.RationalQuadratic() * kernels.ConstantKernel(2.0)),
    process(kernels.DotProduct() ** 2),
    process(kernels.PairwiseKernel(metric="laplacian")),
    after(StandardScaler(), PCA(0.9)),
    after(PCA(2, whiten=True, svd_solver="randomized")),
    after(IncrementalPCA(2)),
    after(KernelPCA(2, kernel="rbf")),
    after(TruncatedSVD(2)),
    after(FastICA(2)),
    after(NMF(2, max_iter=9)),
    after(SelectKBest(k=2)),
    after(SelectKBest(mutual_info_classif, k=2)),
    after(MinMaxScaler(), SelectKBest(chi2, k=2)),
    after(SelectPercentile()),
    after(VarianceThreshold()),
    after(SelectFromModel(ExtraTreesClassifier(5))),
    after(RFE(LOGISTIC, n_features_to_select=2)),
    after(QuantileTransformer(n_quantiles=9, output_distribution="normal")),
    after(PowerTransformer()),
    after(RobustScaler()),
    after(KBinsDiscretizer(3, encode="onehot")),
    after(KBinsDiscretizer(3, encode="ordinal", strategy="kmeans")),
    after(PolynomialFeatures(2, interaction_only=True)),
    after(FunctionTransformer(np.log1p)),
    after(FunctionTransformer()),
    after(Nystroem(n_components=9)),
    after(RBFSampler(n_components=9)),
    after(AdditiveChi2Sampler()),
    after(PolynomialCountSketch(n_components=9)),
    after(GaussianRandomProjection(3)),
    after(BernoulliRBM(3, n_iter=2)),
    after(NeighborhoodComponentsAnalysis(2, max_iter=3)),
    after(LinearDiscriminantAnalysis()),
    after(RandomTreesEmbedding(3)),
    after(SimpleImputer(), KNNImputer()),
    after(
        ColumnTransformer([("scaled", StandardScaler(), [0, 1]), ("cut", PCA(1), slice(2, 4))], remainder="passthrough")
    ),
    after(ColumnTransformer([("scaled", StandardScaler(), [0, 1])], remainder="drop")),
    after(make_union(StandardScaler(), PCA(2))),
    make_pipeline("passthrough", LOGISTIC),
    LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1),
    QuadraticDiscriminantAnalysis(reg_param=0.1),
    GaussianNB(var_smoothing=1e-3),
    ComplementNB(norm=True),
    OneVsRestClassifier(SVC()),
    OneVsOneClassifier(LinearSVC()),
    OutputCodeClassifier(LOGISTIC, code_size=2),
    LabelPropagation(kernel="knn", n_neighbors=3),
    LabelSpreading(gamma=1.0),
    SelfTrainingClassifier(GaussianNB()),
]

PLAIN_FUNCTION: Callable[[Any], Any] = np.nan_to_num

NEVER: list[tuple[Any, str]] = [
    (knn(metric=lambda a, b: 0.0), "not trusted: .*lambda"),
    (knn(weights=np.ones_like), "not trusted: numpy.ones_like"),
    (SVC(kernel=lambda a, b: a @ b.T), "not trusted"),
    (after(FunctionTransformer(lambda x: x)), "not trusted"),
    (after(FunctionTransformer(PLAIN_FUNCTION)), "not trusted: numpy.nan_to_num"),
    (after(FunctionTransformer(np.save)), "not trusted: numpy.save"),
    (after(SplineTransformer()), "not trusted: .*SplineTransformer"),
    (after(SparseRandomProjection(3)), "not trusted: .*SparseRandomProjection"),
    (make_pipeline(StandardScaler(), LOGISTIC, memory="cache"), "memory"),
    (ClassifierChain(LOGISTIC), "not trusted: .*ClassifierChain"),
    (make_pipeline(PCA(2), MultiOutputClassifier(LOGISTIC)), "not trusted: .*MultiOutputClassifier"),
    (GridSearchCV(knn(metric=min), {}), "not trusted: .*min"),
]
"""What can't be stored, and by which words it is refused."""


def named(part: object) -> str:
    """Without the addresses of functions, which differ between processes."""
    return re.sub(r" at 0x\w+", "", " ".join(str(part).split()))[:90]


@pytest.mark.parametrize("estimator", VARIANTS, ids=named)
def test_with_other_settings(estimator: Any) -> None:
    comes_back(estimator)


@pytest.mark.parametrize(("estimator", "named"), NEVER, ids=named)
def test_what_can_never_be_stored_is_refused_before_the_fit(
    estimator: Any, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = data()
    monkeypatch.setattr(type(estimator), "fit", lambda *args, **kwargs: pytest.fail("it was fitted"))
    with pytest.raises(ConfigError, match=f"can't be stored.*{named}") as caught:
        Estimator((DIM, 1), 3, estimator).fit(x, y, seed=1)
    assert "skops_types.py" in str(caught.value)


def test_what_turns_out_to_be_lost_is_refused_after_the_fit() -> None:
    x, y = data()
    model = Estimator((DIM, 1), 3, GradientBoostingClassifier(n_estimators=2, init=LOGISTIC))
    with pytest.raises(ConfigError, match=r"GradientBoostingClassifier can't be stored.*init"):
        model.fit(x, y, seed=1)
    assert model.fitted is None


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (GridSearchCV(LOGISTIC, {"C": [1.0]}, cv=2, refit=False), "best_"),
        (GaussianProcessClassifier(multi_class="one_vs_one", max_iter_predict=3), "one_vs_one multi-class mode"),
        (LogisticRegression(solver="liblinear"), "liblinear"),
        (LogisticRegression(C=-1.0), "'C' parameter"),
    ],
)
def test_what_can_not_be_fitted_says_why(estimator: Any, reason: str) -> None:
    x, y = data()
    with pytest.raises(ConfigError, match=f"can't be fitted on these 60 utterances: .*{reason}"):
        Estimator((DIM, 1), 3, estimator).fit(x, y, seed=1)


def test_a_meta_estimator_without_an_estimator() -> None:
    with pytest.raises(ConfigError, match="SelfTrainingClassifier is not complete"):
        Estimator((DIM, 1), 3, SelfTrainingClassifier())


def test_fitted_beforehand_and_frozen() -> None:
    x, y = data()
    comes_back(FrozenEstimator(LogisticRegression().fit(x[..., 0].numpy(), y.numpy())))
