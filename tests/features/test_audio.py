from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ser.features import audio

RATE = 48000
SIZE_FIELD = slice(40, 44)
"""Where a plain WAV says how many bytes of samples follow."""


def voice(samples: int = 9600) -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(-3000, 3000, samples).astype(np.int16)


def written(path: Path, wave: NDArray[np.generic], rate: int = RATE, **form: Any) -> Path:
    soundfile.write(path, wave, rate, **form)
    return path


def with_bytes(path: Path, place: slice, value: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[place] = value
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_the_samples_are_those_that_were_written(tmp_path: Path, name: str) -> None:
    wave, facts = audio.read(written(tmp_path / name, voice()))
    assert wave.dtype == np.float32
    np.testing.assert_array_equal(wave, voice() / np.float32(32768))
    assert (facts.rate, facts.channels, facts.seconds, facts.problem) == (RATE, 1, 0.2, "")


def test_equal_samples_have_equal_digests_whatever_holds_them(tmp_path: Path) -> None:
    forms: dict[str, dict[str, Any]] = {
        "a.wav": {},
        "b.flac": {},
        "c.wav": {"format": "WAVEX"},
        "d.wav": {"subtype": "PCM_24"},
    }
    waves = {name: voice().astype(np.int32) << 16 for name in forms}
    digests = {audio.read(written(tmp_path / name, waves[name], **form))[1].samples for name, form in forms.items()}
    both = audio.read(written(tmp_path / "stereo.wav", np.stack([voice(), voice()], axis=1)))[1].samples
    other = audio.read(written(tmp_path / "other.wav", voice()[::-1]))[1].samples
    assert digests == {both} != {other}
    assert len(both) == 32


def test_stereo_is_averaged_and_any_usual_rate_is_told(tmp_path: Path) -> None:
    left, right = voice(), voice()[::-1]
    wave, facts = audio.read(written(tmp_path / "a.wav", np.stack([left, right], axis=1), 22050))
    np.testing.assert_allclose(wave, (left.astype(np.float32) + right) / 65536, atol=1e-7)
    assert (facts.rate, facts.channels, facts.problem) == (22050, 2, "")


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize(
    ("share", "problem"),
    [(0, "empty"), (0.001, "unreadable: "), (0.5, "truncated or damaged: 4"), (0.99999, "truncated or damaged: ")],
    ids=["no bytes", "half a header", "half", "all but the last byte"],
)
def test_a_file_that_breaks_off_says_so_and_gives_no_samples(
    tmp_path: Path, suffix: str, share: float, problem: str
) -> None:
    path = written(tmp_path / f"a.{suffix}", voice())
    os.truncate(path, int(path.stat().st_size * share))
    wave, facts = audio.read(path)
    assert facts.problem.startswith(problem)
    assert not len(wave)


def test_a_flac_damaged_in_its_middle_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac", voice())
    middle = path.stat().st_size // 2
    assert audio.read(with_bytes(path, slice(middle, middle + 200), bytes(200)))[1].problem.startswith("truncated or")


@pytest.mark.parametrize(
    ("wave", "problem"),
    [
        (np.zeros(9600), "silent"),
        (np.resize([1e-5, -1e-5], 9600), "silent"),
        (np.full(9600, 0.5), "silent"),
        (np.where(np.arange(9600) == 5000, np.nan, 0.1), "NaN or infinite samples"),
        (np.full(9600, -np.inf), "NaN or infinite samples"),
        (np.empty(0), "empty"),
    ],
    ids=["zeros", "dither", "a constant", "one NaN", "infinity", "no samples"],
)
@pytest.mark.filterwarnings("error")
def test_samples_without_a_voice_are_a_problem(tmp_path: Path, wave: NDArray[np.float64], problem: str) -> None:
    samples, facts = audio.read(written(tmp_path / "a.wav", wave.astype(np.float32), subtype="FLOAT"))
    assert facts.problem == problem
    assert not len(samples)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_segment_is_that_part_of_the_recording(tmp_path: Path, name: str, channels: int) -> None:
    path = written(tmp_path / name, np.stack([voice(), voice()[::-1]], axis=1)[:, :channels])
    whole = audio.read(path)[0]
    for start, end in ((0.0, 0.1), (0.05, 0.1), (0.05, np.inf), (0.1, 0.2), (0.19, 0.25), (0.1, 0.1001)):
        wave, facts = audio.read(path, start, end)
        np.testing.assert_array_equal(wave, whole[round(start * RATE) : round(min(end, 0.2) * RATE)])
        assert (facts.rate, facts.channels, facts.problem) == (RATE, channels, "")
        assert facts.seconds == len(wave) / RATE
        assert facts.samples == xxhash.xxh3_128_hexdigest(wave.tobytes())


def test_a_segment_is_read_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, asked = soundfile.SoundFile.read, []

    def noting(file: soundfile.SoundFile, frames: int, **form: Any) -> NDArray[np.generic]:
        asked.append(frames)
        values: NDArray[np.generic] = read(file, frames, **form)
        return values

    path = written(tmp_path / "a.wav", voice())
    monkeypatch.setattr(soundfile.SoundFile, "read", noting)
    audio.read(path, 0.15, 0.16)
    assert asked == [RATE // 100]


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        (0.2, 0.3, "begins after the recording"),
        (5.0, np.inf, "begins after the recording"),
        (0.1, 0.31, "ends after the recording"),
        (0.1, 0.29, ""),
        (0.1, 0.1, "no segment: from 0.1 to 0.1 s"),
        (0.1, 0.05, "no segment: from 0.1 to 0.05 s"),
        (-1.0, 0.1, "no segment: from -1 to 0.1 s"),
        (0.0, np.nan, "no segment: from 0 to nan s"),
        (0.1, 0.1 + 1e-6, "empty"),
    ],
)
def test_a_segment_that_the_recording_has_not_is_a_problem(
    tmp_path: Path, start: float, end: float, problem: str
) -> None:
    wave, facts = audio.read(written(tmp_path / "a.wav", voice()), start, end)
    assert facts.problem == problem
    assert bool(len(wave)) != bool(problem)


def test_the_end_of_a_long_segment_may_be_less_exact(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", np.resize(voice(), 20 * 8000), 8000)
    assert [audio.read(path, 0.0, end)[1].problem for end in (20.15, 20.25)] == ["", "ends after the recording"]


@pytest.mark.parametrize("content", [b"RIFF", b"hello, this is no sound" * 100, bytes(5000)])
def test_what_is_no_recording_is_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert audio.read(tmp_path / "a.wav")[1].problem.startswith("unreadable: ")


def test_a_file_that_is_not_there_and_a_folder_are_problems(tmp_path: Path) -> None:
    assert audio.read(tmp_path / "absent.wav")[1].problem == "unreadable: No such file or directory"
    assert audio.read(tmp_path)[1].problem == "a folder without a recording"


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_that_was_streamed_reads_to_its_end(tmp_path: Path, size: int) -> None:
    path = with_bytes(written(tmp_path / "a.wav", voice()), SIZE_FIELD, struct.pack("<I", size))
    wave, facts = audio.read(path)
    assert (len(wave), facts.problem) == (9600, "")


def test_more_chunks_around_the_samples_and_a_wrong_byte_rate_do_no_harm(tmp_path: Path) -> None:
    path = with_bytes(written(tmp_path / "a.wav", voice()), slice(28, 32), struct.pack("<I", 1))
    expected = audio.read(path)[1]
    extra = b"LIST" + struct.pack("<I", 5) + b"INFO!" + b"\0"
    content = path.read_bytes()
    path.write_bytes(content[:36] + extra + content[36:] + extra)
    wave, facts = audio.read(path)
    assert facts == expected
    assert (len(wave), facts.problem) == (9600, "")


@pytest.mark.parametrize("length", [bytes(4), b"\xff" * 4], ids=["unknown", "without end"])
def test_a_flac_without_a_credible_length_takes_no_memory(tmp_path: Path, length: bytes) -> None:
    path = written(tmp_path / "a.flac", voice())
    high = path.read_bytes()[21] & 0xF0 | length[0] & 0x0F  # the length is 36 bits: half a byte, then four
    with_bytes(path, slice(21, 26), bytes([high]) + length)
    assert audio.read(path)[1].problem == "unreadable: its header gives no credible length or rate"


@pytest.mark.parametrize("rate", [1, 3_000_000])
def test_a_rate_that_no_recorder_has_is_a_problem(tmp_path: Path, rate: int) -> None:
    path = with_bytes(written(tmp_path / "a.wav", voice()), slice(24, 28), struct.pack("<I", rate))
    assert audio.read(path)[1].problem == "unreadable: its header gives no credible length or rate"


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_no_change_of_bytes_or_segment_raises(tmp_path: Path, suffix: str) -> None:
    good = written(tmp_path / f"good.{suffix}", voice(500)).read_bytes()
    path = tmp_path / f"bad.{suffix}"

    @settings(max_examples=60, deadline=None)
    @given(
        changes=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), max_size=4),
        length=st.integers(0, len(good)),
        segment=st.sampled_from([(0.0, np.inf), (0.002, 0.008)]) | st.tuples(st.floats(), st.floats()),
    )
    def check(changes: list[tuple[int, int]], length: int, segment: tuple[float, float]) -> None:
        content = bytearray(good)
        for place, value in changes:
            content[place] = value
        path.write_bytes(content[:length])
        wave, facts = audio.read(path, *segment)
        assert bool(len(wave)) != bool(facts.problem)
        assert np.isfinite(wave).all()

    check()
