"""Speech emotion recognition experiments: use what was trained by `load`, look at it by `read_run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from ser.trained.recogniser import Recogniser

__all__ = ["Run", "load", "read_run"]


@dataclass(frozen=True)
class Run:
    """What a run folder holds.

    `history` has a row per epoch, `split` the part of each utterance, `predictions` the table of each evaluation by the
    name of its folder.
    """

    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    history: pd.DataFrame
    split: pd.DataFrame
    predictions: Mapping[str, pd.DataFrame]


def load(path: str | PathLike[str], trust: Sequence[str] = ()) -> Recogniser:
    """A trained model, to be called with recordings: `load("outputs/cnn/...")("clip.wav").label`.

    Args:
        path: a checkpoint, or the folder of a run for its best one.
        trust: packages of your own that the checkpoint may name; ser, scikit-learn and torch are trusted.

    Raises:
        CheckpointError: if the checkpoint can't be read or trusted.
    """
    from ser.trained import recogniser, record

    return recogniser.of(record.read(path), path, trust)


def read_run(folder: str | PathLike[str]) -> Run:
    """Read what a finished run and its evaluations left in its folder.

    Raises:
        SerError: if it is no such folder, or one of its files can't be read.
    """
    import json
    from pathlib import Path

    import pandas as pd

    from ser.errors import DataError
    from ser.results import predictions
    from ser.trained import record

    folder = Path(folder)
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        history, split = pd.read_csv(folder / "metrics.csv"), pd.read_csv(folder / "split.csv", dtype=str)
    except (OSError, ValueError) as error:
        do = "give the one that train.py has filled"
        raise DataError(f"not the folder of a finished run: {error}", where=folder, do=do) from error
    config = record.read(folder)["ser"]["config"]
    tables = {path.parent.name: predictions.read(path) for path in sorted(folder.glob("evaluation/*/*_results.csv"))}
    return Run(config, summary, history, split, tables)


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module 'ser' has no attribute {name!r}")
    from importlib.metadata import version

    return version("ser")
