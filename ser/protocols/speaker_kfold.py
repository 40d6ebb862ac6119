"""Speaker-independent folds: whole speakers tested, other whole speakers to choose by."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ser.errors import ConfigError
from ser.protocols.split import Split, draw
from ser.utterances import rows_of, speaker_key


@dataclass(frozen=True)
class SpeakerKFold:
    """`k` folds of whole speakers, sexes dealt out evenly; fold number `fold` is the test part.

    The folds depend on the speakers alone, so the `k` runs of any seed test every speaker once; the seed draws the
    `val_speakers` speakers (half of either sex, as far as they go) that validate. With none, all others train.
    """

    k: int
    fold: int
    val_speakers: int

    def split(self, table: pd.DataFrame, seed: int) -> Split:
        """Split the table by speaker.

        Raises:
            ConfigError: if `k`, `fold` or `val_speakers` don't fit the speakers of the corpus.
        """
        sexes = table.drop_duplicates("speaker").set_index("speaker")["sex"]
        by_sex = sorted(sexes.index, key=lambda speaker: (sexes[speaker], speaker))
        if not 2 <= self.k <= len(by_sex):
            raise ConfigError(f"{len(by_sex)} speakers don't make {self.k} folds", where="protocol.k")
        if not 0 <= self.fold < self.k:
            raise ConfigError(f"there is no fold {self.fold} of {self.k}", where="protocol.fold", do="count from 0")
        test = by_sex[self.fold :: self.k]
        rest = sorted(set(by_sex) - set(test), key=lambda speaker: draw(seed, speaker_key(speaker)))
        if not 0 <= self.val_speakers < len(rest):
            what = f"{self.val_speakers} of {len(rest)} speakers can't validate"
            raise ConfigError(what, where="protocol.val_speakers")
        turns = sexes[rest].groupby(sexes[rest]).cumcount()
        in_turn = sorted(rest, key=lambda speaker: (turns[speaker], sexes[speaker]))  # one of each sex in turn
        val = in_turn[: self.val_speakers]
        train = [speaker for speaker in rest if speaker not in val]
        rows = rows_of(table, train), rows_of(table, val), rows_of(table, test)
        return Split(table, *rows, tuple(test), unvalidated=self.val_speakers == 0)
