"""A built-in corpus with RAVDESS's names, spoken by `ser.demo.voice`: a demonstration, not evidence."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from pathlib import Path

from ser.corpora.ravdess import EMOTIONS
from ser.demo.voice import VERSION, synthesise
from ser.errors import ConfigError, DataError

SETTINGS = "synthetic.json"
"""The file in the corpus that says what made it."""

Codes = tuple[int, int, int, int, int]
"""Emotion, intensity, statement, repetition, actor: as RAVDESS numbers them."""


def utterances(speakers: Sequence[int], statements: int, repetitions: int) -> Iterator[Codes]:
    """The codes of every utterance of the corpus; neutral has one intensity."""
    counts = range(1, statements + 1), range(1, repetitions + 1)
    for codes in product(range(1, len(EMOTIONS) + 1), (1, 2), *counts, speakers):
        if codes[:2] != (1, 2):
            yield codes


def fetch(
    root: str | Path,
    *,
    seed: int = 0,
    speakers: Sequence[int] = tuple(range(1, 25)),
    statements: int = 2,
    repetitions: int = 2,
    seconds: float = 1.6,
    rate: int = 48000,
) -> None:
    """Write the corpus to `root`, whole or not at all, unless it is there already.

    Args:
        root: folder to be made.
        seed: of voices and takes; equal settings give equal files.
        speakers: actors among 1 to 24; odd ones are male, even ones female.
        statements: 1 or 2.
        repetitions: takes of every emotion, intensity and statement, 1 or 2.
        seconds: duration of a statement at a neutral rate of speech.
        rate: samples per second, mono, 16 bit.

    Raises:
        ConfigError: if a setting is out of range.
        DataError: if something else, or a corpus of other settings, is at `root`.
    """
    root, speakers = Path(root), sorted(set(speakers))
    made_by = {"version": VERSION, "seed": seed, "speakers": speakers, "statements": statements}
    made_by |= {"repetitions": repetitions, "seconds": seconds, "rate": rate}
    in_range = speakers and 1 <= speakers[0] <= speakers[-1] <= 24 and {statements, repetitions} <= {1, 2}
    if not in_range or seconds < 0.2 or rate < 16000 or seed < 0:
        raise ConfigError(
            f"no such synthetic corpus: {made_by}",
            where="data.fetch",
            do="speakers 1 to 24, statements 1 or 2, repetitions 1 or 2, seconds >= 0.2, rate >= 16000, seed >= 0",
        )
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}.") as folder:
            corpus = Path(folder, "corpus")
            _write(corpus, list(utterances(speakers, statements, repetitions)), seed, seconds, rate)
            (corpus / SETTINGS).write_text(json.dumps(made_by, indent=1) + "\n")
            with suppress(OSError):  # another process was first: what it made is looked at below
                corpus.rename(root)
    try:
        found = json.loads((root / SETTINGS).read_text())
    except (OSError, ValueError):
        found = None
    if found != made_by:
        raise DataError(
            "this folder holds no synthetic corpus" if found is None else f"made with other settings: {found}",
            where=root,
            do=f"give another data.root, or delete it to have it made with {made_by}",
        )


def _write(corpus: Path, takes: Sequence[Codes], seed: int, seconds: float, rate: int) -> None:
    import soundfile
    from tqdm import tqdm

    def one(codes: Codes) -> None:
        path = corpus / f"Actor_{codes[-1]:02d}" / ("-".join(f"{field:02d}" for field in (3, 1, *codes)) + ".wav")
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()  # libsndfile would not say what is wrong with the disk
        soundfile.write(content, synthesise(seed, codes, seconds, rate), rate, format="WAV", subtype="PCM_16")
        path.write_bytes(content.getvalue())

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in tqdm(pool.map(one, takes), total=len(takes), desc="synthetic corpus", unit="file", disable=None):
            pass
