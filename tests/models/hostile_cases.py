"""What somebody could change in a fitted estimator, by a name for each."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from tests.models.hostile import DIM, FAR, Arrays, attribute, changed, fitted, found, function, npy, value


def field(estimator: str, owner: str, attr: str, name: str, row: Any, new: Any) -> Callable[[], bytes]:
    """Set one field of a table."""

    def change(schema: Any, arrays: Arrays) -> None:
        arrays[attribute(schema, owner, attr)["file"]][name][row] = new

    return lambda: changed(fitted(estimator), change)


def node(name: str, row: int, new: Any) -> Callable[[], bytes]:
    """Set one field of a node of a decision tree."""

    def change(schema: Any, arrays: Arrays) -> None:
        state = next(found(schema, "Tree"))["content"]["content"]
        arrays[state["nodes"]["file"]][name][row] = new

    return lambda: changed(fitted("tree"), change)


def attr(estimator: str, owner: str, name: str, new: Any) -> Callable[[], bytes]:
    """Replace an attribute by another node, or an array by what a function makes of it; or take it away."""

    def change(schema: Any, arrays: Arrays) -> None:
        kept = list(found(schema, owner))[-1]["content"]
        attributes = kept["content"]
        if new is None:
            kept["key_types"]["content"].pop()
            del attributes[name]
        elif callable(new):
            arrays[attributes[name]["file"]] = new(arrays[attributes[name]["file"]])
        else:
            kept["key_types"]["content"] += [kept["key_types"]["content"][0]] * (name not in attributes)
            attributes[name] = new

    return lambda: changed(fitted(estimator), change)


def state(estimator: str, owner: str, place: int, new: Any) -> Callable[[], bytes]:
    """The same for what is at a place in the tuple that is the state of a class in C."""

    def change(schema: Any, arrays: Arrays) -> None:
        values = next(found(schema, owner))["content"]["content"]
        if callable(new):
            arrays[values[place]["file"]] = new(arrays[values[place]["file"]].copy())
        else:
            values[place] = new

    return lambda: changed(fitted(estimator), change)


def anything(estimator: str, change: Callable[[Any, Arrays], None]) -> Callable[[], bytes]:
    return lambda: changed(fitted(estimator), change)


def put(key: Any, new: Any) -> Callable[[Any], Any]:
    """A function that sets a row, or a field of a row, of an array."""

    def change(values: Any) -> Any:
        if isinstance(key, tuple) and isinstance(key[0], str):
            values[key[0]][key[1]] = new
        else:
            values[key] = new
        return values

    return change


def first_array(values: bytes) -> Callable[[Any, Arrays], None]:
    return lambda schema, arrays: arrays.update({next(iter(arrays)): values})


def whole(make: Callable[[zipfile.ZipFile, zipfile.ZipFile], None]) -> Callable[[], bytes]:
    """Write the archive of a linear model anew."""

    def build() -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(fitted("linear"))) as old, zipfile.ZipFile(out, "w") as new:
            make(old, new)
        return out.getvalue()

    return build


def copy(old: zipfile.ZipFile, new: zipfile.ZipFile, kind: int = zipfile.ZIP_STORED) -> None:
    for name in old.namelist():
        new.writestr(name, old.read(name), kind)


def with_members(**members: bytes) -> Callable[[], bytes]:
    def make(old: zipfile.ZipFile, new: zipfile.ZipFile) -> None:
        copy(old, new)
        for name, content in members.items():
            new.writestr(name.replace("_", "."), content)

    return whole(make)


def bomb(old: zipfile.ZipFile, new: zipfile.ZipFile) -> None:
    copy(old, new)
    new.writestr("1.npy", npy(np.zeros(10**6)), zipfile.ZIP_DEFLATED)


def overlapping() -> bytes:
    """Many entries for the bytes of one."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(fitted("linear"))) as old, zipfile.ZipFile(out, "w") as new:
        copy(old, new)
        entry = new.infolist()[0]
        for number in range(1000):
            again = zipfile.ZipInfo(f"{number}.npy")
            again.header_offset, again.CRC = entry.header_offset, entry.CRC
            again.compress_size = again.file_size = entry.file_size
            new.filelist.append(again)
    return out.getvalue()


def tree_size(schema: Any, arrays: Arrays, place: int, new: Any) -> None:
    next(found(schema, "Tree"))["__reduce__"]["args"]["content"][place] = value(new)


def tree_state(schema: Any, arrays: Arrays, name: str, new: Any) -> None:
    next(found(schema, "Tree"))["content"]["content"][name] = new


def header(*shape: int) -> bytes:
    """An array of three numbers that says it is of another shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(24)


def aliased(schema: Any, arrays: Arrays) -> None:
    """Before the tree, under the `__id__` of its state, a state whose nodes lead far away."""
    tree = next(found(schema, "Tree"))
    bad = deepcopy(tree["content"])
    nodes = arrays[bad["content"]["nodes"]["file"]].copy()
    nodes["left_child"][0] = FAR
    bad["content"]["nodes"].update(file="7.npy", __id__=7)
    arrays["7.npy"] = nodes
    kept = schema["content"]
    kept["content"] = {"extra": bad, **kept["content"]}
    kept["key_types"]["content"] += kept["key_types"]["content"][:1]


def small_matrix(schema: Any, arrays: Arrays) -> None:
    for name, values in arrays.items():
        if values.shape == (DIM, DIM):
            arrays[name] = np.eye(1)


SCORES = "sklearn.feature_selection._univariate_selection"

CASES: dict[str, Callable[[], bytes]] = {
    "array larger than its file": anything("linear", first_array(header(2**28))),
    "array of negative size": anything("linear", first_array(header(-3))),
    "array of objects": anything("linear", first_array(npy(np.array([{}], dtype=object), pickled=True))),
    "array of nothing": anything("linear", first_array(b"")),
    "array of another format": anything("linear", first_array(npy(np.zeros(3)).replace(b"NUMPY\x01", b"NUMPY\x03"))),
    "member that is no array": with_members(a_bin=b"1"),
    "sparse member": with_members(a_npz=b"1"),
    "compressed": whole(bomb),
    "overlapping": overlapping,
    "nested without end": whole(lambda old, new: new.writestr("schema.json", "[" * 10**6 + "]" * 10**6)),
    "no schema": whole(lambda old, new: new.writestr("1.npy", npy(np.zeros(1)))),
    "older protocol": anything("linear", lambda schema, arrays: schema.update(protocol=1)),
    "no protocol": anything("linear", lambda schema, arrays: schema.pop("protocol")),
    "one file for two": anything(
        "linear", lambda schema, arrays: attribute(schema, "LogisticRegression", "coef_").update(__id__=3)
    ),
    "function called by a constructor": attr(
        "linear",
        "LogisticRegression",
        "C",
        function(SCORES, "f_classif", "ConstructorFromReduceNode", content=value([1])),
    ),
    "function called by a list": attr(
        "linear", "LogisticRegression", "C", function(SCORES, "f_classif", "ListNode", content=[])
    ),
    "function called by a dict": attr(
        "linear", "LogisticRegression", "C", function("os", "getcwd", "DictNode", content={}, key_types=value([]))
    ),
    "function that writes": attr("linear", "LogisticRegression", "C", function("numpy", "save")),
    "another module": attr("linear", "LogisticRegression", "C", function("os", "system")),
    "a test's class": attr(
        "linear",
        "LogisticRegression",
        "C",
        function("sklearn.ensemble.tests.test_bagging", "DummySizeEstimator", "ObjectNode", content=value(None)),
    ),
    "cached": attr("linear", "LogisticRegression", "C", function("builtins", "str", "CachedNode", __id__=3)),
    "unknown loader": attr("linear", "LogisticRegression", "C", function("builtins", "str", "OtherNode")),
    "method replaced": attr("linear", "LogisticRegression", "predict_proba", function("numpy", "log1p")),
    "memory": attr("pipeline", "Pipeline", "memory", value("folder")),
    "classes out of range": attr("linear", "LogisticRegression", "classes_", lambda old: old + 1),
    "classes below zero": attr("linear", "LogisticRegression", "classes_", lambda old: old - 1),
    "classes not sorted": attr("linear", "LogisticRegression", "classes_", lambda old: old[::-1].copy()),
    "classes twice": attr("linear", "LogisticRegression", "classes_", lambda old: old * 0),
    "classes of fractions": attr("linear", "LogisticRegression", "classes_", lambda old: old / 2),
    "too few classes": attr("linear", "LogisticRegression", "classes_", lambda old: old[:1]),
    "coefficients of other features": attr("linear", "LogisticRegression", "coef_", lambda old: old[:, :2]),
    "other features": attr("linear", "LogisticRegression", "n_features_in_", value(4)),
    "no classifier": anything(
        "pipeline",
        lambda schema, arrays: schema.update(
            {k: v for k, v in next(found(schema, "StandardScaler")).items() if k not in ("__id__",)}
        ),
    ),
    "tree to the left": node("left_child", 0, FAR),
    "tree to the right": node("right_child", 0, FAR),
    "tree below": node("left_child", 0, -FAR),
    "tree one too far": node("right_child", 0, 10**4),
    "tree in a circle": node("left_child", 0, 0),
    "tree of far features": node("feature", 0, FAR),
    "tree of features below": node("feature", 0, -FAR),
    "tree of no thresholds": node("threshold", 0, np.nan),
    "tree of more nodes": anything("tree", lambda s, a: tree_state(s, a, "node_count", value(FAR))),
    "tree of no state": anything("tree", lambda s, a: next(found(s, "Tree")).update(content=value({}))),
    "tree of no nodes": anything("tree", lambda s, a: next(found(s, "Tree"))["content"]["content"].pop("nodes")),
    "tree of more outputs": anything("tree", lambda s, a: tree_size(s, a, 2, FAR)),
    "tree of other features": anything("tree", lambda s, a: tree_size(s, a, 0, 9)),
    "tree of no number of features": attr("tree", "DecisionTreeClassifier", "n_features_in_", None),
    "forest of no number of features": attr("forest", "RandomForestClassifier", "n_features_in_", None),
    "forest of a larger tree": anything("forest", lambda s, a: tree_size(list(found(s, "Tree"))[2], a, 0, 9)),
    "forest of something else": anything(
        "forest",
        lambda s, a: attribute(s, "RandomForestClassifier", "estimators_")["content"].__setitem__(
            1, attribute(s, "RandomForestClassifier", "estimator")
        ),
    ),
    "boosting from elsewhere": attr(
        "boosting",
        "GradientBoostingClassifier",
        "init_",
        function("sklearn.naive_bayes", "GaussianNB", "ObjectNode", content=value(None)),
    ),
    "boosting from fewer classes": attr("boosting", "DummyClassifier", "class_prior_", lambda old: old[:1]),
    "boosting of no number of features": attr("boosting", "GradientBoostingClassifier", "n_features_in_", None),
    "histograms to the left": field("histograms", "TreePredictor", "nodes", "left", 0, 2**31),
    "histograms in a circle": field("histograms", "TreePredictor", "nodes", "left", 0, 0),
    "histograms of far features": field("histograms", "TreePredictor", "nodes", "feature_idx", 0, FAR),
    "histograms of far bits": field(
        "histograms", "TreePredictor", "nodes", ["is_categorical", "bitset_idx"], 0, (1, FAR)
    ),
    "histograms of no bits": attr("histograms", "TreePredictor", "raw_left_cat_bitsets", lambda old: old[:, :1]),
    "histograms of fewer features": attr("histograms", "_BinMapper", "is_categorical_", lambda old: old[:1]),
    "histograms in training": attr("histograms", "HistGradientBoostingClassifier", "_in_fit", value(True)),
    "histograms of other columns": attr("histograms", "OrdinalEncoder", "n_features_in_", value(2)),
    "histograms encoded otherwise": attr("histograms", "FunctionTransformer", "func", function("numpy", "log1p")),
    "neighbours far away": state("neighbours", "KDTree", 1, put(0, FAR)),
    "neighbours below": state("neighbours", "KDTree", 1, put(0, -FAR)),
    "neighbours twice": state("neighbours", "KDTree", 1, put(0, 1)),
    "neighbours' last row": state("neighbours", "KDTree", 2, put(("idx_end", -1), FAR)),
    "neighbours' first row": state("neighbours", "KDTree", 2, put(("idx_start", -1), -FAR)),
    "neighbours below the leaves": state("neighbours", "KDTree", 2, put(("is_leaf", slice(None)), 0)),
    "neighbours of more nodes": state("neighbours", "KDTree", 6, value(2**20 - 1)),
    "neighbours of fewer bounds": state("neighbours", "KDTree", 3, lambda old: old[:, :, :1].copy()),
    "neighbours of fewer data": state("neighbours", "KDTree", 0, lambda old: old[:3].copy()),
    "neighbours of no metric": state("neighbours", "KDTree", 11, value(None)),
    "neighbours of no data": anything("neighbours", lambda s, a: next(found(s, "KDTree")).update(content=value(None))),
    "neighbours of a short metric": state("weighted neighbours", "SEuclideanDistance64", 1, lambda old: old[:1]),
    "neighbours of no vector": state("weighted neighbours", "SEuclideanDistance64", 1, value(None)),
    "neighbours of other rows": attr("neighbours", "KNeighborsClassifier", "_fit_X", lambda old: old[:9]),
    "neighbours of far classes": attr("brute neighbours", "KNeighborsClassifier", "_y", lambda old: old + FAR),
    "neighbours of fewer classes": attr("brute neighbours", "KNeighborsClassifier", "_y", lambda old: old[:1]),
    "neighbours, more than rows": attr("brute neighbours", "KNeighborsClassifier", "n_neighbors", value(10**6)),
    "neighbours of a small matrix": anything("mahalanobis", small_matrix),
    "one-hot drops": attr("one-hot", "OneHotEncoder", "_drop_idx_after_grouping", value([9] * 5)),
    "one-hot groups": attr("one-hot", "OneHotEncoder", "_infrequent_enabled", value(True)),
    "bins of fewer features": attr("histograms", "_BinMapper", "n_bins_non_missing_", lambda old: old[:1]),
    "svm of more support": attr("svm", "SVC", "_n_support", put(0, 2**30)),
    "svm of support below": attr("svm", "SVC", "_n_support", lambda old: np.array([old.sum() + 9, -9, 0], np.int32)),
    "svm of narrow vectors": attr("svm", "SVC", "support_vectors_", lambda old: old[:, :1].copy()),
    "svm of few coefficients": attr("svm", "SVC", "_dual_coef_", lambda old: old[:1]),
    "svm of few intercepts": attr("svm", "SVC", "_intercept_", lambda old: old[:1]),
    "svm of far support": attr("svm", "SVC", "support_", lambda old: old + FAR),
    "svm of few probabilities": attr("svm", "SVC", "_probA", lambda old: np.ones(1)),
    "svm precomputed": attr("svm", "SVC", "kernel", value("precomputed")),
    "svm sparse": attr("svm", "SVC", "_sparse", value(True)),
    "svm of another kind": attr("svm", "SVC", "_impl", value("one_class")),
}


def positions(schema: Any, arrays: Arrays) -> None:
    node = attribute(schema, "MLPClassifier", "_random_state")
    node["content"]["content"]["state"]["content"]["pos"] = value(-FAR)


def philox(schema: Any, arrays: Arrays) -> None:
    node = next(found(schema, "Generator"))
    node["content"]["bit_generator"]["content"]["bit_generator"] = value("MT19937")


HARMLESS: dict[str, Callable[[], bytes]] = {
    "random state that reads out of bounds": anything("mlp", positions),
    "generator of another kind": anything("histograms", philox),
    "a state in another's place": anything("tree", aliased),
    "a hundred thousand processes": attr("forest", "RandomForestClassifier", "n_jobs", value(10**5)),
}
"""What is taken out before it does anything: the model is used."""
CASES |= HARMLESS
