"""The reference's protocol: validation by utterances of seen speakers, test by unseen ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ser.errors import ConfigError
from ser.protocols.split import Split, draw, refuse_empty, rows_of


@dataclass(frozen=True)
class Reference:
    """Development speakers, split by utterance with the emotions in proportion, and test speakers apart.

    The validation score is a seen-speaker score: the same voices, and the other repetition of most clips, are in
    training.
    """

    dev_speakers: Sequence[int]
    test_speakers: Sequence[int]
    val_fraction: float

    def split(self, table: pd.DataFrame, seed: int) -> Split:
        """Split the table; listed speakers that the corpus lacks are simply not there.

        Raises:
            ConfigError: if a speaker is in both lists, the fraction is not in (0, 1), or a part would be empty.
        """
        both = sorted(set(self.dev_speakers) & set(self.test_speakers))
        if both:
            raise ConfigError(
                f"speakers {both} are in both development and test",
                where="protocol.dev_speakers, protocol.test_speakers",
                do="take them out of one of the lists",
            )
        if not 0 < self.val_fraction < 1:
            raise ConfigError(f"{self.val_fraction} is not a fraction", where="protocol.val_fraction", do="give 0 to 1")
        development = rows_of(table, self.dev_speakers)
        chosen = _stratified(table.iloc[list(development)], self.val_fraction, seed)
        ids = table["utterance"].tolist()
        return refuse_empty(
            Split(
                train=tuple(row for row in development if ids[row] not in chosen),
                val=tuple(row for row in development if ids[row] in chosen),
                test=rows_of(table, self.test_speakers),
                test_speakers=tuple(self.test_speakers),
            ),
            do=f"check protocol.dev_speakers ({list(self.dev_speakers)}) against the speakers of the corpus",
        )


def _stratified(table: pd.DataFrame, fraction: float, seed: int) -> set[str]:
    """Ids of ceil(fraction * rows) utterances, every emotion's share within one of its exact proportion."""
    exact = table["emotion"].value_counts().sort_index() * fraction
    share = exact.astype(int)
    rest = math.ceil(len(table) * fraction - 1e-9) - int(share.sum())
    # Largest remainders get what rounding down left over; equal ones by the seed, so that no emotion always gains.
    order = sorted(exact.index, key=lambda emotion: (-(exact[emotion] - share[emotion]), draw(seed, emotion)))
    share[order[:rest]] += 1
    chosen: set[str] = set()
    for emotion, rows in table.groupby("emotion"):
        chosen.update(sorted(rows["utterance"], key=lambda utterance: draw(seed, utterance))[: share[emotion]])
    return chosen
