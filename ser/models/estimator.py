"""Any scikit-learn classifier, in a network's place: features in, log-probabilities out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ser.errors import CheckpointError, ConfigError, SerError
from ser.models import fitted_owners, skops_check
from ser.models.shape import vector_size

log = logging.getLogger(__name__)

WHERE = "model.net.estimator"


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
        self.dim = vector_size(shape)
        try:
            lacking = "" if is_classifier(estimator) else " is not a classifier"
        except Exception as error:  # such as a meta-estimator that asks the one that it was not given
            lacking = f" is not complete: {str(error).split('. ')[0]}"
        if lacking:
            raise ConfigError(type(estimator).__name__ + lacking, where=WHERE)
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

        Raises:
            ConfigError: if it can't be fitted on this, or if a checkpoint could not bring it back.
        """
        from sklearn.base import clone
        from sklearn.model_selection._search import BaseSearchCV

        model = clone(self.estimator)
        _refuse_unstorable(model.estimator if isinstance(model, BaseSearchCV) else model)
        _set(model, "random_state", seed)
        _set(model, "layers", self.layers)
        speakers = {"groups": groups.cpu().numpy()} if isinstance(model, BaseSearchCV) and groups is not None else {}
        values = _values(x)
        try:
            model.fit(values, y.cpu().numpy(), **speakers)
            if isinstance(model, BaseSearchCV):
                log.info("chosen by inner validation: %s, score %.4f", model.best_params_, model.best_score_)
                model = model.best_estimator_
            # In one thread from now on: a forest adds its trees up in the order in which its threads come to an end.
            _set(model, "n_jobs", None)
            said = _probabilities(model, values)
        except Exception as error:  # such as more inner folds than speakers, or than utterances of an emotion
            what = f"{type(model).__name__} can't be fitted on these {len(y)} utterances: {error}"
            raise ConfigError(what, where=WHERE) from error
        content, self.fitted = _stored(model, values, said, self.classes)
        self._packed, self.n_fitted = torch.frombuffer(bytearray(content), dtype=torch.uint8), len(y)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`(batch, dim, 1)` to log-probabilities `(batch, class)`, float32, finite; all lengths are 1.

        Raises:
            CheckpointError: if the estimator fails on these values.
        """
        probabilities = np.zeros((len(x), self.classes))
        known = self.fitted.classes_
        try:
            probabilities[:, known] = _probabilities(self.fitted, _values(x)).reshape(len(x), len(known))
        except Exception as error:  # of a file from elsewhere anything; else such as no neighbour within the radius
            what = f"{type(self.fitted).__name__} can't tell these {len(x)} utterances: {error}"
            raise CheckpointError(what, where=WHERE, do="train again, with other settings of it") from error
        smoothed = (self.n_fitted * probabilities + 1) / (self.n_fitted + self.classes)
        return torch.from_numpy(np.log(smoothed)).float().to(x.device)

    def get_extra_state(self) -> dict[str, Any]:
        """The fitted estimator as skops bytes `(byte,)`, and how many utterances it was fitted on."""
        return {"skops": self._packed, "n_fitted": self.n_fitted}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over a fitted estimator.

        Raises:
            CheckpointError: if it can't be read, holds types that are not trusted, or is not as a fit leaves it.
        """
        packed: Any = state.get("skops")
        count: Any = state.get("n_fitted")
        sound = isinstance(packed, Tensor) and packed.dtype == torch.uint8 and packed.ndim == 1
        # Not contiguous is one byte that stands for 10^12: they would be so many once they are copied.
        if not (sound and packed.is_contiguous()) or type(count) is not int or count < min(1, len(packed)):
            raise CheckpointError("the estimator in this checkpoint is not as training writes it", do="train again")
        packed = packed.cpu()
        self.fitted = _unpack(packed.numpy().tobytes(), self.dim, self.classes) if len(packed) else None
        self._packed, self.n_fitted = packed, count


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


def _refuse_unstorable(estimator: Any) -> None:
    """Refuse what no fit can make storable: a class or a function that is not trusted, a `memory`."""
    from skops import io

    try:
        skops_check.cleaned(io.dumps(estimator))
    except Exception as error:
        raise _unstorable(estimator, error) from error


def _stored(model: Any, x: NDArray[np.float64], said: NDArray[np.float64], classes: int) -> tuple[bytes, Any]:
    """The fitted estimator as skops bytes, and as evaluation will read it from them.

    Args:
        x: `(utterance, dim)`.
        said: the estimator's probabilities for them; only in their last bits may those of the other differ, since
            arrays come back contiguous.
    """
    from skops import io

    try:
        content: bytes = io.dumps(model)
        again = _unpack(content, x.shape[1], classes)
        same = np.allclose(_probabilities(again, x), said, rtol=1e-6, atol=1e-9, equal_nan=True)
    except Exception as error:
        raise _unstorable(model, error) from error
    if not same:
        raise _unstorable(model, ValueError("it says something else once it is read"))
    return content, again


def _unstorable(model: Any, error: Exception) -> ConfigError:
    reason = error.what if isinstance(error, SerError) else error
    reason = str(reason).replace("this checkpoint", "its checkpoint")
    return ConfigError(
        f"{type(model).__name__} can't be stored in a checkpoint: {reason}",
        where=WHERE,
        do="use settings, metrics and functions of scikit-learn that ser/models/skops_types.py trusts",
    )


def _unpack(content: bytes, dim: int, classes: int) -> Any:
    from skops import io

    try:
        checked, names = skops_check.cleaned(content)
        fitted = io.loads(checked, trusted=names)
        fitted_owners.check(fitted, dim, classes)
    except CheckpointError:
        raise
    except Exception as error:  # skops raises what json, zipfile, NumPy or a missing type happen to raise
        raise CheckpointError(f"the estimator in this checkpoint can't be read: {error}") from error
    return fitted
