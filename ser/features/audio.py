"""One recording or a segment of it: file to mono wave, with what has to be known about it. No bad file raises."""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]

SILENCE = 1e-4  # peak to peak, full scale being 2: three steps of 16 bits; less is dither, not a voice
UNKNOWN_BYTES = 0x7FFFFFFF  # from here on, a WAV's data size means that its encoder did not know it beforehand
MOST_FRAMES = 1 << 28  # 1.5 h at 48 kHz; a header that promises more is damaged or, in a FLAC, gives no length at all
RATES = range(4000, 384001)  # Hz; outside of it, a header is damaged
LATE_SECONDS, LATE_SHARE = 0.1, 0.01  # a segment may end so late, or by this part of its length: ends are rounded


@dataclass(frozen=True)
class Facts:
    """What was read: Hz, channels before averaging, seconds, digest of the mono samples; or what the problem is.

    `samples` is the digest, in hexadecimal; it agrees between a WAV and a FLAC of the same PCM. `problem` is "" or a
    short phrase.
    """

    rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    samples: str = ""
    problem: str = ""


class RecordingError(Exception):
    """Why a recording can't be used, as a short phrase."""


def read(path: str | os.PathLike[str], start: float = 0.0, end: float = math.inf) -> tuple[Wave, Facts]:
    """Decode a recording, or its segment from `start` to `end` (seconds), and nothing but that.

    Returns:
        `(samples,)` float32 in [-1, 1], channels averaged, empty if there is a problem; and what was found.
    """
    import soundfile

    try:
        return _decode(os.fspath(path), start, end)
    except RecordingError as error:
        problem = str(error)
    except (soundfile.SoundFileError, OSError, MemoryError, UnicodeError) as error:
        reason = getattr(error, "error_string", "") or getattr(error, "strerror", "") or str(error)
        problem = f"unreadable: {reason.strip().rstrip('.')}"
    return np.empty(0, dtype=np.float32), Facts(problem=problem)


def check(wave: Wave) -> None:
    """Refuse a wave `(samples,)` without a voice.

    Raises:
        RecordingError: if it is empty, silent or not finite.
    """
    spread = float(wave.max()) - float(wave.min()) if len(wave) else 0.0
    if not np.isfinite(spread):
        raise RecordingError("NaN or infinite samples")
    if spread < SILENCE:
        raise RecordingError("silent" if len(wave) else "empty")


def _decode(path: str, start: float, end: float) -> tuple[Wave, Facts]:
    import soundfile
    import xxhash

    if not 0 <= start < end:  # nor NaN
        raise RecordingError(f"no segment: from {start:g} to {end:g} s")
    if os.path.isdir(path):
        raise RecordingError("a folder without a recording")
    if not os.path.getsize(path):
        raise RecordingError("empty")
    with soundfile.SoundFile(path) as file:
        rate, channels = file.samplerate, file.channels
        first, last = (round(min(second * rate, file.frames)) for second in (start, end))
        frames = last - first
        if frames > MOST_FRAMES or rate not in RATES:
            raise RecordingError("unreadable: its header gives no credible length or rate")
        seconds = file.frames / rate
        if start and start >= seconds:
            raise RecordingError("begins after the recording")
        if end < math.inf and end - seconds > max(LATE_SECONDS, LATE_SHARE * (end - start)):
            raise RecordingError("ends after the recording")
        try:  # libsndfile takes four times as long to make floats of 16 bits
            if first:  # an MP3's decoder gives slightly other samples after a seek, even to the beginning
                file.seek(first)
            values = file.read(frames, dtype="int16" if file.subtype == "PCM_16" else "float32", always_2d=True)
            decoded = len(values)
        except soundfile.LibsndfileError:  # how a FLAC that breaks off ends
            decoded = max(0, min(file.tell() - first, frames - 1))
    present = min(_share_present(path), decoded / frames if frames else 1.0)
    if present < 1:
        raise RecordingError(f"truncated or damaged: {int(100 * present)}% of it can be read")
    wave = values[:, 0] if channels == 1 else values.mean(axis=1, dtype=np.float32)
    if values.dtype == np.int16:
        wave = wave * np.float32(1 / (1 << 15))
    check(wave)
    return wave, Facts(rate, channels, decoded / rate, xxhash.xxh3_128_hexdigest(wave.data))


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
