"""For start.py: `model._target_=first_batch.FirstBatch` ends `train.py` when it would take its first step."""

from __future__ import annotations

import os
from typing import Any

from ser.training.module import GradientClassifier


class FirstBatch(GradientClassifier):
    """The first batch is there, on its device; that is all."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Leave, as quickly as a process can."""
        os._exit(0)
