"""What a fitted estimator from a file has to satisfy, before compiled code that does not check it reads it.

scikit-learn and skops leave this to whoever loads a file: scikit-learn#34558, skops#535. Most of scikit-learn is Python
and NumPy, which check by themselves: there, a wrong shape raises. Not checked is whether a model is any good, or how
long it computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser.errors import CheckpointError

LEAF = -1
"""The child of a leaf, `sklearn.tree._tree.TREE_LEAF`."""


def need(condition: object, what: str) -> None:
    """Refuse the estimator unless this holds.

    Raises:
        CheckpointError: with `what` is wrong.
    """
    if not condition:
        what = f"the estimator in this checkpoint is not as scikit-learn leaves it: {what}"
        raise CheckpointError(what, do="do not use it: no training writes this")


def tree(args: tuple[int, NDArray[Any], int], state: Mapping[str, Any]) -> None:
    """Arguments and state of a `sklearn.tree._tree.Tree`: node and value of each index are where it looks for them.

    Args:
        args: number of features, of classes of each output `(output,)`, of outputs.
        state: `nodes` `(node,)`, `values` `(node, output, class)`, `node_count`.
    """
    from sklearn.tree._tree import NODE_DTYPE

    features, classes, outputs = args
    nodes, values = state["nodes"], state["values"]
    need(type(features) is int and type(outputs) is int and features > 0, "a tree's size is not a number")
    need(is_array(classes, np.int64, (outputs,)) and outputs > 0 and classes.min() > 0, "a tree's classes")
    need(is_array(nodes, NODE_DTYPE, (len(nodes),)) and state["node_count"] == len(nodes) > 0, "a tree's nodes")
    need(is_array(values, np.float64, (len(nodes), outputs, classes.max())), "a tree's values")
    inner = np.flatnonzero(nodes["left_child"] != LEAF)
    need((nodes["right_child"] == LEAF).sum() == len(nodes) - len(inner), "a tree's leaves")
    _children(inner, nodes["left_child"][inner], nodes["right_child"][inner], len(nodes))
    need(within(nodes["feature"][inner], features), "a tree asks for a feature that is not there")
    need(np.isfinite(nodes["threshold"][inner]).all(), "a tree's thresholds")


def metric(state: tuple[float, NDArray[Any], NDArray[Any]]) -> None:
    """State of a `sklearn.metrics.DistanceMetric`: an exponent, a vector, a matrix."""
    exponent, vector, matrix = state
    need(isinstance(exponent, float), "a metric's exponent")
    need(is_array(vector, np.float64, (vector.size,)), "a metric's vector")
    need(is_array(matrix, np.float64, (len(matrix), len(matrix))), "a metric's matrix")


def neighbours(state: Sequence[Any], name: str, parameters: tuple[float, NDArray[Any], NDArray[Any]]) -> None:
    """State of a `KDTree` or `BallTree`, up to its metric, of which the class and the state are given apart.

    Args:
        state: data `(row, feature)`, order `(row,)`, nodes `(node,)`, bounds `(1 or 2, node, feature)`, the size of
            leaves, how many levels and nodes there are, four counters.
    """
    data, order, nodes, bounds, leaf, levels, count, *counters = state
    rows, features = data.shape
    need(len(counters) == 4 and all(type(value) is int for value in (leaf, levels, count, *counters)), "its counts")
    need(is_array(data, np.float64, (rows, features)) and rows > 0 < features, "a tree of neighbours has no data")
    need(is_array(order, np.int64, (rows,)) and (np.sort(order) == np.arange(rows)).all(), "the order of neighbours")
    need(nodes.shape == (count,) and 0 < levels < 48 and count == 2**levels - 1 and leaf > 0, "nodes of neighbours")
    need(is_array(bounds, np.float64, (len(bounds), count, features)) and len(bounds) in (1, 2), "bounds of neighbours")
    start, end, inner = nodes["idx_start"], nodes["idx_end"], np.flatnonzero(nodes["is_leaf"] == 0)
    need(start[0] == 0 and end[0] == rows and within(2 * inner + 2, count), "nodes of neighbours")
    left, right = 2 * inner + 1, 2 * inner + 2  # between them they have just the rows of their parent
    need((start[left] == start[inner]).all() and (end[right] == end[inner]).all(), "rows of neighbours")
    need((end[left] == start[right]).all() and (start <= end).all(), "rows of neighbours")
    _, vector, matrix = parameters
    fits = {
        "HaversineDistance64": features == 2,
        "MahalanobisDistance64": len(matrix) == features,
        "MinkowskiDistance64": len(vector) in (0, features),
        "SEuclideanDistance64": len(vector) == features,
    }
    need(fits.get(name, True), "a metric is of another number of features")


def is_array(value: Any, dtype: Any, shape: tuple[int, ...]) -> bool:
    """Whether it is an array of just this type and shape."""
    return isinstance(value, np.ndarray) and value.dtype == np.dtype(dtype) and value.shape == shape


def within(values: NDArray[Any], end: int) -> bool:
    """Whether all are from 0 to below the end."""
    return bool(((values >= 0) & (values < end)).all())


def _children(inner: NDArray[Any], left: NDArray[Any], right: NDArray[Any], count: int) -> None:
    """Children come after their parents, so that each walk ends."""
    need((left > inner).all() and (right > inner).all(), "a tree goes round in a circle")
    need(within(left, count) and within(right, count), "a tree leads to a node that is not there")
