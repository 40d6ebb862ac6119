"""A corpus ready for use: recordings that passed the audit, their features, their fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from ser.corpora.audit import audit
from ser.corpora.listing import Listing
from ser.features import cache, enrol
from ser.features.cache import Bank, Feature
from ser.features.copied import Copied, WaveTransform
from ser.features.normalise import Normalisation
from ser.utterances import SEGMENT, relabelled, renaming


class Copy(NamedTuple):
    """`rows`, `starts` and `lengths` as in `Dataset`, of the same utterances after a change of their waves."""

    rows: Tensor
    starts: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Dataset:
    """Utterances and their features.

    `table`: the utterance table; `rows`: `(row, dim)` float32, the features of all recordings on end, the last row
    silence; `starts`, `lengths`: `(utterance,)`, where each utterance lies in `rows`; `recordings`: a digest of each
    utterance's samples; `copies`: features of changed recordings, for training alone.
    """

    corpus: str
    table: pd.DataFrame
    rows: Tensor
    starts: Tensor
    lengths: Tensor
    recordings: tuple[str, ...]
    copies: tuple[Copy, ...] = ()

    def enrolled(self, given: Sequence[int], average: Normalisation, prior: float) -> Dataset:
        """As speakers are heard who are known by these utterances, row numbers of the table; see `features.enrol`.

        Copies have voices of their own: at another speed, a speaker sounds as somebody else.
        """
        speakers = self.table["speaker"].tolist()

        def of(version: Copy) -> Copy:
            known = enrol.voices(*version, speakers, given, average, prior)
            return version._replace(rows=enrol.changed(*version, speakers, known))

        own = of(Copy(self.rows, self.starts, self.lengths))
        return replace(self, rows=own.rows, copies=tuple(map(of, self.copies)))

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the content: which recordings there are, with which labels and speakers."""
        columns = (self.table[name] for name in ("utterance", "speaker", "emotion"))
        lines = ("\t".join(row) for row in zip(*columns, self.recordings, strict=True))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def prepare(
    data: Mapping[str, Any],
    listing: Listing,
    feature: Feature,
    cache_folder: Path,
    copies: Sequence[WaveTransform] = (),
) -> Dataset:
    """Features from the cache or computed into it, the audit, the choice of labels.

    Args:
        data: the settings of the group `data`.
        listing: what the corpus's reader found.
        copies: of all recordings, so that every split of the corpus finds them in the cache.
    """
    labels = data["labels"]
    if labels is not None:
        renaming(listing.labels, labels)  # before features take their time
    place = ["path", *SEGMENT]
    recordings = listing.table.assign(**{name: of for name, of in SEGMENT.items() if name not in listing.table})[place]
    kept, columns = getattr(feature, "part_of", None) or (feature, slice(None))
    bank = cache.bank(recordings, kept, cache_folder)
    table = relabelled(audit(listing, bank.files, data["on_problem"]), labels)

    def used(bank: Bank) -> tuple[Copy, pd.DataFrame]:
        files = recordings.reset_index(drop=True).join(bank.files).drop_duplicates(place)
        found = table[place].merge(files, on=place, how="left", validate="many_to_one")
        starts, lengths = (torch.tensor(found[name].to_numpy(dtype="int64")) for name in ("start_row", "length"))
        return Copy(bank.rows[:, columns], starts, lengths), found

    own, found = used(bank)
    others = [used(cache.bank(recordings, Copied(kept, change), cache_folder))[0] for change in copies]
    return Dataset(corpus_name(data), table, *own, tuple(found["samples"]), tuple(others))


def corpus_name(data: Mapping[str, Any]) -> str:
    """What the corpus of a group `data` is called in results: its table's name, or its own."""
    return Path(data["file"]).stem if data.get("file") else str(data["name"])


def reader_arguments(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the reader of a corpus is called with, out of the group `data`."""
    return {name: data[name] for name in ("root", "file") if name in data}
