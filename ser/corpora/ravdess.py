"""RAVDESS speech: 24 actors, eight emotions, in English.

Livingstone SR, Russo FA (2018), PLoS ONE 13(5): e0196391, https://doi.org/10.1371/journal.pone.0196391.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ser.corpora import names
from ser.corpora.listing import Listing
from ser.errors import DataError

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
"""By code, from 01."""

_NAME = re.compile("(0[1-3])-(0[12])-(?!01-02)(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1[0-9]|2[0-4])")
"""Neutral has no strong intensity."""


def read(root: str | os.PathLike[str]) -> Listing:
    """The speech recordings under `root` at any depth, by their names alone; song and video are left out.

    Raises:
        DataError: if there is no such folder, or no speech recording in it.
    """
    elsewhere = f" and a data.root that does not exist yet (not {root})" if Path(root).exists() else ""
    return names.read(
        root,
        corpus="RAVDESS",
        describe=describe,
        labels=EMOTIONS,
        whole=1440,
        rate=48000,
        do="say where the corpus is with data.root=<folder of Actor_01, Actor_02 and so on>, "
        f"fetch it with data.download=true{elsewhere}, or try everything without it with data=synthetic",
    )


def parse(stem: str) -> dict[str, str]:
    """Fields of a file's name without suffix, such as `03-01-06-01-02-01-12`.

    `modality` is 01 audio and video, 02 video or 03 audio; `channel` is 01 speech or 02 song; the others are columns
    of the utterance table.

    Raises:
        DataError: if it is no name of the corpus.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        fields = "modality-channel-emotion-intensity-statement-repetition-actor"
        raise DataError(f"{stem!r} is no name of RAVDESS: {fields}, two digits each")
    modality, channel, emotion, intensity, statement, repetition, actor = match.groups()
    return {
        "modality": modality,
        "channel": channel,
        "emotion": EMOTIONS[int(emotion) - 1],
        "intensity": "normal" if intensity == "01" else "strong",
        "statement": statement[1],
        "repetition": repetition[1],
        "speaker": actor,
        "sex": "male" if int(actor) % 2 else "female",
    }


def describe(path: str) -> dict[str, str] | str:
    """The columns of a speech recording, and whether it is in another actor's folder; or what else a file is.

    Raises:
        DataError: if it is no name of the corpus.
    """
    fields = parse(Path(path).stem)
    modality, channel = fields.pop("modality"), fields.pop("channel")
    if (modality, channel) != ("03", "01"):
        return "video" if modality != "03" else "song"
    folders = re.findall(r"/(actor[_ -]?(\d+))(?=/)", Path(path).as_posix(), re.IGNORECASE)
    elsewhere = folders and int(folders[-1][1]) != int(fields["speaker"])
    return {**fields, "misplaced": f"actor of the name is not of {folders[-1][0]}" if elsewhere else ""}
