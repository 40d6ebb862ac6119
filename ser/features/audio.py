"""One recording: file to mono wave, with what has to be known about it. No bad file raises."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import soundfile

Wave = NDArray[np.float32]

SILENCE = 1e-4
"""Peak to peak, full scale being 2: three steps of 16 bits. Less is dither, not a voice."""

UNKNOWN_BYTES = 0x7FFFFFFF
"""From here on a WAV's data size means "not known when the header was written", as streaming encoders leave it."""

MOST_FRAMES = 1 << 28
"""An hour and a half at 48 kHz. A header that promises more is damaged or, in a FLAC, gives no length at all."""

FULL_SCALE = np.float32(1 / (1 << 15))
"""One step of 16 bits."""

RATES = range(4000, 384001)
"""Hz. Outside of it a header is damaged, and resampling would take memory without bound."""


@dataclass(frozen=True)
class Facts:
    """What a file holds: Hz, channels before averaging, seconds decoded, digest of the mono samples.

    `samples` agrees between a WAV and a FLAC of the same PCM; `problem` is "" or a short phrase.
    """

    rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    samples: str = ""
    problem: str = ""


def read(path: str | os.PathLike[str]) -> tuple[Wave, Facts]:
    """Decode a recording to `(samples,)` float32 in [-1, 1], channels averaged; empty if there is a problem."""
    import soundfile

    try:
        if not os.path.getsize(path):
            return _nothing(Facts(problem="empty"))
        with soundfile.SoundFile(path) as file:
            return _decode(file, os.fspath(path))
    except (soundfile.SoundFileError, OSError, MemoryError) as error:
        reason = getattr(error, "error_string", "") or getattr(error, "strerror", "") or str(error)
        return _nothing(Facts(problem=f"unreadable: {reason.strip().rstrip('.')}"))


def _decode(file: soundfile.SoundFile, path: str) -> tuple[Wave, Facts]:
    import soundfile
    import xxhash

    rate, channels = file.samplerate, file.channels
    if file.frames > MOST_FRAMES or rate not in RATES:
        return _nothing(Facts(rate, channels, problem="unreadable: its header gives no credible length or rate"))
    values = np.empty((0, channels), dtype=np.int16)
    try:  # libsndfile takes four times as long to make floats of 16 bits
        values = file.read(dtype="int16" if file.subtype == "PCM_16" else "float32", always_2d=True)
        decoded = len(values)
    except soundfile.LibsndfileError:  # how a FLAC that breaks off ends
        decoded = min(file.tell(), file.frames - 1)
    present = min(_share_present(path), decoded / file.frames if file.frames else 1.0)
    facts = Facts(rate, channels, decoded / rate)
    if present < 1:
        problem = f"truncated or damaged: {int(100 * present)}% of it can be read"
        return _nothing(replace(facts, problem=problem))
    if not decoded:
        return _nothing(replace(facts, problem="empty"))
    wave = values[:, 0] if channels == 1 else values.mean(axis=1, dtype=np.float32)
    if values.dtype == np.int16:
        wave = wave * FULL_SCALE
    spread = float(wave.max()) - float(wave.min())
    problem = "NaN or infinite samples" if not np.isfinite(spread) else "silent" if spread < SILENCE else ""
    facts = replace(facts, samples=xxhash.xxh3_128_hexdigest(wave.data), problem=problem)
    return _nothing(facts) if problem else (wave, facts)


def _share_present(path: str) -> float:
    """How much of what a RIFF header promises is in the file; the decoder quietly stops where the file does."""
    with open(path, "rb") as file:
        if file.read(12)[:4] == b"RIFF":
            while len(head := file.read(8)) == 8:
                name, size = struct.unpack("<4sI", head)
                if name == b"data":
                    known = 0 < size < UNKNOWN_BYTES
                    return min((os.path.getsize(path) - file.tell()) / size, 1.0) if known else 1.0
                file.seek(size + size % 2, os.SEEK_CUR)
    return 1.0


def _nothing(facts: Facts) -> tuple[Wave, Facts]:
    return np.empty(0, dtype=np.float32), facts
