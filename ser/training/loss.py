"""The loss of training; validation is by plain cross-entropy, whatever this is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ser.errors import ConfigError


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy with labels smoothed by this share, and with classes weighted against their frequency.

    Source: Szegedy et al. (2016), Rethinking the Inception architecture for computer vision, section 7.

    Raises:
        ConfigError: if the share is not in [0, 1).
    """

    label_smoothing: float = 0.0
    class_weights: Literal["balanced"] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            where = "model.loss.label_smoothing"
            raise ConfigError(f"labels can't be smoothed by {self.label_smoothing}", where=where, do="give 0 to 1")

    def weights(self, truth: Tensor, classes: int) -> Tensor | None:
        """A weight for each class `(class,)`, by the class indices of training `(utterance,)`; None for equal ones.

        As scikit-learn's `class_weight="balanced"`; a class that does not occur has none to be given.
        """
        if self.class_weights is None:
            return None
        counts = torch.bincount(truth, minlength=classes)
        return torch.where(counts > 0, len(truth) / (classes * counts.clamp(min=1)), 0.0)

    def __call__(self, logits: Tensor, truth: Tensor, weights: Tensor | None) -> Tensor:
        """The mean over a batch of logits `(batch, class)` and class indices `(batch,)`."""
        return F.cross_entropy(logits, truth, weights, label_smoothing=self.label_smoothing)
