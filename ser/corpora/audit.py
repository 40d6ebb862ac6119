"""From the recordings listed to the utterances used: problems are named, duplicates are used once."""

from __future__ import annotations

import logging
import os

import numpy as np
import pandas as pd

from ser.corpora.listing import SHOWN, Listing, Problem, counted, summarised
from ser.errors import ConfigError, DataError, printable
from ser.utterances import SEGMENT, utterance_table

log = logging.getLogger(__name__)


def audit(listing: Listing, facts: pd.DataFrame, on_problem: str) -> pd.DataFrame:
    """The utterance table of the recordings fit for use, each used once.

    Args:
        listing: what the corpus reader found.
        facts: row by row of `listing.table`, what decoding found: `rate` in Hz, `channels`, `samples` (a digest of
            the utterance's samples), `problem` and `note`, of what is no problem ("" or a short phrase).
        on_problem: "refuse", or "leave_out" the recordings with a problem.

    Raises:
        DataError: if there are problems and they are refused, or nothing is left; it names every file.
        ConfigError: if `on_problem` is neither.
    """
    if on_problem not in ("refuse", "leave_out"):
        raise ConfigError(
            f"problems can't be met with {on_problem!r}", where="data.on_problem", do="use refuse or leave_out"
        )
    copies = _in_order_of_preference(listing, facts)
    good = copies[copies["problem"] == ""]
    preferred = good.groupby("utterance")[["place", "samples"]].transform("first")
    other = good["samples"] != preferred["samples"]
    why = copies["problem"].copy()
    why.update(("same name as " + preferred["place"] + " but other samples")[other])
    good = good[~other]
    again = good["samples"].duplicated()
    stray = ~again & (good["misplaced"] != "")
    why.update(good.loc[stray, "misplaced"])
    used, equal = good[~again & ~stray], good[again]
    noted = used[used["note"] != ""]
    bad = copies.assign(why=why)[why != ""].sort_values("place")
    problems = [*map(str, listing.problems), *map(str, map(Problem, bad["place"], bad["why"]))]
    shown, lines = summarised(problems)
    if problems and on_problem == "refuse":
        raise DataError(
            "\n  ".join([f"problems in the corpus: {len(problems)}", *shown]),
            lines=lines,
            do="fix or remove them, or go on without them with data.on_problem=leave_out",
        )
    if used.empty:
        what = "\n  ".join(["no recording of the corpus can be used", *shown])
        raise DataError(what, do="give data.root=<a whole corpus>", lines=lines)
    first = good.groupby("samples")["utterance"].transform("first")[again]
    renamed = equal["utterance"] != first
    found = listing.table["utterance"].nunique()
    said = [
        f"{len(used)} utterances of {used['speaker'].nunique()} speakers",
        *_note("used once, equal copies", equal.loc[~renamed, "place"]),
        *_note("used once, equal samples under two names", (first + " = " + equal["utterance"])[renamed]),
        *_note("used in spite of flaws", noted["path"] + " (" + noted["note"] + ")"),
        *_note("converted to mono", used.loc[used["channels"] > 1, "path"]),
        *_note(f"resampled, not at {listing.rate} Hz", used.loc[used["off_rate"], "path"]),
        *([counted(listing.left_out)] if listing.left_out else []),
        *([f"incomplete: {found} of {listing.whole} utterances"] if found < (listing.whole or 0) else []),
        *([f"left out, with a problem: {len(problems)}", *(f"  {problem}" for problem in shown)] if problems else []),
    ]
    log.log(logging.WARNING if problems else logging.INFO, "%s", printable("\n  ".join(said)))
    return utterance_table(used, listing.labels)


def _in_order_of_preference(listing: Listing, facts: pd.DataFrame) -> pd.DataFrame:
    """Recordings with their facts: those in their own place first, then the usual rate, the id, the shallowest.

    `place` is the path and, if it is one, the segment.
    """
    columns = ["rate", "channels", "samples", "problem", "note"]
    copies = listing.table.reset_index(drop=True).assign(**{name: facts[name].to_numpy() for name in columns})
    copies = copies.assign(**{name: of for name, of in SEGMENT.items() if name not in copies})
    copies = copies if "misplaced" in copies else copies.assign(misplaced="")
    whole = (copies["start"] == 0) & np.isinf(copies["end"])
    segment = " (" + copies["start"].astype(str) + " to " + copies["end"].astype(str) + " s)"
    copies["place"] = copies["path"] + segment.mask(whole, "")
    copies["off_rate"] = copies["rate"] != (listing.rate or copies["rate"])
    copies["depth"] = copies["path"].str.count(os.sep)
    copies["strayed"] = copies["misplaced"] != ""
    order = ["strayed", "off_rate", "utterance", "depth", "path", "start", "end"]
    return copies.sort_values(order, ignore_index=True)


def _note(what: str, names: pd.Series[str]) -> list[str]:
    """How many there are, and some of them; nothing if there is none."""
    named = names.unique().tolist()
    return [f"{what} ({len(named)}): {', '.join(named[:SHOWN])}"] if named else []
