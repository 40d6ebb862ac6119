"""Speech by source-filter synthesis, in eight emotions: what the built-in corpus says.

A glottal pulse train (Rosenberg 1971, J. Acoust. Soc. Am. 49) with jitter, shimmer and aspiration noise passes the
formants of one of two statements. The directions of `DELIVERIES` follow the literature on vocal expression: Banse &
Scherer 1996 (J. Pers. Soc. Psychol. 70), Juslin & Laukka 2003 (Psychological Bulletin 129) and Scherer 2003 (Speech
Communication 40). Their sizes are chosen, not measured.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ser.corpora.ravdess import EMOTIONS

Array = NDArray[np.float32]

VERSION = 1
"""Raise it when equal settings give other samples."""

STATEMENTS = (
    "k ih d z _ aa r t ao k ih ng _ b aa ih dh ah d ao r",  # Kids are talking by the door.
    "d ao g z _ aa r s ih t ih ng _ b aa ih dh ah d ao r",  # Dogs are sitting by the door.
)

PHONES = {  # F1, F2, F3 in Hz of a male tract; gains of voice and frication; frication's centre in Hz; length
    "aa": (730, 1090, 2440, 1.0, 0.0, 3000, 1.2),
    "ao": (570, 840, 2410, 1.0, 0.0, 3000, 1.3),
    "ah": (640, 1190, 2390, 0.8, 0.0, 3000, 0.7),
    "ih": (390, 1990, 2550, 0.9, 0.0, 3000, 0.9),
    "r": (420, 1300, 1600, 0.7, 0.0, 3000, 0.7),
    "ng": (280, 1700, 2600, 0.4, 0.0, 3000, 0.8),
    "b": (250, 900, 2200, 0.15, 0.05, 800, 0.6),
    "d": (250, 1700, 2600, 0.15, 0.1, 4000, 0.5),
    "g": (250, 1900, 2300, 0.15, 0.1, 2000, 0.6),
    "k": (300, 1900, 2400, 0.0, 0.2, 2200, 0.7),
    "t": (300, 1800, 2600, 0.0, 0.2, 4500, 0.7),
    "dh": (280, 1400, 2500, 0.3, 0.05, 5500, 0.5),
    "s": (320, 1700, 2600, 0.0, 0.3, 6000, 1.1),
    "z": (280, 1700, 2600, 0.2, 0.2, 6000, 0.8),
    "_": (400, 1500, 2500, 0.0, 0.0, 3000, 0.1),
}


class Delivery(NamedTuple):
    """How an emotion of normal intensity departs from the speaker's neutral voice."""

    pitch: float  # mean F0, semitones
    span: float  # log2 of the factor on the range of F0
    final: float  # F0 at the end, semitones
    level: float  # dB
    tempo: float  # log2 of the factor on the rate
    tilt: float  # spectral tilt, dB an octave; above 0 is a brighter, tenser voice
    breath: float  # aspiration noise, dB
    roughness: float  # jitter of F0, semitones; shimmer follows it
    tremor: float  # slow modulation of F0, semitones
    pause: float  # length added to the pauses between words, in phones


DELIVERIES = {
    "neutral": Delivery(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "calm": Delivery(-1.0, -0.7, 0.0, -4.0, -0.2, -2.0, 4.0, 0.0, 0.0, 0.5),
    "happy": Delivery(4.0, 0.8, 1.5, 4.0, 0.15, 1.5, 0.0, 0.0, 0.0, 0.0),
    "sad": Delivery(-1.5, -1.0, -3.0, -6.0, -0.4, -3.0, 8.0, 0.1, 0.4, 2.0),
    "angry": Delivery(3.0, 0.5, -3.0, 8.0, 0.15, 4.0, -2.0, 0.4, 0.0, 0.0),
    "fearful": Delivery(6.0, -0.5, 1.0, 2.0, 0.35, 1.0, 5.0, 0.2, 1.0, 0.3),
    "disgust": Delivery(-2.5, -0.1, -4.0, 0.0, -0.35, 2.0, 0.0, 0.8, 0.0, 0.8),
    "surprised": Delivery(4.5, 0.7, 9.0, 3.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0),
}


def take(seed: int, codes: tuple[int, int, int, int, int]) -> tuple[float, float, float, Delivery]:
    """Draw how one utterance is spoken: its actor's voice, the emotion, and what differs between any two takes.

    Returns:
        F0 in Hz, the factor on the formants, RMS in dB re full scale, and the departures from a neutral voice.
    """
    emotion, intensity, *_, actor = codes
    voice = np.random.default_rng((seed, actor)).standard_normal(6)
    chance = np.random.default_rng((seed, actor, *codes)).standard_normal(6)
    strength, female = (1.4 if intensity == 2 else 1.0), actor % 2 == 0
    how = Delivery(*(strength * departure for departure in DELIVERIES[EMOTIONS[emotion - 1]]))
    f0 = (205.0 if female else 115.0) * 2 ** ((2.0 * voice[0] + 0.8 * chance[0] + how.pitch) / 12)
    tract = (1.16 if female else 1.0) * 2 ** (0.05 * voice[1])
    level = -32.0 + 3.0 * voice[2] + 2.0 * chance[1] + how.level
    how = how._replace(
        span=how.span + 0.2 * chance[2],
        tempo=how.tempo + 0.1 * voice[3] + 0.06 * chance[3],
        tilt=how.tilt + 0.8 * voice[4] + 0.5 * chance[4],
        breath=how.breath + 2.0 * voice[5] + 1.0 * chance[5],
    )
    return float(f0), float(tract), float(level), Delivery(*map(float, how))  # NumPy's floats would widen float32


def synthesise(seed: int, codes: tuple[int, int, int, int, int], seconds: float, rate: int) -> NDArray[np.int16]:
    """Samples of one utterance at `rate` Hz; `seconds` is how long a neutral voice takes for the statement."""
    rng = np.random.default_rng((seed + 1, *codes))
    mean_f0, tract, level, how = take(seed, codes)
    hop = rate // 100
    track, phone = _articulate(codes[2], how, seconds, rng)
    frames = len(phone)
    f0, shimmer = _intonate(mean_f0, how, np.cumsum(track[:, 3] + track[:, 4] > 0) / frames, rng)

    hertz = np.interp(np.arange(frames * hop) / hop, np.arange(frames), f0)
    phase = (np.cumsum(hertz / rate) % 1.0).astype(np.float32)
    noise = rng.standard_normal(frames * hop, dtype=np.float32)
    bins = np.fft.rfftfreq(4 * hop, 1 / rate).astype(np.float32)
    formants = _formants(track[:, :3] * tract, bins)
    tilt = (np.maximum(bins, 200.0) / 500.0) ** (how.tilt / 6.02 - 0.5)
    hiss = np.exp2(-2.0 * np.log2(np.maximum(bins, 50.0) / np.array([[phone[5]] for phone in PHONES.values()])) ** 2)
    voiced = formants * tilt.astype(np.float32) * (track[:, 3] * shimmer)[:, None]
    unvoiced = 0.02 * 10 ** (how.breath / 20) * formants * track[:, 3:4] + hiss.astype(np.float32)[phone] * track[:, 4:]
    wave = _filter(_glottal(phase), voiced.astype(np.float32), noise, unvoiced.astype(np.float32), hop)

    wave *= 10 ** (level / 20) / np.sqrt(np.mean(wave**2))
    quiet = np.zeros(rate // 4, dtype=np.float32)
    wave = np.concatenate([quiet, wave, quiet])
    wave += 10 ** (-75 / 20) * rng.standard_normal(len(wave), dtype=np.float32)
    wave *= min(1.0, 0.95 / float(np.abs(wave).max()))
    return np.round(wave * 32767).astype(np.int16)


def _articulate(
    statement: int, how: Delivery, seconds: float, rng: np.random.Generator
) -> tuple[Array, NDArray[np.intp]]:
    """Three formants, voice and frication `(frame, 5)` every 10 ms, and each frame's index in `PHONES`."""
    symbols = STATEMENTS[statement - 1].split()
    phones = np.array([PHONES[symbol] for symbol in symbols])
    lengths = phones[:, 6] * np.exp2(0.12 * rng.standard_normal(len(phones)))
    lengths[[symbol == "_" for symbol in symbols]] += how.pause
    unit = seconds / sum(PHONES[symbol][6] for symbol in symbols) * 2**-how.tempo
    ends = np.cumsum(lengths * unit)
    time = np.arange(max(int(ends[-1] * 100), 8)) / 100
    middles = ends - lengths * unit / 2
    track = np.stack([np.interp(time, middles, phones[:, column]) for column in range(5)], axis=1)
    index = np.array([list(PHONES).index(symbol) for symbol in symbols])
    return track.astype(np.float32), index[np.minimum(np.searchsorted(ends, time), len(index) - 1)]


def _intonate(mean: float, how: Delivery, place: NDArray[np.float64], rng: np.random.Generator) -> tuple[Array, Array]:
    """F0 in Hz and the factor of shimmer, a frame; `place` runs from 0 to 1 along the statement."""
    accents = sum(np.exp(-(((place - centre) / 0.06) ** 2)) for centre in (0.1, 0.42, 0.9))
    contour = 2**how.span * (3.0 * accents - 2.5 * (place - 0.5))
    contour = contour + how.final * np.clip((place - 0.7) / 0.3, 0, 1)
    beat = rng.uniform(5.5, 7.5) * np.arange(len(place)) / 100 + rng.uniform()
    contour = contour + how.tremor * np.sin(2 * np.pi * beat)
    rough = (0.15 + how.roughness) * rng.standard_normal((2, len(place)))
    f0 = mean * 2 ** ((contour + rough[0]) / 12)
    return np.clip(f0, 50.0, 900.0).astype(np.float32), np.exp2(0.3 * rough[1]).astype(np.float32)


def _glottal(phase: Array) -> Array:
    """Derivative of Rosenberg's pulse of glottal flow, opening for 0.4 and closing for 0.16 of a period."""
    opening, closing = np.float32(0.4), np.float32(0.16)
    rise = np.sin(np.pi / opening * phase) / (2 * opening)
    fall = -np.sin(np.pi / 2 / closing * (phase - opening)) / (2 * closing)
    flow: Array = np.where(phase < opening, rise, np.where(phase < opening + closing, fall, 0)).astype(np.float32)
    return flow


def _formants(formants: Array, bins: Array) -> Array:
    """Magnitude `(frame, bin)` of five resonances; flat above 6 kHz, where the model of the tract ends."""
    low = bins[bins < 6000.0]
    scale = formants[:, 2:] / 2500.0
    centres = np.concatenate([formants, 3500.0 * scale**0.5, 4500.0 * scale**0.5], axis=1)
    power = np.ones((len(formants), len(low)), dtype=np.float32)
    for centre, width in zip(centres.T[:, :, None], (70.0, 90.0, 140.0, 220.0, 300.0), strict=True):
        ratio = (low / centre) ** 2
        power *= (1 - ratio) ** 2 + ratio * (width / centre) ** 2
    return np.pad(1 / np.sqrt(power), ((0, 0), (0, len(bins) - len(low))), mode="edge").astype(np.float32)


def _filter(voice: Array, voiced: Array, noise: Array, unvoiced: Array, hop: int) -> Array:
    """Overlap-add of Hann frames of two hops, padded by one on each side for the filters' ringing."""
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    spectrum = np.zeros(voiced.shape, dtype=np.complex64)
    for wave, gain in ((voice, voiced), (noise, unvoiced)):
        padded = np.pad(wave, (0, hop)).reshape(-1, hop)
        pieces = np.concatenate([padded[:-1], padded[1:]], axis=1) * window
        spectrum += np.fft.rfft(np.pad(pieces, ((0, 0), (hop, hop))), axis=1) * gain
    pieces = np.fft.irfft(spectrum, axis=1).astype(np.float32).reshape(len(voiced), 4, hop)
    out = np.zeros((len(voiced) + 3, hop), dtype=np.float32)
    for part in range(4):
        out[part : part + len(voiced)] += pieces[:, part]
    return out.ravel()
