"""What an estimator that skops has built has to satisfy, before it is asked for anything.

The counterpart of `fitted_check`, which sees tables by themselves: here they have to fit the estimator that owns them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from ser.models.fitted_check import is_array, need, within

KERNELS = ("linear", "poly", "rbf", "sigmoid")


def check(model: Any, dim: int, classes: int) -> None:
    """Look at a loaded estimator and at all that is in it.

    Args:
        dim: the features of an utterance.
        classes: how many there are; it may know fewer.

    Raises:
        CheckpointError: if it can't be what a fit has left.
    """
    from sklearn.base import is_classifier
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._gb import BaseGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
    from sklearn.neighbors._base import NeighborsBase
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.svm._base import BaseLibSVM
    from sklearn.tree import BaseDecisionTree

    rules = (
        (BaseDecisionTree, "tree_", _decision_tree),
        (BaseForest, "estimators_", _forest),
        (BaseGradientBoosting, "estimators_", _gradient_boosting),
        (BaseHistGradientBoosting, "_predictors", _histograms),
        (BaseLibSVM, "support_vectors_", _support_vectors),
        (NeighborsBase, "_fit_X", _nearest),
        (OneHotEncoder, "categories_", _one_hot),
        (_BinMapper, "bin_thresholds_", _bins),
    )
    for part in parts(model):
        for kind, fitted, rule in rules:
            if isinstance(part, kind) and fitted in vars(part):
                rule(part)
    need(is_classifier(model), "it is no classifier")
    known: Any = getattr(model, "classes_", None)
    need(isinstance(known, np.ndarray) and known.ndim == 1 and known.dtype.kind == "i", "its classes are no numbers")
    need(len(known) > 0 and (np.diff(known) > 0).all() and within(known, classes), "its classes are not of this model")
    need(getattr(model, "n_features_in_", dim) == dim, f"it is not of {dim} features")


def parts(model: Any) -> Iterator[Any]:
    """An object, and all objects in its attributes and containers, innermost last."""
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set):
            waiting.extend(part)
        elif isinstance(part, np.ndarray):
            waiting.extend(part.flat if part.dtype == object else ())
        elif hasattr(part, "__dict__") and not isinstance(part, type):
            yield part
            waiting.extend(vars(part).values())


def _features(model: Any) -> int:
    """How many values scikit-learn asks its input to have: where this is missing, it asks for nothing."""
    count = vars(model).get("n_features_in_")
    need(type(count) is int and count > 0, f"{type(model).__name__} does not say how many features it takes")
    return int(count)


def _decision_tree(model: Any) -> None:
    from sklearn.tree._tree import Tree

    need(type(model.tree_) is Tree and model.tree_.n_features == _features(model), "a tree of other features")


def _forest(model: Any) -> None:
    """Its trees do not look at what they are given."""
    from sklearn.tree import BaseDecisionTree

    for member in model.estimators_:
        need(isinstance(member, BaseDecisionTree) and hasattr(member, "tree_"), "a forest of other things than trees")
        need(member.tree_.n_features == _features(model), "a tree in a forest is of other features")


def _gradient_boosting(model: Any) -> None:
    """Its trees add to a table of one column per class, at one value for each node."""
    from sklearn.dummy import DummyClassifier, DummyRegressor
    from sklearn.tree import DecisionTreeRegressor

    members, features = model.estimators_, _features(model)
    need(isinstance(members, np.ndarray) and members.ndim == 2 and members.size > 0, "boosting without stages")
    for member in members.flat:
        need(isinstance(member, DecisionTreeRegressor) and hasattr(member, "tree_"), "boosting of other things")
        need(member.tree_.n_features == features, "a boosted tree is of other features")
        need(member.tree_.n_outputs == member.tree_.max_n_classes == 1, "a boosted tree has other values")
    # Another estimator to start from could make as many columns as it likes, from one input to the next.
    need(isinstance(model.init_, DummyClassifier | DummyRegressor) or model.init_ == "zero", "boosting from an init")
    start = model._raw_predict_init(np.zeros((1, features), np.float32))
    need(start.shape == (1, members.shape[1]), "boosting starts with other columns")


def _histograms(model: Any) -> None:
    """Nodes that lead on, to features, and for categories to bits, that are there."""
    from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    features, mapper = _features(model), model._bin_mapper
    need(isinstance(mapper, _BinMapper) and len(mapper.bin_thresholds_) == features, "boosting without bins")
    need(not getattr(model, "_in_fit", False) and _keeps_columns(model._preprocessor), "boosting changes its features")
    for member in chain.from_iterable(model._predictors):
        need(isinstance(member, TreePredictor), "boosting of other things than trees")
        nodes, bits = member.nodes, member.raw_left_cat_bitsets
        need(is_array(nodes, PREDICTOR_RECORD_DTYPE, (len(nodes),)) and len(nodes) > 0, "a boosted tree's nodes")
        need(is_array(bits, np.uint32, (len(bits), 8)), "a boosted tree's categories")
        place = np.flatnonzero(nodes["is_leaf"] == 0)
        inner = nodes[place]
        for child in ("left", "right"):
            need((inner[child] > place).all() and within(inner[child], len(nodes)), "a boosted tree leads nowhere")
        need(within(inner["feature_idx"], features), "a boosted tree asks for a feature that is not there")
        split = inner[inner["is_categorical"] != 0]
        need(within(split["bitset_idx"], len(bits)), "a boosted tree asks for categories that are not there")
        need((mapper.is_categorical_[split["feature_idx"]] != 0).all(), "a boosted tree's feature has no categories")


def _bins(model: Any) -> None:
    """Of each feature, thresholds, how many, and whether they are categories."""
    count = len(model.bin_thresholds_)
    need(is_array(model.is_categorical_, np.uint8, (count,)), "bins of other features")
    need(is_array(model.n_bins_non_missing_, np.uint32, (count,)), "bins of other features")


def _one_hot(model: Any) -> None:
    """Where its columns are taken from a table in the file, they may lie outside of the sparse matrix it makes."""
    plain = model.drop_idx_ is None and model._drop_idx_after_grouping is None and not model._infrequent_enabled
    need(plain, "OneHotEncoder drops or groups categories")


def _keeps_columns(preprocessor: Any) -> bool:
    """Whether just as many columns come out of it as go in: some encoded one by one, the others as they are."""
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
    from sklearn.utils.validation import check_array

    if preprocessor is None:
        return True
    need(isinstance(preprocessor, ColumnTransformer), "its categories are encoded in another way")
    count = _features(preprocessor)
    used = np.zeros(count, int)
    for _, step, columns in preprocessor.transformers_:
        if isinstance(step, str) and step == "drop":
            continue
        same = isinstance(step, FunctionTransformer) and getattr(step.func, "func", None) is check_array
        need(same or isinstance(step, OrdinalEncoder), "its categories are encoded in another way")
        need(is_array(columns, bool, (count,)), "its categories are encoded in another way")
        used += columns
    return bool((used == 1).all()) and preprocessor.transform(np.zeros((1, count))).shape == (1, count)


def _support_vectors(model: Any) -> None:
    """Shapes as libsvm reads them: it is given addresses alone."""
    from sklearn.svm import SVC, NuSVC

    need(type(model) in (SVC, NuSVC) and model.kernel in KERNELS and not model._sparse, "a kind of libsvm's models")
    rows, known, features = len(model.support_), len(model.classes_), _features(model)
    pairs = known * (known - 1) // 2
    need(rows > 0 and known > 1 and is_array(model.support_, np.int32, (rows,)), "its support")
    need(within(model.support_, model.shape_fit_[0]) and model.shape_fit_[1] == features, "its support")
    need(is_array(model.support_vectors_, np.float64, (rows, features)), "its support vectors")
    counts = model._n_support
    need(is_array(counts, np.int32, (known,)) and (counts >= 0).all() and counts.sum() == rows, "its support")
    for values in (model._dual_coef_, model.dual_coef_):
        need(is_array(values, np.float64, (known - 1, rows)), "its coefficients")
    need(is_array(model._intercept_, np.float64, (pairs,)), "its intercepts")
    sizes = {is_array(values, np.float64, (pairs,)) for values in (model._probA, model._probB)}
    empty = {is_array(values, np.float64, (0,)) for values in (model._probA, model._probB)}
    need(sizes == {True} or empty == {True}, "its probabilities")


def _nearest(model: Any) -> None:
    """As many labels as rows, each of a class."""
    from sklearn.base import ClassifierMixin
    from sklearn.neighbors import BallTree, KDTree

    rows, features = model._fit_X.shape
    need(features == _features(model) and model.n_samples_fit_ == rows > 0, "neighbours of other features")
    need(model._fit_X.dtype in (np.float32, np.float64), "neighbours that are no numbers")
    count = model.n_neighbors  # None where a radius is asked for
    need(count is None or (type(count) is int and 0 < count <= rows), "fewer rows than neighbours")
    shapes = {"V": ((features,), (features, features)), "VI": ((features, features),), "w": ((features,),)}
    for name, allowed in shapes.items():  # of which SciPy looks at some alone
        for given in (model.metric_params or {}, model.effective_metric_params_):
            need(
                given.get(name) is None or np.shape(given[name]) in allowed, "a metric is of another number of features"
            )
    need(model._tree is None or type(model._tree) in (BallTree, KDTree), "neighbours in another kind of tree")
    need(model._tree is None or model._tree.data.shape == (rows, features), "a tree of other neighbours")
    if isinstance(model, ClassifierMixin):
        need(is_array(model._y, np.int64, (rows,)) and within(model._y, len(model.classes_)), "neighbours' classes")
