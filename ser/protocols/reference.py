"""The reference's protocol: validation by utterances of seen speakers, test by unseen ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ser.errors import ConfigError
from ser.protocols.split import Split, draw
from ser.utterances import rows_of, speaker_key


@dataclass(frozen=True)
class Reference:
    """Development speakers, split by utterance with the emotions in proportion, and test speakers apart.

    The validation score is one of seen speakers: the same voices, and the other repetition of most clips, are in
    training. With a `val_fraction` of 0, all development utterances are.
    """

    dev_speakers: Sequence[int | str]
    test_speakers: Sequence[int | str]
    val_fraction: float

    def split(self, table: pd.DataFrame, seed: int) -> Split:
        """Split the table; listed speakers that the corpus lacks are simply not there.

        Raises:
            ConfigError: if a speaker is in both lists, the fraction is not in [0, 1), or a part would be empty.
        """
        dev, test = ({speaker_key(name) for name in names} for names in (self.dev_speakers, self.test_speakers))
        both = sorted(dev & test)
        if both:
            what = f"speakers {', '.join(both)} are in both development and test"
            raise ConfigError(what, where="protocol.dev_speakers, protocol.test_speakers", do="take them out of one")
        if not 0 <= self.val_fraction < 1:
            raise ConfigError(f"{self.val_fraction} is not a fraction", where="protocol.val_fraction", do="give 0 to 1")
        development = rows_of(table, self.dev_speakers)
        chosen = _stratified(table.iloc[list(development)], self.val_fraction, seed)
        ids = table["utterance"].tolist()
        train = tuple(row for row in development if ids[row] not in chosen)
        val = tuple(row for row in development if ids[row] in chosen)
        tested = rows_of(table, self.test_speakers)
        names = tuple(map(str, self.test_speakers))
        return Split(table, train, val, tested, names, unvalidated=self.val_fraction == 0)


def _stratified(table: pd.DataFrame, fraction: float, seed: int) -> set[str]:
    """Ids of ceil(fraction * rows) utterances, every emotion's share within one of its exact proportion."""
    exact = table["emotion"].astype(str).value_counts().sort_index() * fraction
    share = exact.astype(int)
    rest = math.ceil(len(table) * fraction - 1e-9) - int(share.sum())
    # Largest remainders get what rounding down left over; equal ones by the seed, so that no emotion always gains.
    order = sorted(exact.index, key=lambda emotion: (-(exact[emotion] - share[emotion]), draw(seed, emotion)))
    share[order[:rest]] += 1
    chosen: set[str] = set()
    for emotion, rows in table.groupby("emotion", observed=True):
        chosen.update(sorted(rows["utterance"], key=lambda utterance: draw(seed, utterance))[: share[str(emotion)]])
    return chosen
