"""Many runs by one command: each to its own end, and a table of all of them."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from ser import command
from ser.atomic import write_text
from ser.errors import SerError

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("best_epoch", "val_loss", "val_accuracy", "val_uar", "val_macro_f1", "train_seconds")
"""What the table has of the `summary.json` of each job."""

ENDS = ".jobs"
"""The folder, in that of the sweep, of how each job came to its end."""

log = logging.getLogger(__name__)


def attempt(run: Callable[[], float], sweep: Path, folder: Path, number: int, overrides: Sequence[str]) -> float:
    """A job of a sweep: its value; if it fails, not a number, and the other jobs go on.

    Args:
        run: the job.
        sweep: the folder of the sweep, where the job's end is noted: its own may be another run's.
        folder: of the job.
        number: of the job.
        overrides: of the command line, this job's.
    """
    value, said = math.nan, ""
    try:
        value = run()
    except Exception as error:  # whatever it is, it must not cost the other jobs
        said = command.message(error, folder) or f"{type(error).__name__}: {error}"
        if command.message(error) is None:
            log.exception("this job has failed")
        log.error("error: %s", said)
    end = {"job": number, "folder": str(folder), "overrides": list(overrides), "error": said}
    try:
        write_text(sweep / ENDS / f"{number}.json", json.dumps(end))
    except OSError as error:
        log.error("the sweep's table will lack this job: %s", error.strerror)
    return value


class Sweep(Callback):
    """Hydra's callback: places are looked at before the work, and a table comes after it."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the folder of the run, or say why it can't be made."""
        _make(config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the folder of the sweep, or say why it can't be made."""
        _make(config.hydra.sweep.dir)
        shutil.rmtree(Path(config.hydra.sweep.dir, ENDS), ignore_errors=True)  # of an earlier sweep

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
                what = f"{failed} of {len(found)} jobs failed"
                raise SerError(what, where=folder, do="see above, or the column error of sweep.csv")


def jobs(sweep: Path) -> pd.DataFrame:
    """One row per job of a sweep's folder, by number: `job`, what differs between them, `SCORES`, `error`, `folder`."""
    import pandas as pd

    ends = [json.loads(path.read_text("utf-8")) for path in (sweep / ENDS).glob("*.json")]
    rows = []
    for end in sorted(ends, key=lambda end: int(end["job"])):
        given = dict(override.split("=", 1) for override in end["overrides"] if "=" in override)
        file = Path(end["folder"], "summary.json")
        summary = json.loads(file.read_text("utf-8")) if file.exists() and not end["error"] else {}
        scores = {name: summary.get(name, math.nan) for name in SCORES}
        folder = os.path.relpath(end["folder"], sweep)
        rows.append({"job": end["job"], **given, **scores, "error": end["error"], "folder": folder})
    table = pd.DataFrame(rows, columns=None if rows else ["job", *SCORES, "error", "folder"])
    known = (*SCORES, "job", "error", "folder")
    same = [name for name in table if name not in known and table[name].nunique(False) == 1]
    order = [name for name in table if name not in (*same, *SCORES, "error", "folder")]
    return table[[*order, *SCORES, "error", "folder"]]


def best_job(table: pd.DataFrame, name: str, mode: str) -> int | None:
    """The number of the job with the best monitored score; None if the table does not have it."""
    column = name.replace("/", "_")
    if column not in table or table[column].isna().all():
        return None
    best = table.sort_values(column, ascending=mode == "min", kind="stable")
    return int(best["job"].iloc[0])


def _make(folder: str) -> None:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"\nerror: {command.message(error) or error}")
