"""Streams whose header does not know their length, and files that lack a part of what theirs promises."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ser.features import audio

pytestmark = pytest.mark.slow  # hundreds of small ones

RATE = 16000
VOICE = np.random.default_rng(0).integers(-3000, 3000, 20 * RATE).astype(np.int16)
SHORT = VOICE[:RATE]
CONTAINERS: list[tuple[str, str, str | None]] = [
    ("WAV", "PCM_16", "BIG"),
    ("WAV", "PCM_24", None),
    ("WAV", "IMA_ADPCM", None),
    ("WAV", "GSM610", None),
    ("WAVEX", "PCM_16", None),
    ("RF64", "PCM_16", None),
    ("W64", "PCM_16", None),
    ("AIFF", "PCM_16", None),
    ("AIFF", "ULAW", None),
    ("AU", "PCM_16", None),
    ("AU", "ULAW", "LITTLE"),
    ("CAF", "PCM_16", None),
    ("SVX", "PCM_16", None),
    ("NIST", "PCM_16", None),
    ("AVR", "PCM_16", None),
    ("WVE", "ALAW", None),
    ("VOC", "PCM_16", None),
    ("MPC2K", "PCM_16", None),
    ("MAT4", "PCM_16", None),
    ("MAT5", "PCM_16", None),
    ("MP3", "MPEG_LAYER_III", None),
    ("OGG", "VORBIS", None),
    ("OGG", "OPUS", None),
    ("FLAC", "PCM_16", None),
]
"""All whose header promises a length, by format, coding and byte order."""

LENGTHS = [
    0,
    0xFFFFFFFF,
    0xFFFFFFDB,
    0x80000000,
    0x80000024,
    0x7FFFFFFF,
    0x7FFFFFDB,
    0x7FFFF000,
    0x7FFFEFDC,
    0x7F000000,
]
"""What encoders write that do not know the length."""


def recording(path: Path, form: str, wave: NDArray[np.int16] = SHORT, **more: Any) -> bytearray:
    soundfile.write(path, wave, RATE, format=form, **more)
    return bytearray(path.read_bytes())


def patched(path: Path, content: bytearray, *changes: tuple[int, bytes]) -> Path:
    for place, value in changes:
        content[place : place + len(value)] = value
    path.write_bytes(content)
    return path


def is_whole(path: Path) -> bool:
    """By a segment in its middle as well."""
    wave, facts = audio.read(path)
    middle, _ = audio.read(path, 0.25, 0.5)
    np.testing.assert_array_equal(wave, SHORT / np.float32(32768))
    np.testing.assert_array_equal(middle, wave[RATE // 4 : RATE // 2])
    return facts.problem == facts.note == ""


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_wav_au_and_aiff_that_were_streamed_read_to_their_end(tmp_path: Path, length: int, order: str) -> None:
    path, size = tmp_path / "a", struct.pack(f"{order}I", length)
    wav = recording(path, "WAV", endian="LITTLE" if order == "<" else "BIG")
    for whole in (wav[4:8], size, bytes(4), struct.pack(f"{order}I", 8), struct.pack(f"{order}I", 36)):
        assert is_whole(patched(path, wav.copy(), (4, whole), (40, size)))
    au = recording(path, "AU", endian="LITTLE" if order == "<" else "BIG")
    assert is_whole(patched(path, au, (8, size)))
    aiff, size = recording(path, "AIFF"), struct.pack(">I", length)
    place = aiff.index(b"SSND") + 4
    for whole, frames in ((aiff[4:8], aiff[22:26]), (size, aiff[22:26]), (size, size), (bytes(4), bytes(4))):
        assert is_whole(patched(path, aiff.copy(), (4, whole), (22, frames), (place, size)))


@pytest.mark.parametrize("length", [-1, 0, 1 << 62, 0xFFFFFFFF, 0x7FFFF000])
def test_containers_of_64_bits_that_were_streamed_read_to_their_end(tmp_path: Path, length: int) -> None:
    path, size, order = tmp_path / "a", (length % (1 << 64)).to_bytes(8, "little"), "little"
    w64 = recording(path, "W64")
    place = w64.index(b"data") + 16
    more = ((length + 24) % (1 << 64)).to_bytes(8, order)  # its sizes count name and size
    assert is_whole(patched(path, w64.copy(), (place, size)))
    assert is_whole(patched(path, w64, (place, more), (16, size)))
    rf64 = recording(path, "RF64")
    assert is_whole(patched(path, rf64.copy(), (28, size)))
    assert is_whole(patched(path, rf64, (28, size), (20, size), (36, size)))
    caf = recording(path, "CAF")
    assert is_whole(patched(path, caf, (caf.index(b"data") + 4, size[::-1])))


def test_a_size_of_zero_before_other_chunks_means_no_samples(tmp_path: Path) -> None:
    content = recording(tmp_path / "a.wav", "WAV")[:40] + bytes(4)
    for rest in (b"", b"LIST" + struct.pack("<I", 5) + b"INFO!\0", b"LIST" + struct.pack("<I", 4) + b"INFO"):
        assert audio.read(patched(tmp_path / "a.wav", content + rest))[1].problem == "empty"


def test_other_coded_streams_read_to_their_end(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for coding in ("PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"):
        content = recording(path, "WAV", subtype=coding)
        expected = audio.read(path)
        found = audio.read(patched(path, content, (content.index(b"data") + 4, b"\0\xf0\xff\x7f")))
        assert found[1] == expected[1]
        assert not found[1].problem


def without_first_frame(content: bytearray) -> bytearray:
    """An MP3 as an encoder leaves it that can't go back to count its frames, MPEG-2 at 16 kHz."""
    rates = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    return content[72000 * rates[content[2] >> 4] // RATE + (content[2] >> 1 & 1) :]


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_that_does_not_count_its_frames_reads_to_its_end(tmp_path: Path, mode: str) -> None:
    path, pauses = tmp_path / "a.mp3", (VOICE * (np.sin(np.arange(len(VOICE)) / 3000) > 0)).astype(np.int16)
    content = recording(path, "MP3", pauses, bitrate_mode=mode)
    assert b"Xing" in content[:40] or b"Info" in content[:40]
    whole = audio.read(path)[0]
    path.write_bytes(without_first_frame(content))
    wave, facts = audio.read(path)
    assert (facts.problem, facts.note) == ("", "")
    assert 0 <= len(wave) - len(whole) < 3000  # the encoder's delay and padding
    part = audio.read(path, 10.0, 11.0)[0]
    np.testing.assert_allclose(part, wave[10 * RATE : 11 * RATE], atol=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("form", "coding", "order"), CONTAINERS)
def test_a_part_of_a_file_is_no_recording(
    tmp_path: Path, form: str, coding: str, order: str | None, share: float
) -> None:
    path = tmp_path / "a"
    content = recording(path, form, VOICE, subtype=coding, endian=order)
    assert audio.read(path)[1].problem == audio.read(path)[1].note == ""
    os.truncate(path, int(len(content) * share))
    wave, facts = audio.read(path)
    assert facts.problem.startswith("truncated or damaged: ")
    assert not len(wave)
    if form != "OGG":
        told = int(facts.problem.split(": ")[1].split("%")[0])
        assert abs(told - 100 * share) < 5


@pytest.mark.parametrize("segment", [(0.0, 0.1), (0.9, 1.0)])
def test_a_part_of_a_file_has_no_segments(tmp_path: Path, segment: tuple[float, float]) -> None:
    content = recording(tmp_path / "a", "W64")
    os.truncate(tmp_path / "a", len(content) // 2)
    assert audio.read(tmp_path / "a", *segment)[1].problem == "truncated or damaged: 49% of it can be read"


def test_a_coding_that_is_not_known_is_no_damage(tmp_path: Path) -> None:
    content = recording(tmp_path / "a", "NIST")
    path = patched(tmp_path / "a", content, (content.index(b"pcm"), b"xyz"))
    assert audio.read(path)[1].problem.startswith("unreadable: ")


@pytest.mark.parametrize("missing", [1, 44])
@pytest.mark.parametrize(("form", "coding", "order"), CONTAINERS)
def test_a_few_bytes_less_are_noted(tmp_path: Path, form: str, coding: str, order: str | None, missing: int) -> None:
    path = tmp_path / "a"
    content = recording(path, form, VOICE, subtype=coding, endian=order)
    whole = audio.read(path)[0]
    os.truncate(path, len(content) - missing)
    wave, facts = audio.read(path)
    if coding == "OPUS":  # its last page is lost, which is a second
        assert facts.problem == "truncated or damaged: 94% of it can be read"
        return
    assert facts.problem == ""
    assert facts.note.endswith("short at its end") or form == "VOC"  # a byte after the samples
    assert 0 <= len(whole) - len(wave) < 0.1 * RATE
    sure = 19 * RATE + RATE // 2  # what lies in a block that is not whole may be anything
    np.testing.assert_array_equal(wave[:sure], whole[:sure])


@pytest.mark.parametrize(
    ("seconds", "missing", "is_usable"), [(20, 0.09, True), (20, 0.11, False), (1, 0.009, True), (1, 0.011, False)]
)
def test_less_than_a_tenth_of_a_second_and_a_hundredth_may_be_missing(
    tmp_path: Path, seconds: int, missing: float, is_usable: bool
) -> None:
    content, gone = recording(tmp_path / "a.wav", "WAV", VOICE[: seconds * RATE]), round(2 * missing * RATE)
    os.truncate(tmp_path / "a.wav", len(content) - gone)
    wave, facts = audio.read(tmp_path / "a.wav")
    assert facts.note == (f"{gone} bytes short at its end" if is_usable else "")
    assert bool(len(wave)) == is_usable == (not facts.problem)


@pytest.mark.parametrize("coding", ["VORBIS", "OPUS"])
def test_a_live_stream_of_ogg_has_no_last_page(tmp_path: Path, coding: str) -> None:
    content = recording(tmp_path / "a.ogg", "OGG", VOICE, subtype=coding)
    last = content.rindex(b"OggS")
    path = patched(tmp_path / "a.ogg", content[:last])
    wave, facts = audio.read(path)
    assert (facts.problem, facts.note) == ("", "without a page that ends the stream")
    assert 18 * RATE < len(wave) < 20 * RATE
    path.write_bytes(content[: last + 20])
    assert audio.read(path)[1].problem == "truncated or damaged: its end is missing"
    path.write_bytes(content + b"TAG" + bytes(125))
    assert audio.read(path)[1].note == ""
