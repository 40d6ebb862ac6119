"""One recording or a segment of it: file to mono wave, with what has to be known about it. No bad file raises."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ser.features import containers
from ser.features.chunks import Promise
from ser.features.decoder import Block, Decoder

Wave = NDArray[np.float32]

SILENCE = 1e-4  # peak to peak, full scale being 2: three steps of 16 bits; less is dither, not a voice
CANCELLED = 50  # so many times less than one channel alone gives is the mean of channels that cancel out: 34 dB
MOST_FRAMES = 1 << 30  # 6 h at 48 kHz, 18 h at 16 kHz; a header that promises more is damaged
RATES = range(4000, 384001)  # Hz; outside of it, a header is damaged
LATE_SECONDS, LATE_SHARE = 0.1, 0.01  # a segment may end so late, or by this part of its length: ends are rounded
SHORT_SECONDS, SHORT_SHARE = 0.1, 0.01  # what may lack at a file's end, as any player allows: less than either
SHORTEST = 0.05  # seconds; less holds no vowel
PER_BYTE = 8  # frames for which memory is taken at once, before a compressed file shows that it has more


@dataclass(frozen=True)
class Facts:
    """What was read: Hz, channels before averaging, seconds, digest of the mono samples; or what the problem is.

    `samples` is the digest, in hexadecimal; it agrees between a WAV and a FLAC of the same PCM. `problem` is "" or a
    short phrase, as is `note`, of what is amiss with a recording that can be used.
    """

    rate: int = 0
    channels: int = 0
    seconds: float = 0.0
    samples: str = ""
    problem: str = ""
    note: str = ""


class RecordingError(Exception):
    """Why a recording can't be used, as a short phrase."""


def read(path: str | os.PathLike[str], start: float = 0.0, end: float = math.inf) -> tuple[Wave, Facts]:
    """Decode a recording, or its segment from `start` to `end` (seconds), and nothing but that.

    What it is, its content says, not its name. Channels are averaged; if they cancel out, the first that would be heard
    is taken. A stream whose header does not know its length is read to its end.

    Returns:
        `(samples,)` float32 in [-1, 1], empty if there is a problem; and what was found.
    """
    place = os.fsdecode(path)
    try:
        return _recording(place, start, end)
    except RecordingError as error:
        problem = str(error)
    except Exception as error:  # whatever a decoder makes of one file, the others are to be read
        reason = getattr(error, "error_string", "") or getattr(error, "strerror", "") or str(error)
        problem = f"unreadable: {reason.strip().rstrip('.') or type(error).__name__}"
    return np.empty(0, dtype=np.float32), Facts(problem=problem)


def check(wave: Wave, rate: int) -> None:
    """Refuse a wave `(samples,)` at `rate` Hz without a voice.

    Raises:
        RecordingError: if it is empty, silent, not finite, or too short to be speech.
    """
    spread = _spread(wave)
    if not np.isfinite(spread):
        raise RecordingError("NaN or infinite samples")
    if spread < SILENCE:
        raise RecordingError("silent" if len(wave) else "empty")
    if len(wave) < SHORTEST * rate:
        raise RecordingError(f"shorter than {SHORTEST} s")


def _recording(path: str, start: float, end: float) -> tuple[Wave, Facts]:
    import xxhash

    if not 0 <= start < end:  # nor NaN
        raise RecordingError(f"no segment: from {start:g} to {end:g} s")
    if os.path.isdir(path):
        readable = os.access(path, os.R_OK | os.X_OK)
        raise RecordingError("a folder without a recording" if readable else "unreadable folder: permission denied")
    if not os.path.getsize(path):
        raise RecordingError("empty")
    wave, facts = _decoded(path, start, end)
    if facts.channels > 1 and (audible := _audible(wave, facts.channels)) <= 2:
        for channel in range(facts.channels):
            alone = _decoded(path, start, end, channel)[0]
            if _spread(alone) >= audible:
                note = "channels cancel out: one alone is used"
                wave, facts = alone, replace(facts, note="; ".join(filter(None, (note, facts.note))))
                break
    check(wave, facts.rate)
    return wave, replace(facts, samples=xxhash.xxh3_128_hexdigest(wave.data))


def _decoded(path: str, start: float, end: float, channel: int | None = None) -> tuple[Wave, Facts]:
    """The mean of all channels, or one of them; facts without the digest.

    Raises:
        RecordingError: if the header is not credible, there is no such segment, or too much of the file is missing.
    """
    import soundfile

    file, promise = containers.opened(path)
    with file:
        try:
            decoder = Decoder(file)
        except soundfile.LibsndfileError:
            _keep(replace(promise, frames=0), 0, 0)  # its end may be all that keeps a file from being recognised
            raise
        with decoder:
            first, last = _part(decoder, promise, start, end)
            likely = PER_BYTE * os.fstat(file.fileno()).st_size
            wave = _gathered(decoder.blocks(first, last), channel, last - first, likely)
    lost, rate = last - first - len(wave), decoder.rate
    if decoder.frames is None:
        if decoder.torn:
            raise RecordingError("truncated or damaged: its end is missing")
        if len(wave) > MOST_FRAMES:
            raise RecordingError(f"longer than {MOST_FRAMES} samples")
        if lost:
            _within(start, end, (first + len(wave)) / rate)
        lost = 0
    else:
        _bear(lost, last - first, rate)
        lost = max(lost, promise.frames - decoder.frames)
    note = promise.note or (f"{lost} samples short at its end" if lost > 0 else "")
    return wave, Facts(rate, decoder.channels, len(wave) / rate, note=note)


def _part(decoder: Decoder, promise: Promise, start: float, end: float) -> tuple[int, int]:
    """The frames from `start` to `end`, as far as the header tells; a file without a length may have as many."""
    rate, total = decoder.rate, decoder.frames
    most = MOST_FRAMES + 1 if total is None else total
    first, last = (round(min(second * rate, most)) for second in (start, end))
    if (total is not None and last - first > MOST_FRAMES) or rate not in RATES:
        raise RecordingError("unreadable: its header gives no credible length or rate")
    if total is not None:
        _keep(promise, total, rate)
        _within(start, end, total / rate)
    return first, last


def _keep(promise: Promise, frames: int, rate: int) -> None:
    """Refuse a recording that does not keep what it promises, but for as little as any player bears."""
    if promise.torn:
        raise RecordingError("truncated or damaged: its end is missing")
    held = promise.whole - promise.missing
    _bear(promise.missing, promise.whole, held * rate / frames if frames else 0)
    _bear(promise.frames - frames, promise.frames, rate)


def _bear(missing: int, whole: int, per_second: float) -> None:
    """Refuse a whole, in bytes or samples, of which more is missing than a little at its end."""
    if missing > 0 and not (missing < SHORT_SHARE * whole and missing < SHORT_SECONDS * per_second):
        raise RecordingError(f"truncated or damaged: {100 * (whole - missing) // whole}% of it can be read")


def _within(start: float, end: float, seconds: float) -> None:
    """Refuse a segment that a recording of so many seconds has not."""
    if start and start >= seconds:
        raise RecordingError("begins after the recording")
    if end < math.inf and end - seconds > max(LATE_SECONDS, LATE_SHARE * (end - start)):
        raise RecordingError("ends after the recording")


def _gathered(blocks: Iterable[Block], channel: int | None, most: int, likely: int) -> Wave:
    """Blocks `(frames, channels)` to `(samples,)`, in memory for as many as is likely, or more as they come."""
    wave, at = np.empty(min(most, likely), np.float32), 0
    for block in blocks:
        if at + len(block) > len(wave):
            wave.resize(min(most, 2 * len(wave) + len(block)), refcheck=False)
        _mix(block, channel, wave[at : at + len(block)])
        at += len(block)
    return wave[:at]


def _mix(block: Block, channel: int | None, out: Wave) -> None:
    if channel is not None or block.shape[1] == 1:
        mono = block[:, channel or 0]
    else:
        with np.errstate(all="ignore"):  # what is not finite is found in the end
            mono = block.mean(axis=1, dtype=np.float32)
    if block.dtype == np.int16:
        np.multiply(mono, np.float32(1 / (1 << 15)), out=out)
    else:
        out[:] = mono


def _spread(wave: Wave) -> float:
    return float(wave.max()) - float(wave.min()) if len(wave) else 0.0


def _audible(mean: Wave, channels: int) -> float:
    """The spread from which on a channel is missed in this mean of all; above 2, full scale, none can be."""
    spread = _spread(mean)
    if not len(mean) or math.isnan(spread):
        return math.inf
    return channels * max(SILENCE, CANCELLED * spread if spread >= SILENCE else 0.0)
