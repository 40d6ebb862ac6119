"""Any scikit-learn classifier, in a network's place: features in, log-probabilities out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ser.errors import CheckpointError, ConfigError
from ser.models.shape import vector_size

TRUSTED_TYPES = frozenset(
    {
        "ser.models.layers.OneLayer",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
    }
)
"""What a fitted estimator may hold, besides the types that skops trusts by itself; a checkpoint can't add to it."""

log = logging.getLogger(__name__)


class Estimator(nn.Module):
    """A scikit-learn classifier or Pipeline with a network's `forward`.

    What it learnt travels in the state dict as skops bytes: loading it runs no pickle.

    Probabilities are smoothed by Laplace's rule of succession, `(n p + 1) / (n + classes)` after `n` training
    utterances: the most probable class stays so, and neither a forest's zero nor a class that training lacked makes
    the log loss infinite.

    Args:
        shape: `(dim, 1)`, one vector per utterance.
        classes: how many there are, whether or not training has them all.
        estimator: not fitted; scalers and selectors belong inside its Pipeline.
        layers: of the encoder that the values come from, in order; for the steps with a parameter of this name.
    """

    def __init__(self, shape: Sequence[int], classes: int, estimator: Any, layers: int | None = None) -> None:
        from sklearn.base import is_classifier

        super().__init__()
        vector_size(shape)
        if not is_classifier(estimator):
            raise ConfigError(f"{type(estimator).__name__} is not a classifier", where="model.net.estimator")
        self.classes, self.estimator, self.layers = classes, estimator, layers
        self.fitted: Any = None
        self.n_fitted = 0
        self._packed = torch.empty(0, dtype=torch.uint8)

    def fit(self, x: Tensor, y: Tensor, seed: int, groups: Tensor | None = None) -> None:
        """Fit anew, every random step seeded.

        Args:
            x: `(utterance, dim, 1)`.
            y: `(utterance,)`, class indices.
            seed: becomes each `random_state`.
            groups: `(utterance,)`, a number for each speaker, whom a search keeps on one side of its inner splits.
        """
        from sklearn.base import clone
        from sklearn.model_selection._search import BaseSearchCV

        model = clone(self.estimator)
        _set(model, "random_state", seed)
        _set(model, "layers", self.layers)
        speakers = {"groups": groups.cpu().numpy()} if isinstance(model, BaseSearchCV) and groups is not None else {}
        try:
            model.fit(_values(x), y.cpu().numpy(), **speakers)
        except ValueError as error:  # such as more inner folds than speakers, or than utterances of an emotion
            what = f"{type(model).__name__} can't be fitted on these {len(y)} utterances: {error}"
            raise ConfigError(what, where="model.net.estimator") from error
        if isinstance(model, BaseSearchCV):
            log.info("chosen by inner validation: %s, score %.4f", model.best_params_, model.best_score_)
            model = model.best_estimator_
        # In one thread from now on: a forest adds its trees up in the order in which its threads come to an end.
        _set(model, "n_jobs", None)
        self.fitted, self.n_fitted = model, len(y)
        self._packed = self._packed[:0]

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, dim, 1)` to log-probabilities `(batch, class)`, float32, finite; all lengths are 1."""
        probabilities = np.zeros((len(x), self.classes))
        probabilities[:, self.fitted.classes_] = _probabilities(self.fitted, _values(x))
        smoothed = (self.n_fitted * probabilities + 1) / (self.n_fitted + self.classes)
        return torch.from_numpy(np.log(smoothed)).float().to(x.device)

    def get_extra_state(self) -> dict[str, Any]:
        """The fitted estimator as skops bytes `(byte,)`, and how many utterances it was fitted on."""
        if self.fitted is not None and not len(self._packed):
            from skops import io

            self._packed = torch.frombuffer(bytearray(io.dumps(self.fitted)), dtype=torch.uint8)
        return {"skops": self._packed, "n_fitted": self.n_fitted}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over a fitted estimator, unless it can't be read or holds types that are not trusted."""
        packed = state["skops"].cpu()
        self.fitted = _unpack(packed.numpy().tobytes()) if len(packed) else None
        self._packed, self.n_fitted = packed, int(state["n_fitted"])


def _set(model: Any, name: str, value: object) -> None:
    """Set the parameters of this name, of the model and of all that is in it."""
    model.set_params(**{key: value for key in model.get_params() if key.split("__")[-1] == name})


def _values(x: Tensor) -> NDArray[np.float64]:
    return np.asarray(x[..., 0].detach().cpu().numpy(), dtype=np.float64)


def _probabilities(fitted: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(utterance, known class)`: the estimator's own, else the softmax of its decisions, else its bare choice."""
    if hasattr(fitted, "predict_proba"):
        return np.asarray(fitted.predict_proba(x), dtype=np.float64)
    chosen = np.searchsorted(fitted.classes_, fitted.predict(x))
    if hasattr(fitted, "decision_function"):
        decision = np.asarray(fitted.decision_function(x))
        if decision.ndim == 1:
            decision = np.stack((np.zeros_like(decision), decision), axis=1)
        # One-versus-one decisions have a column for each pair of classes, which may be as many as there are classes.
        if decision.shape[1] == len(fitted.classes_) and (decision.argmax(1) == chosen).all():
            likelihood = np.exp(decision - decision.max(1, keepdims=True))
            return np.asarray(likelihood / likelihood.sum(1, keepdims=True))
    return np.asarray(np.eye(len(fitted.classes_))[chosen])


def _unpack(content: bytes) -> Any:
    from skops import io

    try:
        refused = sorted(set(io.get_untrusted_types(data=content)) - TRUSTED_TYPES)
        if not refused:
            return io.loads(content, trusted=sorted(TRUSTED_TYPES))
    except Exception as error:  # skops raises what json, zipfile, NumPy or a missing type happen to raise
        raise CheckpointError(f"the estimator in this checkpoint can't be read: {error}") from error
    raise CheckpointError(
        f"this checkpoint asks for types that are not trusted: {', '.join(refused)}",
        do="load only checkpoints of this package; a new kind of estimator is trusted in ser/models/estimator.py",
    )
