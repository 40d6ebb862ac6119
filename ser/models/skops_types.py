"""What a skops archive may ask to be imported: rules for each kind of its nodes, rather than one long list of names.

skops asks only whether a *name* is trusted, and whichever loader the file chooses then takes it: of a function `f`, a
`FunctionNode` makes `f`, but a `ListNode` calls `f([...])`, and a `ConstructorFromReduceNode` `f(*args)`. So a name is
trusted here together with its loader; what a loader does with it is said at its rule. Loaders without a rule are
refused: those that call (`ConstructorFromReduceNode`, `MethodNode`, `OperatorFuncNode`), that read bytes or SciPy's
sparse matrices, whose indices compiled code trusts, and `CachedNode`, which skops never writes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ser.models.fitted_check import need

Node: TypeAlias = dict[str, Any]
"""A JSON object of the archive's schema, of which skops makes one Python object."""

# fmt: off
PACKAGES = frozenset((
    "calibration", "compose", "covariance", "cross_decomposition", "decomposition", "discriminant_analysis",
    "dummy", "ensemble", "feature_selection", "frozen", "gaussian_process", "impute", "isotonic",
    "kernel_approximation", "linear_model", "model_selection", "multiclass", "naive_bayes", "neighbors",
    "neural_network", "pipeline", "preprocessing", "random_projection", "semi_supervised", "svm", "tree",
))
# fmt: on
"""Of scikit-learn, whose classifiers, transformers and regressors are trusted. They compute with arrays; what compiled
code reads of them is in `fitted_check`. `cluster`, `manifold` and `mixture` are not, for nobody has looked at theirs;
nor are `datasets` and `feature_extraction`, which open files, nor `multioutput`, since an utterance has one label."""

COMPUTING = (
    "ser.models.layers",
    "sklearn._loss.link",
    "sklearn._loss.loss",
    "sklearn.calibration",
    "sklearn.compose._column_transformer",
    "sklearn.covariance._",
    "sklearn.ensemble._hist_gradient_boosting.predictor",
    "sklearn.frozen._frozen",
    "sklearn.gaussian_process._gpc",
    "sklearn.gaussian_process._gpr",
    "sklearn.gaussian_process.kernels",
    "sklearn.metrics._dist_metrics",
    "sklearn.metrics._scorer",
    "sklearn.model_selection._",
    "sklearn.multiclass",
    "sklearn.neighbors._ball_tree",
    "sklearn.neighbors._kd_tree",
    "sklearn.neighbors._unsupervised",
    "sklearn.neural_network._stochastic_optimizers",
    "sklearn.pipeline",
)
"""Beginnings of modules that define no class but of numbers, and of methods that compute with them."""

NEVER = frozenset(("NuSVR", "PyFuncDistance64", "SparseRandomProjection", "SplineTransformer", "SVR"))
"""Trusted by neither rule: of splines, sparse matrices and regression by libsvm, compiled code trusts what the file
says, and nobody has looked at it; a `PyFuncDistance` calls a function."""

COMPILED = ("sklearn.metrics._dist_metrics", "sklearn.neighbors._ball_tree", "sklearn.neighbors._kd_tree")
"""Classes in C, whose state is a tuple."""

FUNCTIONS = frozenset(
    {
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.metrics._classification.accuracy_score",
        "sklearn.metrics._classification.balanced_accuracy_score",
        "sklearn.metrics._classification.f1_score",
        "sklearn.metrics._classification.log_loss",
        "sklearn.metrics._classification.matthews_corrcoef",
        "sklearn.metrics._classification.precision_score",
        "sklearn.metrics._classification.recall_score",
        "sklearn.utils.validation.check_array",
    }
)
"""Functions of arrays alone. One that is called with whatever a file says gives numbers, or an error."""

UFUNCS = ("numpy", "numpy._core._multiarray_umath", "numpy._core.umath", "scipy.special", "scipy.special._ufuncs")
SCALARS = frozenset(f"numpy.{kind.__name__}" for kind in np.sctypeDict.values() if kind not in (np.object_, np.void))
NULL: Node = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "null"}


def is_trusted(node: Node) -> bool:
    """Whether skops may do with this node what its loader does; `n_jobs` in it becomes None."""
    rule, name = RULES.get(node["__loader__"]), name_of(node)
    return rule is not None and rule(node, name)


def name_of(node: Node) -> str:
    """`module.class`."""
    return f"{node['__module__']}.{node['__class__']}"


def _found(module: str, name: str) -> Any:
    """What is defined there under this name, else None. Only called for modules that are safe to import."""
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
    return found if getattr(found, "__module__", module) == module else None


def _class(module: str, name: str) -> type | None:
    """A class of scikit-learn that is trusted, else None."""
    parts = module.split(".")
    computing = any(module == known or (known.endswith("_") and module.startswith(known)) for known in COMPUTING)
    packaged = parts[0] == "sklearn" and parts[1:2] and parts[1] in PACKAGES
    if name in NEVER or "tests" in parts or not (computing or packaged):
        return None
    from sklearn.base import ClassifierMixin, OutlierMixin, RegressorMixin, TransformerMixin

    found = _found(module, name)
    if not isinstance(found, type) or issubclass(found, OutlierMixin):
        return None
    return found if computing or issubclass(found, (ClassifierMixin, TransformerMixin, RegressorMixin)) else None


def _object(node: Node, name: str) -> bool:
    """`ObjectNode`: `__new__`, then `__setstate__` or `__dict__.update`; no code but scikit-learn's runs.

    Attributes are values and further trusted objects. None may stand in a method's place.
    """
    kind, state = _class(node["__module__"], node["__class__"]), node["content"]
    if kind is None:
        return False
    if node["__module__"] in COMPILED:
        known = str(node["__class__"]).endswith(("Distance64", "BallTree", "KDTree"))
        return known and bool(state["__loader__"] == "TupleNode")
    if state["__loader__"] == "JsonNode":
        return bool(state["content"] == "null")
    need(state["__loader__"] == "DictNode", f"{name} has no attributes")
    for key, value in state["content"].items():
        need(not hasattr(kind, key), f"{key} of {name} is replaced")
        if key.split("__")[-1] == "memory":  # a folder of pickles that would be read
            need(value["__loader__"] == "JsonNode" and value["content"] == "null", f"{name} has a memory, of pickles")
        if key == "n_jobs":  # as many processes as the file says
            state["content"][key] = dict(NULL)
    return True


def _loss(node: Node, name: str) -> bool:
    """`LossNode`: calls the class, here with numbers alone."""
    from sklearn._loss._loss import CyHalfMultinomialLoss, CyLossFunction

    if node["__module__"] not in ("sklearn._loss._loss", "sklearn.linear_model._sgd_fast"):
        return False
    found = _found(node["__module__"], node["__class__"])
    values = node["__reduce__"]["args"]
    plain = values["__loader__"] == "TupleNode" and all(part["__loader__"] == "JsonNode" for part in values["content"])
    known = isinstance(found, type) and issubclass(found, (CyHalfMultinomialLoss, CyLossFunction))
    return known and plain and not node["content"]["content"]


def _function(node: Node, name: str) -> bool:
    """`FunctionNode`: imports it."""
    if name in FUNCTIONS:
        return True
    module = importlib.import_module(node["__module__"]) if node["__module__"] in UFUNCS else None
    return isinstance(getattr(module, node["__class__"], None), np.ufunc)


def _slice(node: Node, name: str) -> bool:
    ends = [node["content"][key] for key in ("start", "stop", "step")]
    return name == "builtins.slice" and all(end is None or type(end) is int for end in ends)


def _one_of(*names: str) -> Callable[[Node, str], bool]:
    return lambda node, name: name in names


RULES: dict[str, Callable[[Node, str], bool]] = {
    # These call the class with what is in them, so it has to be Python's own, or a named tuple of scikit-learn's.
    "DictNode": _one_of("builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"),
    "ListNode": _one_of("builtins.list"),
    "SetNode": _one_of("builtins.set"),
    "TupleNode": _one_of("builtins.tuple", "sklearn.impute._iterative._ImputerTriplet"),
    "SliceNode": _slice,
    # numpy.load without pickles, then a call of the scalar's type; the header has been checked. Or a list of nodes.
    "NdArrayNode": _one_of("numpy.ndarray", *SCALARS),
    "MaskedArrayNode": _one_of("numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"),
    "DTypeNode": _one_of("numpy.dtype"),
    # Imports a type, with which DictNode converts a key.
    "TypeNode": _one_of("builtins.bool", "builtins.float", "builtins.int", "builtins.str", *SCALARS),
    "FunctionNode": _function,
    # functools.partial of a function that is trusted by itself; HistGradientBoosting has one if it has categories.
    "PartialNode": lambda node, name: (
        name == "functools.partial" and node["content"]["func"]["__loader__"] == "FunctionNode"
    ),
    # Calls Tree with its arguments, then __setstate__: skops_check looks at both.
    "TreeNode": _one_of("sklearn.tree._tree.Tree"),
    "LossNode": _loss,
    "ObjectNode": _object,
}
