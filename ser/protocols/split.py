"""A split of the utterance table: it can't be made with a leak; its fingerprint, and what its parts share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pandas as pd

from ser.errors import ConfigError
from ser.utterances import rows_of

PARTS = ("train", "val", "test")
TWIN = ["speaker", "emotion", "intensity", "statement"]


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the utterance table in each part.

    `test_speakers` are those that the protocol keeps for test, whether the corpus has them or not. `unvalidated`: the
    protocol wants nobody to validate, so `val` is empty.

    Raises:
        ConfigError: if a row is in two parts, a test speaker is in training or validation, or there is nothing to
            train or, unless that is wanted, to validate on.
    """

    table: pd.DataFrame
    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    test_speakers: tuple[str, ...]
    unvalidated: bool = False

    def __post_init__(self) -> None:
        for part in ("train",) if self.unvalidated else ("train", "val"):
            if not getattr(self, part):
                speakers = ", ".join(sorted(set(self.table["speaker"])))
                raise ConfigError(
                    f"the split has no utterance in its {part} part",
                    where="protocol",
                    do=f"check its speakers and fractions against the corpus's speakers: {speakers}",
                )
        rows = pd.Series((*self.train, *self.val, *self.test))
        twice = self.table["utterance"].iloc[rows[rows.duplicated()].unique()]
        if len(twice):
            what = f"the split leaks: {len(twice)} utterances are in two parts: {', '.join(twice[:5])}"
            raise ConfigError(what, where="protocol")
        speakers_of = self.table["speaker"].iloc
        tested = {*speakers_of[list(self.test)], *speakers_of[list(rows_of(self.table, self.test_speakers))]}
        leaked = tested & {*speakers_of[[*self.train, *self.val]]}
        if leaked:
            what = f"the split leaks: test speakers {', '.join(sorted(leaked))} are in training or validation, too"
            do = "keep all utterances of a test speaker out of the other parts"
            raise ConfigError(what, where="protocol", do=do)

    def part_of(self) -> pd.DataFrame:
        """One row per utterance that is used: `utterance`, `part`, in table order."""
        part = {row: name for name in PARTS for row in getattr(self, name)}
        ids = self.table["utterance"]
        return pd.DataFrame([(ids.iloc[row], part[row]) for row in sorted(part)], columns=["utterance", "part"])

    def fingerprint(self) -> str:
        """16 hex digits of the ids in each part: equal if and only if the same utterances play the same part."""
        listing = self.part_of().sort_values("utterance").to_csv(index=False, lineterminator="\n")
        return hashlib.sha256(listing.encode()).hexdigest()[:16]

    def overlap(self) -> dict[str, dict[str, int] | None]:
        """For each pair of parts, how many speakers and statements both hold, and how many twins the second has.

        A twin is an utterance whose other repetition (the same speaker, emotion, intensity and statement) is in the
        first part of the pair: what makes a seen-speaker score easy. A pair with an empty part has None; statements
        and twins are left out where the corpus does not know its statements.
        """
        shared: dict[str, dict[str, int] | None] = {}
        for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
            one, other = self.table.iloc[list(getattr(self, first))], self.table.iloc[list(getattr(self, second))]
            shared[f"{first}_{second}"] = _overlap(one, other) if len(one) and len(other) else None
        return shared


def _overlap(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, int]:
    counts = {"speakers": len(set(one["speaker"]) & set(other["speaker"]))}
    if one["statement"].any():
        takes = set(one[TWIN].itertuples(index=False, name=None))
        counts["statements"] = len((set(one["statement"]) & set(other["statement"])) - {""})
        counts["twins"] = sum(take in takes for take in other[TWIN].itertuples(index=False, name=None))
    return counts


def draw(seed: int, name: object) -> str:
    """A sort key that shuffles alike on every platform; a missing name leaves the order of the others as it was."""
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
