"""A split of the utterance table, its fingerprint, and what its parts share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from ser.errors import ConfigError

PARTS = ("train", "val", "test")
TWIN = ["speaker", "emotion", "intensity", "statement"]


@dataclass(frozen=True)
class Split:
    """Row numbers of the utterance table in each part; no row is in two parts.

    `test_speakers` are those that the protocol keeps for test, whether the corpus has them or not.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]
    test_speakers: tuple[int, ...]

    def part_of(self, table: pd.DataFrame) -> pd.DataFrame:
        """One row an utterance that is used: `utterance`, `part`, in table order."""
        part = {row: name for name in PARTS for row in getattr(self, name)}
        rows = sorted(part)
        return pd.DataFrame({"utterance": table["utterance"].iloc[rows].tolist(), "part": [part[row] for row in rows]})

    def fingerprint(self, table: pd.DataFrame) -> str:
        """16 hex digits of the ids in each part: equal if and only if the same utterances play the same part."""
        listing = self.part_of(table).sort_values("utterance").to_csv(index=False, lineterminator="\n")
        return hashlib.sha256(listing.encode()).hexdigest()[:16]

    def overlap(self, table: pd.DataFrame) -> dict[str, dict[str, int]]:
        """For each pair of parts, how many speakers and statements both hold, and how many twins the second has.

        A twin is an utterance whose other repetition (the same speaker, emotion, intensity and statement) stands in
        the first part of the pair: what makes a seen-speaker score easy.
        """
        shared = {}
        for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
            one, other = table.iloc[list(getattr(self, first))], table.iloc[list(getattr(self, second))]
            takes = set(one[TWIN].itertuples(index=False, name=None))
            shared[f"{first}_{second}"] = {
                "speakers": len(set(one["speaker"]) & set(other["speaker"])),
                "statements": len(set(one["statement"]) & set(other["statement"])),
                "twins": sum(take in takes for take in other[TWIN].itertuples(index=False, name=None)),
            }
        return shared


def rows_of(table: pd.DataFrame, speakers: Iterable[int]) -> tuple[int, ...]:
    """Row numbers of these speakers' utterances."""
    wanted = table["speaker"].isin(list(speakers)).to_numpy()
    return tuple(int(row) for row in wanted.nonzero()[0])


def draw(seed: int, name: object) -> str:
    """A random-looking sort key that depends on nothing but the seed and the name.

    Ordering by it shuffles reproducibly on every platform and library version, and a missing utterance leaves the
    order of the others as it was.
    """
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def refuse_empty(split: Split, do: str) -> Split:
    """The split itself, if there is something to train and validate on."""
    for part in ("train", "val"):
        if not getattr(split, part):
            raise ConfigError(f"the split has no utterance in its {part} part", do=do)
    return split
