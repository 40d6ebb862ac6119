"""Which epoch is the best: one decision, for checkpoints, schedule, summary, figures and sweeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ser.errors import ConfigError

SCORES = ("val/loss", "val/accuracy", "val/uar", "val/macro_f1")
"""What every model logs, once an epoch."""


@dataclass(frozen=True)
class Monitor:
    """The score that is monitored: a column of `metrics.csv`, and whether "min" or "max" of it is best.

    Raises:
        ConfigError: if the mode is neither, or no model has such a score.
    """

    name: str
    mode: str

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise ConfigError(f"{self.mode!r} is no mode", where="monitor.mode", do="use min or max")
        if self.name not in (*SCORES, "train/loss"):
            raise ConfigError(
                f"{self.name!r} is no score to choose by", where="monitor.name", do=f"use {', '.join(SCORES)}"
            )
        better = "min" if self.name.endswith("loss") else "max"
        if self.mode != better:
            what = f"the {self.mode} of {self.name} is its worst value"
            raise ConfigError(what, where="monitor.mode", do=f"add monitor.mode={better}")

    def best(self, history: Sequence[dict[str, Any]], validated: bool = True) -> dict[str, Any]:
        """The row of the best epoch, the first of equals; of the last one where nobody validates.

        Raises:
            ConfigError: if no epoch has the score as a finite number, or the last one's training has diverged.
        """
        if not validated:
            if not history or not math.isfinite(history[-1].get("train/loss", 0.0)):
                do = "train at least one epoch; if the loss diverged, lower model.optimizer.lr"
                raise ConfigError("there is no last epoch with a finite loss", where="trainer, model.optimizer", do=do)
            return history[-1]
        rows = [row for row in history if math.isfinite(row.get(self.name, math.nan))]
        if not rows:
            found = ", ".join(sorted({name for row in history for name in row if "/" in name}))
            raise ConfigError(
                f"no epoch has a finite {self.name}, so there is no best one; there are: {found or 'none'}",
                where="monitor.name, trainer, model.optimizer",
                do="monitor one of these, and train at least one epoch with validation; if the loss diverged, lower "
                "model.optimizer.lr",
            )
        return (min if self.mode == "min" else max)(rows, key=lambda row: float(row[self.name]))
