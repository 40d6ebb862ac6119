"""EMO-DB, the Berlin database of emotional speech: 10 actors, seven emotions, in German.

Burkhardt F, Paeschke A, Rolfes M, Sendlmeier W, Weiss B (2005), "A database of German emotional speech", Interspeech,
https://doi.org/10.21437/Interspeech.2005-446. http://emodb.bilderbar.info
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ser.corpora import names
from ser.corpora.listing import Listing
from ser.errors import DataError

EMOTIONS = {"N": "neutral", "L": "bored", "F": "happy", "T": "sad", "W": "angry", "A": "fearful", "E": "disgust"}
"""By the letter of the German word; named as in RAVDESS where the emotion is the same."""

FEMALE, MALE = ("08", "09", "13", "14", "16"), ("03", "10", "11", "12", "15")

_NAME = re.compile(f"({'|'.join(FEMALE + MALE)})(a0[12457]|b0[1239]|b10)([{''.join(EMOTIONS)}])([a-z]+)")


def read(root: str | os.PathLike[str]) -> Listing:
    """The recordings under `root` at any depth, by their names alone.

    Raises:
        DataError: if there is no such folder, or no recording of EMO-DB in it.
    """
    return names.read(
        root,
        corpus="EMO-DB",
        describe=lambda path: parse(Path(path).stem),
        labels=tuple(EMOTIONS.values()),
        whole=535,
        rate=16000,
        do="get the corpus from http://emodb.bilderbar.info and say where it is with data.root=<its folder wav>",
    )


def parse(stem: str) -> dict[str, str]:
    """Columns of the utterance table from a file's name without suffix, such as `03a01Fa`; a text is a statement.

    Raises:
        DataError: if it is no name of the corpus.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        raise DataError(f"{stem!r} is no name of EMO-DB: speaker, text, emotion and version, such as 03a01Fa")
    speaker, text, letter, version = match.groups()
    sex = "female" if speaker in FEMALE else "male"
    return {"speaker": speaker, "sex": sex, "emotion": EMOTIONS[letter], "statement": text, "repetition": version}
