"""A built-in corpus with RAVDESS's names, spoken by `ser.demo.voice`: a demonstration, not evidence."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from ser.corpora.listing import Listing
from ser.demo.voice import VERSION, synthesise
from ser.errors import ConfigError, DataError
from ser.utterances import EMOTIONS

log = logging.getLogger(__name__)

SETTINGS = "synthetic.json"
"""The file in the corpus that says what made it."""


def utterances(speakers: Sequence[int], statements: int, repetitions: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Every (emotion, intensity, statement, repetition, actor) code of the corpus; neutral has one intensity."""
    emotions, intensities = range(1, len(EMOTIONS) + 1), (1, 2)
    counts = range(1, statements + 1), range(1, repetitions + 1)
    for codes in product(emotions, intensities, *counts, speakers):
        if codes[:2] != (1, 2):
            yield codes


def generate(
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
        rate: samples a second, mono, 16 bit.

    Raises:
        ConfigError: if a setting is out of range.
        DataError: if something else, or a corpus of other settings, is at `root`.
    """
    root, speakers = Path(root), sorted({int(speaker) for speaker in speakers})
    if not speakers or not 1 <= speakers[0] <= speakers[-1] <= 24:
        raise ConfigError(f"the synthetic corpus has actors 1 to 24, not {speakers}", do="choose data.read.speakers")
    if statements not in (1, 2) or repetitions not in (1, 2) or seconds < 0.2 or rate < 16000 or seed < 0:
        raise ConfigError(
            f"no such synthetic corpus: {seed=}, {statements=}, {repetitions=}, {seconds=}, {rate=}",
            do="seed >= 0, statements 1 or 2, repetitions 1 or 2, seconds >= 0.2, rate >= 16000",
        )
    made_by = {
        "version": VERSION,
        "seed": seed,
        "speakers": speakers,
        "statements": statements,
        "repetitions": repetitions,
        "seconds": seconds,
        "rate": rate,
    }
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}.") as folder:
            corpus = Path(folder) / "corpus"
            _write(corpus, made_by, list(utterances(speakers, statements, repetitions)))
            try:
                corpus.rename(root)
            except OSError:  # another process was first: what it made is looked at below
                if not root.exists():
                    raise
    _check(root, made_by)


def read(
    root: str | Path,
    *,
    seed: int = 0,
    speakers: Sequence[int] = tuple(range(1, 25)),
    statements: int = 2,
    repetitions: int = 2,
    seconds: float = 1.6,
    rate: int = 48000,
) -> Listing:
    """The utterances at `root`, generated first where it does not exist; arguments and errors of `generate`."""
    from ser.corpora import ravdess

    generate(
        root,
        seed=seed,
        speakers=speakers,
        statements=statements,
        repetitions=repetitions,
        seconds=seconds,
        rate=rate,
    )
    return ravdess.read(root)


def _write(corpus: Path, made_by: dict[str, object], codes: list[tuple[int, int, int, int, int]]) -> None:
    import soundfile
    from tqdm import tqdm

    seed, seconds, rate = (made_by[key] for key in ("seed", "seconds", "rate"))
    for actor in sorted({code[-1] for code in codes}):
        (corpus / f"Actor_{actor:02d}").mkdir(parents=True)

    def one(code: tuple[int, int, int, int, int]) -> None:
        stem = "-".join(f"{field:02d}" for field in (3, 1, *code))
        wave = synthesise(seed, code, seconds, rate)  # type: ignore[arg-type]
        soundfile.write(corpus / f"Actor_{code[-1]:02d}" / f"{stem}.wav", wave, rate, subtype="PCM_16")

    log.info("generating %d utterances", len(codes))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for _ in tqdm(pool.map(one, codes), total=len(codes), desc="synthetic corpus", unit="file"):
            pass
    (corpus / SETTINGS).write_text(json.dumps(made_by, indent=1) + "\n")


def _check(root: Path, made_by: dict[str, object]) -> None:
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
