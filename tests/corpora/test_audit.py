from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.typing import NDArray

from ser.corpora import ravdess
from ser.corpora.audit import audit
from ser.corpora.listing import Listing, Problem
from ser.errors import ConfigError, DataError
from ser.features import audio
from ser.utterances import COLUMNS

RATE = 48000
STEMS = [
    f"03-01-{emotion}-01-01-{take}-{actor}"
    for actor in ("02", "05")
    for emotion in ("03", "05")
    for take in ("01", "02")
]
FIRST = "Actor_02/03-01-03-01-01-01-02.wav"


def voice(name: str, samples: int = 4800) -> NDArray[np.int16]:
    """Another noise for every name."""
    return np.random.default_rng(zlib.crc32(name.encode())).integers(-3000, 3000, samples).astype(np.int16)


def record(path: Path, wave: NDArray[np.generic] | None = None, rate: int = RATE, subtype: str = "PCM_16") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, voice(path.stem) if wave is None else wave, rate, subtype=subtype)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight good recordings of two actors."""
    for stem in STEMS:
        record(tmp_path / "ravdess" / f"Actor_{stem[-2:]}" / f"{stem}.wav")
    return tmp_path / "ravdess"


def used(root: Path, on_problem: str = "refuse") -> pd.DataFrame:
    """What a command does before it computes anything from the recordings."""
    listing = ravdess.read(root)
    return audit(listing, pd.DataFrame([asdict(audio.read(path)[1]) for path in listing.table["path"]]), on_problem)


def names(table: pd.DataFrame) -> list[str]:
    return [os.path.basename(path).split(".")[0] for path in table["path"]]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """The one message of the audit."""
    caplog.set_level("INFO", logger="ser")

    def message() -> str:
        (record,) = (record for record in caplog.records if record.name == "ser.corpora.audit")
        return record.getMessage()

    return message


def test_good_recordings_are_all_used(root: Path, said: Callable[[], str]) -> None:
    table = used(root)
    assert table["utterance"].tolist() == names(table) == sorted(STEMS)
    assert tuple(table.columns) == COLUMNS
    assert said().splitlines() == [
        "8 utterances of 2 speakers",
        "  incomplete: 8 of 1440 utterances",
    ]


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def unreadable(path: Path) -> None:
    path.write_bytes(b"no sound" * 100)


def silent(path: Path) -> None:
    record(path, np.zeros(4800, np.int16))


def not_a_number(path: Path) -> None:
    record(path, np.full(4800, np.nan, np.float32), subtype="FLOAT")


def misnamed(path: Path) -> None:
    path.rename(path.with_name("take one.wav"))


def misplaced(path: Path) -> None:
    path.rename(path.parents[1] / "Actor_05" / path.name)


PROBLEMS: dict[Callable[[Path], None], tuple[str, str]] = {
    emptied: (FIRST, "empty"),
    truncated: (FIRST, "truncated or damaged: 49% of it can be read"),
    unreadable: (FIRST, "unreadable: Format not recognised"),
    silent: (FIRST, "silent"),
    not_a_number: (FIRST, "NaN or infinite samples"),
    misnamed: ("Actor_02/take one.wav", "'take one' is no name of RAVDESS"),
    misplaced: ("Actor_05/03-01-03-01-01-01-02.wav", "actor of the name is not of Actor_05"),
}


@pytest.mark.parametrize("spoil", PROBLEMS)
def test_a_file_with_a_problem_is_named_and_nothing_else_is_lost(
    root: Path, said: Callable[[], str], spoil: Callable[[Path], None]
) -> None:
    spoil(root / FIRST)
    name, what = PROBLEMS[spoil]
    with pytest.raises(DataError) as caught:
        used(root)
    assert str(caught.value).startswith(f"problems in the corpus: 1\n  {root / name}: {what}")
    assert "data.on_problem=leave_out" in str(caught.value)
    assert used(root, "leave_out")["utterance"].tolist() == sorted(STEMS)[1:]
    assert "7 utterances of 2 speakers\n" in said()
    assert f"  left out, with a problem: 1\n    {root / name}: {what}" in said()


def test_all_problems_are_named_in_one_message_and_the_rest_is_used(root: Path, said: Callable[[], str]) -> None:
    spoilers = (emptied, truncated, unreadable, silent, not_a_number, misnamed)
    for stem, spoil in zip(STEMS, spoilers, strict=False):
        spoil(root / f"Actor_{stem[-2:]}" / f"{stem}.wav")
    shutil.copy(root / "Actor_05" / f"{STEMS[7]}.wav", root / "Actor_05/copy of it.wav")
    (root / "Actor_05/03-02-03-01-01-01-05.wav").touch()
    with pytest.raises(DataError, match="problems in the corpus: 7") as caught:
        used(root)
    named = [line for line in str(caught.value).splitlines() if line.startswith(f"  {root}")]
    assert len(named) == 7
    assert used(root, "leave_out")["utterance"].tolist() == sorted(STEMS[6:])
    assert said().splitlines()[-7:] == [f"  {line}" for line in named]


def test_nothing_left_is_refused_either_way(root: Path) -> None:
    for path in root.rglob("*.wav"):
        silent(path)
    with pytest.raises(DataError, match="problems in the corpus: 8"):
        used(root)
    with pytest.raises(DataError, match="no recording of the corpus can be used") as caught:
        used(root, "leave_out")
    assert str(caught.value).count(": silent") == 8


def test_another_way_to_meet_problems_is_refused_with_the_setting_s_name(root: Path) -> None:
    with pytest.raises(ConfigError, match="'ignore'") as caught:
        used(root, "ignore")
    assert "data.on_problem" in str(caught.value)
    assert "refuse or leave_out" in str(caught.value)


def test_a_corpus_that_is_there_twice_is_used_once(root: Path, said: Callable[[], str]) -> None:
    shutil.copytree(root, root / "audio_speech_actors_01-24")
    table = used(root)
    assert names(table) == sorted(STEMS)
    assert not table["path"].str.contains("audio_speech_actors_01-24").any()
    assert "  used once, equal copies (8): " in said()
    assert f"{root}/audio_speech_actors_01-24/{FIRST}" in said()


def test_of_two_copies_the_good_one_at_the_usual_rate_is_used(root: Path, said: Callable[[], str]) -> None:
    copy = root / "audio_speech_actors_01-24"
    shutil.copytree(root, copy)
    truncated(root / FIRST)
    slow, low = root / "Actor_05" / f"{STEMS[4]}.wav", copy / "Actor_05" / f"{STEMS[5]}.wav"
    for path in (slow, low):
        record(path, voice(path.stem)[::2], RATE // 2)
    table = used(root, "leave_out").set_index("utterance")["path"]
    assert table.index.tolist() == sorted(STEMS)
    assert table[STEMS[0]] == str(copy / FIRST)
    assert table[STEMS[4]] == str(copy / "Actor_05" / slow.name)
    assert table[STEMS[5]] == str(root / "Actor_05" / low.name)
    assert f"{root / FIRST}: truncated" in said()
    assert f"{slow}: same name as {copy / 'Actor_05' / slow.name} but other samples" in said()
    assert f"{low}: same name as {root / 'Actor_05' / low.name} but other samples" in said()


def test_a_wav_and_its_flac_are_one_recording(root: Path, said: Callable[[], str]) -> None:
    record((root / FIRST).with_suffix(".flac"), voice(STEMS[0]))
    assert names(used(root)) == sorted(STEMS)
    assert f"used once, equal copies (1): {root / FIRST}" in said()


def test_equal_samples_under_two_names_are_used_once(root: Path, said: Callable[[], str]) -> None:
    shutil.copy(root / FIRST, root / "Actor_02" / f"{STEMS[1]}.wav")
    assert names(used(root)) == sorted({*STEMS} - {STEMS[1]})
    assert f"used once, equal samples under two names (1): {STEMS[0]} = {STEMS[1]}" in said()


def test_both_copies_of_an_equal_pair_in_a_double_corpus_are_told_as_one_pair(
    root: Path, said: Callable[[], str]
) -> None:
    shutil.copy(root / FIRST, root / "Actor_02" / f"{STEMS[1]}.wav")
    shutil.copytree(root, root / "again")
    assert names(used(root)) == sorted({*STEMS} - {STEMS[1]})
    assert said().count(f"{STEMS[0]} = {STEMS[1]}") == 1


def test_a_copy_in_another_actor_s_folder_is_told_and_used_once(root: Path, said: Callable[[], str]) -> None:
    stray = Path(shutil.copy(root / FIRST, root / "Actor_05"))
    table = used(root).set_index("utterance")
    assert table.index.tolist() == sorted(STEMS)
    assert table.loc[STEMS[0], "path"] == str(root / FIRST)
    assert f"used once, equal copies (1): {stray}\n" in said()


def test_another_take_in_another_actor_s_folder_is_a_problem(root: Path, said: Callable[[], str]) -> None:
    stray = root / "Actor_05" / Path(FIRST).name
    record(stray, voice("another"))
    table = used(root, "leave_out").set_index("utterance")
    assert table.index.tolist() == sorted(STEMS)
    assert table.loc[STEMS[0], "path"] == str(root / FIRST)
    assert f"{stray}: same name as {root / FIRST} but other samples" in said()


@pytest.mark.parametrize("folder", ["", "all", "Actor_2", "actor-02", "Actor_02/takes", "Actors_01-24"])
def test_folders_that_do_not_contradict_the_name_are_no_problem(root: Path, folder: str) -> None:
    (root / folder).mkdir(exist_ok=True, parents=True)
    (root / FIRST).rename(root / folder / Path(FIRST).name)
    assert names(used(root)) == sorted(STEMS)


def test_stereo_and_other_rates_are_used_and_told(root: Path, said: Callable[[], str]) -> None:
    record(root / FIRST, np.stack([voice("left"), voice("right")], axis=1))
    slow = root / "Actor_05" / f"{STEMS[4]}.wav"
    record(slow, rate=22050)
    assert names(used(root)) == sorted(STEMS)
    assert f"  converted to mono (1): {root / FIRST}\n" in said()
    assert f"  resampled, not at 48000 Hz (1): {slow}\n" in said()


def test_song_and_video_are_left_out_and_counted(root: Path, said: Callable[[], str]) -> None:
    for name in ("03-02-01-01-01-01-02.wav", "03-02-02-01-01-01-02.wav", "01-01-01-01-01-01-02.mp4"):
        (root / "Actor_02" / name).touch()
    assert names(used(root)) == sorted(STEMS)
    assert "  left out: 1 .mp4, 2 song files\n" in said()


def test_a_name_that_is_not_utf8_does_not_spoil_the_message(root: Path, said: Callable[[], str]) -> None:
    (root / "caf\udce9.wav").touch()
    assert len(used(root, "leave_out")) == 8
    assert r"caf\xe9.wav: its name is not in UTF-8" in said().encode().decode()


def test_what_is_amiss_with_what_is_used_is_said(root: Path, said: Callable[[], str]) -> None:
    os.truncate(root / FIRST, (root / FIRST).stat().st_size - 44)
    left = voice("left")
    for stem in STEMS[1:7]:
        record(
            root / f"Actor_{stem[-2:]}" / f"{stem}.wav", np.stack([left, -left], axis=1) + voice(stem)[:, None] // 500
        )
    assert len(used(root)) == 8
    assert f"  used in spite of flaws (7): {root / FIRST} (44 bytes short at its end), " in said()
    assert said().count("(channels cancel out: one alone is used)") == 4


def test_a_flaw_of_a_file_is_said_once_for_all_its_segments(said: Callable[[], str]) -> None:
    listing, facts = segments(("a", "a.wav", 0.0, 1.0, "A"), ("b", "a.wav", 1.0, 2.0, "B"))
    audit(listing, facts.assign(note="1 byte short at its end"), "refuse")
    assert said() == "2 utterances of 1 speakers\n  used in spite of flaws (1): a.wav (1 byte short at its end)"


def segments(*rows: tuple[str, str, float, float, str]) -> tuple[Listing, pd.DataFrame]:
    """A corpus of (utterance, path, start, end, samples), none of which is looked at."""
    table = pd.DataFrame(rows, columns=["utterance", "path", "start", "end", "samples"])
    facts = table[["samples"]].assign(rate=16000, channels=1, problem="", note="", start_row=7)
    return Listing(table.drop(columns="samples").assign(speaker="1", emotion="sad"), ("calm", "sad")), facts


def test_segments_of_one_file_are_told_apart(said: Callable[[], str]) -> None:
    listing, facts = segments(
        ("d", "long.wav", 3.0, np.inf, "D"),
        ("a", "long.wav", 0.0, 1.5, "A"),
        ("c", "long.wav", 2.0, 3.0, "A"),
        ("b", "long.wav", 1.5, 2.0, "B"),
        ("e", "short.wav", 0.0, np.inf, "E"),
    )
    facts.loc[3, "problem"] = "silent"
    table = audit(listing, facts.set_axis(list("vwxyz")), "leave_out")
    assert table["utterance"].tolist() == ["a", "d", "e"]
    assert table[["start", "end"]].to_numpy().tolist() == [[0, 1.5], [3, np.inf], [0, np.inf]]
    assert tuple(table["emotion"].cat.categories) == ("calm", "sad")
    assert said().splitlines() == [
        "3 utterances of 1 speakers",
        "  used once, equal samples under two names (1): a = c",
        "  left out, with a problem: 1",
        "    long.wav (1.5 to 2.0 s): silent",
    ]


def test_a_corpus_without_a_rate_of_its_own_may_have_any(said: Callable[[], str]) -> None:
    listing, facts = segments(("a", "a.wav", 0.0, np.inf, "A"), ("b", "b.wav", 0.0, np.inf, "B"))
    audit(listing, facts.assign(rate=[8000, 16000]), "refuse")
    assert said() == "2 utterances of 1 speakers"
    with pytest.raises(ValueError, match="does not match length"):
        audit(listing, facts[:1], "refuse")


def test_problems_of_the_reader_come_first_and_in_its_order() -> None:
    listing, facts = segments(("a", "a.wav", 0.0, np.inf, "A"), ("b", "b.wav", 0.0, np.inf, "B"))
    problems = (Problem("my.csv:9", "no emotion"), Problem("my.csv:10", "no speaker"))
    with pytest.raises(DataError) as caught:
        audit(replace(listing, problems=problems), facts.assign(problem=["silent", ""]), "refuse")
    assert str(caught.value).splitlines()[1:4] == [
        "  my.csv:9: no emotion",
        "  my.csv:10: no speaker",
        "  a.wav: silent",
    ]
