"""Estimators in skops' format that somebody changed; run as a program, this loads each and says what came of it.

A program of its own, because what the checks are there for ends the process.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import skops.io
import torch
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from ser.errors import CheckpointError
from ser.models.estimator import Estimator

DIM, CLASSES, ROWS = 5, 3, 60
FAR = 2**30
Arrays = dict[str, Any]
Change = Callable[[dict[str, Any], Arrays], None]

ESTIMATORS: dict[str, Any] = {
    "tree": DecisionTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(3, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=2, random_state=0),
    "histograms": HistGradientBoostingClassifier(max_iter=2, categorical_features=[0], random_state=0),
    "neighbours": KNeighborsClassifier(leaf_size=5, algorithm="kd_tree"),
    "weighted neighbours": KNeighborsClassifier(
        leaf_size=5, algorithm="ball_tree", metric="seuclidean", metric_params={"V": np.ones(DIM)}
    ),
    "brute neighbours": KNeighborsClassifier(algorithm="brute"),
    "mahalanobis": KNeighborsClassifier(algorithm="brute", metric="mahalanobis", metric_params={"VI": np.eye(DIM)}),
    "one-hot": make_pipeline(KBinsDiscretizer(3), LogisticRegression()),
    "svm": SVC(),
    "mlp": MLPClassifier(4, max_iter=3, random_state=0),
    "linear": LogisticRegression(),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
}


def data() -> tuple[np.ndarray, np.ndarray]:
    """The first feature has four values, each in all classes."""
    x = np.random.default_rng(0).normal(size=(ROWS, DIM))
    y = np.arange(ROWS) % CLASSES
    x[:, 0], x[:, 1] = np.arange(ROWS) % 4, x[:, 1] + y
    return x, y


def fitted(name: str) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content: bytes = skops.io.dumps(ESTIMATORS[name].fit(*data()))
    return content


def changed(content: bytes, change: Change) -> bytes:
    """The archive after a change of its schema and arrays; an array may be replaced by the bytes of its file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        schema = json.loads(archive.read("schema.json"))
        arrays: Arrays = {
            name: np.load(io.BytesIO(archive.read(name))) for name in archive.namelist() if name != "schema.json"
        }
    change(schema, arrays)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, values in arrays.items():
            archive.writestr(name, values if isinstance(values, bytes) else npy(values))
        archive.writestr("schema.json", json.dumps(schema))
    return out.getvalue()


def npy(values: Any, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, values, allow_pickle=pickled)
    return file.getvalue()


def found(schema: Any, name: str) -> Iterator[dict[str, Any]]:
    """Nodes of a class."""
    if isinstance(schema, dict):
        if schema.get("__class__") == name and "__loader__" in schema:
            yield schema
        for part in schema.values():
            yield from found(part, name)
    elif isinstance(schema, list):
        for part in schema:
            yield from found(part, name)


def attribute(schema: Any, owner: str, name: str) -> dict[str, Any]:
    """The node of an attribute of the first object of a class."""
    node: dict[str, Any] = next(found(schema, owner))["content"]["content"][name]
    return node


def value(content: Any) -> dict[str, Any]:
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(content)}


def function(module: str, name: str, loader: str = "FunctionNode", **content: Any) -> dict[str, Any]:
    return {"__class__": name, "__module__": module, "__loader__": loader, **content}


def call(content: bytes, state: dict[str, Any] | None = None) -> str:
    """What becomes of a model with this estimator: "refused: why", or "used"."""
    model = Estimator((DIM, 1), CLASSES, DecisionTreeClassifier())
    packed = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    try:
        model.load_state_dict({"_extra_state": {"skops": packed, "n_fitted": ROWS} | (state or {})})
        model(torch.from_numpy(data()[0])[..., None], torch.ones(ROWS, dtype=torch.int64))
    except CheckpointError as error:
        return f"refused: {error.what}"
    return "used"


if __name__ == "__main__":
    from tests.models.hostile_cases import CASES

    for name in sys.argv[1:] or CASES:
        print(name, call(CASES[name]()).replace("\n", " "), sep="\t", flush=True)
