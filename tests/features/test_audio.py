from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ser.features import audio, decoder

pytestmark = pytest.mark.slow

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
    [(0, "empty"), (0.001, "unreadable: "), (0.5, "truncated or damaged: 4"), (0.98, "truncated or damaged: ")],
    ids=["no bytes", "half a header", "half", "all but a little"],
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
    for start, end in ((0.0, 0.1), (0.05, 0.1), (0.05, np.inf), (0.1, 0.2), (0.14, 0.21), (0.1, 0.16)):
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


def test_a_name_may_be_of_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.wav")
    path.write_bytes(written(tmp_path / "a.wav", voice()).read_bytes())
    assert audio.read(path)[1] == audio.read(tmp_path / "a.wav")[1]


def test_more_chunks_around_the_samples_and_a_wrong_byte_rate_do_no_harm(tmp_path: Path) -> None:
    path = with_bytes(written(tmp_path / "a.wav", voice()), slice(28, 32), struct.pack("<I", 1))
    expected = audio.read(path)[1]
    extra = b"LIST" + struct.pack("<I", 5) + b"INFO!" + b"\0"
    content = path.read_bytes()
    path.write_bytes(content[:36] + extra + content[36:] + extra)
    wave, facts = audio.read(path)
    assert facts == expected
    assert (len(wave), facts.problem) == (9600, "")


def of_length(path: Path, frames: int) -> Path:
    """A FLAC whose header tells another length: 36 bits, the first four in a byte of their own."""
    high = path.read_bytes()[21] & 0xF0 | frames >> 32
    return with_bytes(path, slice(21, 26), bytes([high]) + struct.pack(">I", frames & 0xFFFFFFFF))


@pytest.mark.parametrize("count", [1, 30])
def test_a_flac_that_was_streamed_reads_to_its_end(tmp_path: Path, count: int) -> None:
    long = np.resize(voice(), count * 9600)
    path = of_length(written(tmp_path / "a.flac", long), 0)
    wave, facts = audio.read(path)
    np.testing.assert_array_equal(wave, long / np.float32(32768))
    assert facts.problem == facts.note == ""
    np.testing.assert_array_equal(audio.read(path, 0.05, 0.1)[0], wave[2400:4800])
    np.testing.assert_array_equal(audio.read(path, 0.05)[0], wave[2400:])
    assert audio.read(path, 0.0, count / 5 + 1)[1].problem == "ends after the recording"
    assert audio.read(path, count / 5 + 1)[1].problem == "begins after the recording"
    os.truncate(path, path.stat().st_size // 2)
    assert audio.read(path)[1].problem == "truncated or damaged: its end is missing"


def test_a_stream_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MOST_FRAMES", 9000)
    path = of_length(written(tmp_path / "a.flac", voice()), 0)
    assert audio.read(path)[1].problem == "longer than 9000 samples"
    assert audio.read(path, 0.0, 0.1)[1].problem == ""


def test_five_hours_are_credible_and_a_length_that_no_recording_has_takes_no_memory(tmp_path: Path) -> None:
    path = of_length(written(tmp_path / "a.flac", voice()), 5 * 3600 * RATE)
    tracemalloc.start()
    problems = [audio.read(path)[1].problem, audio.read(of_length(path, (1 << 36) - 1))[1].problem]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problems == [
        "truncated or damaged: 0% of it can be read",
        "unreadable: its header gives no credible length or rate",
    ]
    assert peak < 20e6


@pytest.mark.parametrize(("channels", "subtype"), [(1, "PCM_16"), (2, "FLOAT"), (5, "PCM_16"), (8, "PCM_24")])
def test_ten_minutes_take_little_more_memory_than_their_mono_wave(tmp_path: Path, channels: int, subtype: str) -> None:
    path = tmp_path / "a.wav"
    with soundfile.SoundFile(path, "w", 8000, channels, subtype) as file:
        for _ in range(60):
            file.write(np.resize(voice(), (80000, channels)))
    tracemalloc.start()
    wave, facts = audio.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(wave), facts.problem) == (4_800_000, "")
    assert peak < 1.5 * wave.nbytes


def test_blocks_make_the_same_wave_as_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forms: list[dict[str, Any]] = [
        {"format": "WAV"},
        {"format": "AU", "subtype": "FLOAT"},
        {"format": "FLAC"},
        {"format": "MP3"},
        {"format": "OGG"},
    ]
    for number, form in enumerate(forms):
        for channels in (1, 2):
            path = written(tmp_path / f"{number}", np.stack([voice(), voice()[::-1]], axis=1)[:, :channels], **form)
            monkeypatch.setattr(decoder, "VALUES", 1 << 18)
            whole = audio.read(path), audio.read(path, 0.05, 0.15)
            monkeypatch.setattr(decoder, "VALUES", 999)
            assert (audio.read(path)[1], audio.read(path, 0.05, 0.15)[1]) == (whole[0][1], whole[1][1])


@pytest.mark.parametrize("noise", [0.0, 1e-4])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_of_channels_that_cancel_out_the_first_that_is_heard_is_used(
    tmp_path: Path, subtype: str, noise: float
) -> None:
    left, rng = 0.3 * np.sin(np.arange(9600) / 7), np.random.default_rng(0)
    right = -left + noise * rng.standard_normal(9600)
    path = tmp_path / "a.wav"
    for channels in ([left, right], [np.zeros(9600), right, left], [left, left, right, right]):
        wave, facts = audio.read(written(path, np.stack(channels, axis=1), subtype=subtype))
        expected = next(channel for channel in channels if channel.any())
        np.testing.assert_allclose(wave, expected, atol=1e-4)
        assert (facts.channels, facts.note) == (len(channels), "channels cancel out: one alone is used")
        part, facts = audio.read(path, 0.05, 0.1)
        np.testing.assert_array_equal(part, wave[2400:4800])
        assert (facts.note, facts.samples) == (
            "channels cancel out: one alone is used",
            xxhash.xxh3_128_hexdigest(part.tobytes()),
        )


def test_channels_that_do_not_cancel_out_are_averaged_however_different_they_are(tmp_path: Path) -> None:
    left = 0.3 * np.sin(np.arange(9600) / 7)
    silent, path = np.zeros(9600), tmp_path / "a.wav"
    for channels in ([left, silent], [silent, left], [left, -0.9 * left], [silent] * 7 + [left * 0.01]):
        wave, facts = audio.read(written(path, np.stack(channels, axis=1), subtype="FLOAT"))
        np.testing.assert_allclose(wave, np.mean(channels, axis=0), atol=1e-6)
        assert facts.problem == facts.note == ""
    for value, problem in ((0.0, "silent"), (np.nan, "NaN or infinite samples"), (np.inf, "NaN or infinite samples")):
        other = np.where(np.arange(9600) == 5000, value, 0.0)
        written(path, np.stack([silent, other], axis=1), subtype="FLOAT")
        assert audio.read(path)[1].problem == problem
        written(path, np.stack([other, -other], axis=1), subtype="FLOAT")
        assert audio.read(path)[1].problem == problem


@pytest.mark.parametrize("rate", [1, 3_000_000])
def test_a_rate_that_no_recorder_has_is_a_problem(tmp_path: Path, rate: int) -> None:
    path = with_bytes(written(tmp_path / "a.wav", voice()), slice(24, 28), struct.pack("<I", rate))
    assert audio.read(path)[1].problem == "unreadable: its header gives no credible length or rate"


@pytest.mark.parametrize("suffix", ["wav", "rf64", "w64", "aiff", "au", "caf", "flac", "ogg", "mp3"])
def test_no_change_of_bytes_or_segment_raises(tmp_path: Path, suffix: str) -> None:
    good = written(tmp_path / "good", voice(500), 8000, format=suffix.upper()).read_bytes()
    path = tmp_path / "bad"

    @settings(max_examples=30, deadline=1000)
    @given(
        changes=st.lists(st.tuples(st.integers(0, 199), st.integers(0, 255)), max_size=4),
        length=st.integers(0, len(good)) | st.just(len(good)),
        segment=st.sampled_from([(0.0, np.inf), (0.02, 0.04)]) | st.tuples(st.floats(), st.floats()),
    )
    def check(changes: list[tuple[int, int]], length: int, segment: tuple[float, float]) -> None:
        content = bytearray(good)
        for place, value in changes:
            content[place] = value
        path.write_bytes(content[:length])
        tracemalloc.start()
        wave, facts = audio.read(path, *segment)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert bool(len(wave)) != bool(facts.problem)
        assert np.isfinite(wave).all()
        assert peak < 50e6

    check()
