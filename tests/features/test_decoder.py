"""Every kind of file that libsndfile can write, by whatever name, and what players put around the samples."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ser.features import audio

pytestmark = pytest.mark.slow  # hundreds of small ones

RATE = 8000
VOICE: NDArray[np.float64] = 0.3 * np.sin(2 * np.pi * 220 / RATE * np.arange(RATE)) * np.hanning(RATE)
KINDS = [(form, coding) for form in soundfile.available_formats() for coding in soundfile.available_subtypes(form)]
NAMELESS = ("RAW", "SD2")
"""What says nothing of itself in its content; libsndfile knows it by its name or by another file."""


def recording(
    path: Path,
    form: str,
    coding: str | None = None,
    channels: int = 1,
    rate: int = RATE,
    wave: NDArray[np.float64] = VOICE,
) -> Path:
    """Different channels whose mean is the voice; skips what libsndfile can't write."""
    wave = wave[:, None] * (1 if channels == 1 else np.linspace(0.5, 1.5, channels))
    try:
        soundfile.write(path, wave, rate, format=form, subtype=coding)
    except soundfile.LibsndfileError as error:
        pytest.skip(f"not written by libsndfile: {error}")
    return path


def assert_alike(wave: NDArray[np.float32], expected: NDArray[np.float64], coding: str) -> None:
    size = min(len(wave), len(expected))
    assert size > 0.98 * len(expected)
    if coding in ("PCM_S8", "PCM_U8", "DPCM_8"):
        tolerance = 0.01
    else:
        tolerance = 1e-4 if coding.startswith(("PCM", "DPCM", "ALAC", "FLOAT", "DOUBLE", "DWVW")) else 0.08
    difference = np.abs(wave[:size] - expected[:size])
    assert np.quantile(difference, 0.99) < tolerance


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("form", "coding"), KINDS)
def test_every_kind_of_file_is_read_whole_and_in_part_or_named(
    tmp_path: Path, form: str, coding: str, channels: int
) -> None:
    path = recording(tmp_path / "a", form, coding, channels)
    wave, facts = audio.read(path)
    part, facts_of_part = audio.read(path, 0.25 * RATE / (facts.rate or RATE), 0.75 * RATE / (facts.rate or RATE))
    if form in NAMELESS:
        assert facts.problem.startswith("unreadable: ")
        assert facts_of_part.problem.startswith("unreadable: ")
        return
    assert (facts.problem, facts.note, facts.channels) == ("", "", channels)
    assert_alike(wave, VOICE, coding)
    assert (len(part), facts_of_part.problem, facts_of_part.note) == (RATE // 2, "", "")
    assert_alike(part, wave[RATE // 4 : 3 * RATE // 4].astype(np.float64), coding)
    if form not in ("OGG", "MP3"):
        np.testing.assert_array_equal(part, wave[RATE // 4 : 3 * RATE // 4])
    ends = (
        audio.read(path, (len(wave) + 10) / facts.rate)[1].problem,
        audio.read(path, 0, 2 * RATE / facts.rate)[1].problem,
    )
    assert ends == ("begins after the recording", "ends after the recording")


@pytest.mark.parametrize("name", ["a", "a.wav", "a.raw", "a.RAW", "a.au", "a.gsm", "a.vox", "a.mp3", "a.txt", "ä ÿ.x"])
def test_a_name_says_nothing_of_what_is_in_a_file(tmp_path: Path, name: str) -> None:
    for form, coding in (("WAV", None), ("FLAC", None), ("MP3", None), ("OGG", "VORBIS"), ("OGG", "OPUS")):
        content = recording(tmp_path / "content", form, coding)
        expected = audio.read(content)[1]
        assert not expected.problem
        content.rename(tmp_path / name)
        assert audio.read(tmp_path / name)[1] == expected
    (tmp_path / name).write_bytes(b"hello, this is no sound" * 100)
    assert audio.read(tmp_path / name)[1].problem.startswith("unreadable: ")


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000, 384000])
@pytest.mark.parametrize("channels", [1, 8])
def test_usual_rates_and_eight_channels(tmp_path: Path, rate: int, channels: int) -> None:
    long = np.resize(VOICE, max(len(VOICE), rate // 10))
    for form in ("WAV", "FLAC"):
        wave, facts = audio.read(recording(tmp_path / "a", form, wave=long, channels=channels, rate=rate))
        assert (facts.rate, facts.channels, facts.problem, facts.note) == (rate, channels, "", "")
        assert_alike(wave, long, "PCM_16")


@pytest.mark.parametrize("form", ["FLAC", "MP3"])
def test_a_tag_before_and_junk_after_the_samples_do_no_harm(tmp_path: Path, form: str) -> None:
    path = recording(tmp_path / "a", form)
    expected, content = audio.read(path)[0], path.read_bytes()
    tag = b"ID3\x04\0\0" + bytes([0, 0, 3000 >> 7, 3000 & 127]) + bytes(3000)
    path.write_bytes(tag + content + b"TAG" + bytes(125))
    wave, facts = audio.read(path)
    assert facts.problem == facts.note == ""
    np.testing.assert_allclose(wave, expected, atol=1e-6)


def test_chunks_of_any_size_before_and_junk_after_the_samples_do_no_harm(tmp_path: Path) -> None:
    path = recording(tmp_path / "a", "WAV")
    expected, content = audio.read(path)[1], path.read_bytes()
    chunks = b"".join(
        name + struct.pack("<I", size) + bytes(size + size % 2)
        for name, size in ((b"bext", 602), (b"FLLR", 4044), (b"LIST", 7), (b"JUNK", 1), (b"junk", 0))
    )
    for junk in (b"", b"x", b"id3 " + struct.pack("<I", 5) + b"12345\0", bytes(1000), b"\xff" * 4097):
        path.write_bytes(content[:36] + chunks + content[36:] + junk)
        assert audio.read(path)[1] == expected


def test_whatever_a_decoder_raises_is_the_problem_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = recording(tmp_path / "a", "WAV")
    for error in (
        RuntimeError("odd."),
        TypeError("odd"),
        ValueError("odd"),
        AssertionError(),
        MemoryError(),
        KeyError(),
    ):

        def raising(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(soundfile.SoundFile, "read", raising)
        assert audio.read(path)[1].problem == f"unreadable: {'odd' if str(error) else type(error).__name__}"
