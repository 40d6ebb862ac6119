"""From the files found to the utterances used: what is wrong is named, what is double is used once."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pandas as pd

from ser.corpora.listing import Listing, Problem, counted, printable
from ser.errors import ConfigError, DataError
from ser.utterances import utterance_table

SHOWN = 5
"""Examples of what is no problem; problems are always named to the last."""

log = logging.getLogger(__name__)


def audit(listing: Listing, facts: pd.DataFrame, on_problem: str, expected_rate: int = 48000) -> pd.DataFrame:
    """The utterance table of the recordings fit for use, each used once.

    Args:
        listing: what the corpus reader found.
        facts: the fields of `audio.Facts` as columns, indexed by path.
        on_problem: "refuse", or "leave_out" the files with a problem.
        expected_rate: Hz; of several copies, one at this rate is preferred.

    Raises:
        DataError: if there are problems and they are refused, or nothing is left; it names every file.
        ConfigError: if `on_problem` is neither.
    """
    if on_problem not in ("refuse", "leave_out"):
        raise ConfigError(
            f"problems can't be met with {on_problem!r}", where="data.on_problem", do="use refuse or leave_out"
        )
    copies = _in_order_of_preference(listing.table, facts, expected_rate)
    bad = copies["problem"] != ""
    problems = [*listing.problems, *_problems(copies[bad], copies.loc[bad, "problem"])]
    copies = copies[~bad]
    preferred = copies.groupby("utterance")[["path", "samples"]].transform("first")
    other = copies["samples"] != preferred["samples"]
    problems += _problems(copies[other], "same name as " + preferred.loc[other, "path"] + " but other samples")
    copies = copies[~other]
    first = copies.groupby("samples")[["path", "utterance"]].transform("first")
    equal = copies["path"] != first["path"]
    misplaced = copies["misplaced"] & ~equal
    problems += _problems(
        copies[misplaced], copies.loc[misplaced, "folder"].map("actor of the name is not of {}".format)
    )
    used = copies[~equal & ~misplaced]
    notes = [
        *_notes_on_equal(copies[equal], first[equal]),
        *_notes_on_conversion(used, expected_rate),
        *([f"left out: {counted(listing.left_out)}"] if listing.left_out else []),
        *([f"incomplete: {', '.join(listing.incomplete)}"] if listing.incomplete else []),
    ]
    _report(problems, notes, on_problem, used)
    return utterance_table(used)


def _in_order_of_preference(table: pd.DataFrame, facts: pd.DataFrame, expected_rate: int) -> pd.DataFrame:
    """Files with their facts: those in their actor's folder first, then the expected rate, the id, the shallowest."""
    columns = ["rate", "channels", "seconds", "samples", "problem"]
    copies = table.join(facts.loc[table["path"].unique(), columns], on="path")
    copies["folder"] = copies["path"].map(_actor_folder)
    actor = copies["folder"].str.extract(r"(\d+)", expand=False).astype("float")
    copies["misplaced"] = actor.notna() & (actor != copies["speaker"])
    copies["off_rate"] = copies["rate"] != expected_rate
    copies["depth"] = copies["path"].map(lambda path: len(Path(path).parts))
    return copies.sort_values(["misplaced", "off_rate", "utterance", "depth", "path"]).reset_index(drop=True)


def _actor_folder(path: str) -> str:
    """The innermost folder called after an actor, "" if there is none."""
    names = (parent.name for parent in Path(path).parents)
    return next((name for name in names if re.fullmatch(r"actor[_ -]?\d+", name, re.IGNORECASE)), "")


def _problems(copies: pd.DataFrame, what: pd.Series[str]) -> list[Problem]:
    return [Problem(path, why) for path, why in zip(copies["path"], what, strict=True)]


def _notes_on_equal(copies: pd.DataFrame, first: pd.DataFrame) -> list[str]:
    """What was found double: second copies of an id, and one recording under two ids."""
    renamed = copies["utterance"] != first["utterance"]
    strayed = copies.loc[~renamed & copies["misplaced"], "path"].tolist()
    again = copies.loc[~renamed & ~copies["misplaced"], "path"].tolist()
    pairs = sorted(
        {f"{a} = {b}" for a, b in zip(first.loc[renamed, "utterance"], copies.loc[renamed, "utterance"], strict=True)}
    )
    notes = []
    if again:
        notes.append(f"used once: {len(again)} files are equal copies: {_some(again)}")
    if strayed:
        notes.append(
            f"used once: {len(strayed)} files in another actor's folder, equal to its own: {', '.join(strayed)}"
        )
    if pairs:
        notes.append(f"used once: equal samples under two names, the first is kept: {', '.join(pairs)}")
    return notes


def _notes_on_conversion(used: pd.DataFrame, expected_rate: int) -> list[str]:
    several = used.loc[used["channels"] > 1, "path"].tolist()
    resampled = used[used["off_rate"]]
    rates = ", ".join(f"{rate} Hz" for rate in sorted(resampled["rate"].unique()))
    notes = []
    if several:
        notes.append(f"converted to mono: {len(several)} files of several channels: {_some(several)}")
    if len(resampled):
        paths = resampled["path"].tolist()
        notes.append(f"converted: {len(paths)} files are at {rates}, not {expected_rate} Hz: {_some(paths)}")
    return notes


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _report(problems: list[Problem], notes: list[str], on_problem: str, used: pd.DataFrame) -> None:
    """Say everything in one message, or refuse with it."""
    listed = [f"  {problem.path}: {problem.what}" for problem in sorted(problems, key=lambda problem: problem.path)]
    if problems and on_problem == "refuse":
        raise DataError(
            printable("\n".join([f"{len(problems)} files of the corpus have a problem:", *listed])),
            do="mend or remove them, or go on without them with data.on_problem=leave_out",
        )
    if used.empty:
        raise DataError(
            printable("\n".join(["no recording of the corpus can be used", *listed])),
            do="give data.root=<a whole corpus>",
        )
    lines = [f"{len(used)} utterances of {used['speaker'].nunique()} speakers", *(f"  {note}" for note in notes)]
    if problems:
        lines += [f"  left out: {len(problems)} files with a problem:", *(f"  {line}" for line in listed)]
    log.log(logging.WARNING if problems else logging.INFO, "%s", printable("\n".join(lines)))
