"""Many runs by one command: each to its own end, and a table of all of them."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from ser import command
from ser.errors import SerError

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("best_epoch", "val_loss", "val_accuracy", "val_uar", "val_macro_f1", "train_seconds")
"""What the table has of the `summary.json` of each job."""

log = logging.getLogger(__name__)


def attempt(run: Callable[[], float], folder: Path, overrides: Sequence[str]) -> float:
    """A job of a sweep: its value; if it fails, not a number, and `error.txt` in its folder. The other jobs go on.

    Args:
        run: the job.
        folder: of the job.
        overrides: of the command line, this job's.
    """
    try:
        return run()
    except Exception as error:  # whatever it is, it must not cost the other jobs
        said = command.message(error, folder) or f"{type(error).__name__}: {error}"
        if command.message(error) is None:
            log.exception("this job has failed")
        log.error("error: %s", said)
    (folder / ".hydra").mkdir(exist_ok=True)
    OmegaConf.save(list(overrides), folder / ".hydra" / "overrides.yaml")
    (folder / "error.txt").write_text(said + "\n", encoding="utf-8", errors="backslashreplace")
    return math.nan


class Sweep(Callback):
    """Hydra's callback: places are looked at before the work, and a table comes after it."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the folder of the run, or say why it can't be made."""
        _make(config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the folder of the sweep, or say why it can't be made."""
        _make(config.hydra.sweep.dir)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table, write it to `sweep.csv`, and fail if a job has failed."""
        from ser.results import tables

        folder, monitor = Path(config.hydra.sweep.dir), config.monitor
        with command.ending():
            found = jobs(folder)
            found.to_csv(folder / "sweep.csv", index=False)
            tables.show_sweep(found, best_job(found, monitor.name, monitor.mode), title=str(folder))
            failed = int((found["error"] != "").sum())
            if failed:
                raise SerError(
                    f"{failed} of {len(found)} jobs failed", where=folder, do="see error.txt in their folders"
                )


def jobs(folder: Path) -> pd.DataFrame:
    """One row per job in a sweep's folder, by number: `job`, what differs between them, `SCORES`, `error`, `folder`."""
    import pandas as pd

    rows = []
    for path in sorted(folder.glob("*/.hydra/overrides.yaml"), key=lambda path: _number(path.parent.parent)):
        job = path.parent.parent
        given = dict(str(override).split("=", 1) for override in OmegaConf.load(path) if "=" in str(override))
        summary = json.loads(text.read_text("utf-8")) if (text := job / "summary.json").exists() else {}
        error = text.read_text("utf-8").strip() if (text := job / "error.txt").exists() else ""
        error = error or ("" if summary else "it did not come to its end")
        scores = {name: summary.get(name, math.nan) for name in SCORES}
        rows.append({"job": _number(job), **given, **scores, "error": error, "folder": job.name})
    table = pd.DataFrame(rows, columns=None if rows else ["job", *SCORES, "error", "folder"])
    same = [
        name for name in table if name not in (*SCORES, "job", "error", "folder") and table[name].nunique(False) == 1
    ]
    order = [name for name in table if name not in (*same, *SCORES, "error", "folder")]
    return table[[*order, *SCORES, "error", "folder"]]


def best_job(table: pd.DataFrame, name: str, mode: str) -> int | None:
    """The number of the job with the best monitored score; None if the table does not have it."""
    column = name.replace("/", "_")
    if column not in table or table[column].isna().all():
        return None
    best = table.sort_values(column, ascending=mode == "min", kind="stable")
    return int(best["job"].iloc[0])


def _number(job: Path) -> int:
    """By which a job's folder begins, such as `3_cnn`; -1 if it does not."""
    first = job.name.split("_")[0]
    return int(first) if first.isdecimal() else -1


def _make(folder: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"\nerror: {command.message(error) or error}")
