from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.corpora import ravdess
from ser.corpora.audit import audit
from ser.errors import DataError
from ser.features import audio

FIELDS = [range(1, 4), range(1, 3), range(1, 9), range(1, 3), range(1, 3), range(1, 3), range(1, 25)]


def stem_of(*fields: int) -> str:
    return "-".join(f"{field:02d}" for field in fields)


NAMES = {stem_of(*fields) for fields in product(*FIELDS) if fields[2:4] != (1, 2)}


def stems_of(actor: int) -> list[str]:
    return sorted(name for name in NAMES if name.startswith("03-01-") and name.endswith(f"-{actor:02d}"))


def put(root: Path, *names: str) -> Path:
    """Files of these names; the reader looks at nothing else."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_a_name_tells_all_seven_fields() -> None:
    assert ravdess.parse("03-01-06-01-02-01-12") == {
        "modality": "03",
        "channel": "01",
        "emotion": "fearful",
        "intensity": "normal",
        "statement": "2",
        "repetition": "1",
        "speaker": "12",
        "sex": "female",
    }


@settings(deadline=None)
@given(name=st.sampled_from(sorted(NAMES)))
def test_every_valid_name_is_told_from_its_fields(name: str) -> None:
    found = ravdess.parse(name)
    assert name == stem_of(
        int(found["modality"]),
        int(found["channel"]),
        ravdess.EMOTIONS.index(found["emotion"]) + 1,
        {"normal": 1, "strong": 2}[found["intensity"]],
        int(found["statement"]),
        int(found["repetition"]),
        int(found["speaker"]),
    )
    assert found["sex"] == ("male" if int(found["speaker"]) % 2 else "female")


@settings(deadline=None)
@given(stem=st.text() | st.from_regex(r"[0-9]{2}(-0[0-9]){5,7}\s?", fullmatch=True))
def test_any_other_name_is_refused_and_told(stem: str) -> None:
    if stem in NAMES:
        assert ravdess.parse(stem)
    else:
        with pytest.raises(DataError) as caught:
            ravdess.parse(stem)
        assert f"{stem!r} is no name of RAVDESS" in str(caught.value)


@pytest.mark.parametrize(
    "stem",
    [
        "",
        "03-01-06-01-02-01",
        "03-01-06-01-02-01-25",
        "03-01-06-01-02-01-00",
        "03-01-09-01-01-01-01",
        "03-01-06-01-02-03-12",
        "03-01-01-02-01-01-01",
        "3-1-6-1-2-1-12",
        "03_01_06_01_02_01_12",
        "03-01-06-01-02-01-12 (1)",
        "03-01-06-01-02-01-12\n",
        "٠٣-01-06-01-02-01-12",
    ],
)
def test_names_outside_the_grammar_are_refused(stem: str) -> None:
    with pytest.raises(DataError, match="is no name of RAVDESS"):
        ravdess.parse(stem)


def test_files_are_found_at_any_depth_by_their_names_alone(tmp_path: Path) -> None:
    stems = stems_of(3)[:4]
    put(tmp_path, f"{stems[0]}.wav", f"Actor_03/{stems[1]}.flac", f"a/b/c/{stems[2]}.WAV", f"Tom/{stems[3]}.Flac")
    listing = ravdess.read(str(tmp_path))
    assert listing.table["utterance"].tolist() == stems
    assert all(Path(path).is_file() for path in listing.table["path"])
    assert not listing.problems
    assert not listing.left_out


def test_one_name_at_two_places_is_listed_twice(tmp_path: Path) -> None:
    stem = stems_of(1)[0]
    listing = ravdess.read(put(tmp_path, f"Actor_01/{stem}.wav", f"nested/Actor_01/{stem}.wav", f"{stem}.flac"))
    assert listing.table["utterance"].tolist() == [stem] * 3
    assert listing.table["path"].nunique() == 3


def test_song_and_video_and_other_audio_are_counted_and_left_out(tmp_path: Path) -> None:
    stem = stems_of(1)[0]
    put(
        tmp_path, f"{stem}.wav", "03-02-01-01-01-01-01.wav", "sub/03-02-02-01-01-01-01.flac", "01-01-01-01-01-01-01.mp4"
    )
    put(tmp_path, "02-01-01-01-01-01-01.MP4", "01-02-01-01-01-01-01.wav", "03-01-02-01-01-01-01.mp3")
    listing = ravdess.read(tmp_path)
    assert listing.table["utterance"].tolist() == [stem]
    assert listing.left_out == {".mp3": 1, ".mp4": 2, "song": 2, "video": 1}
    assert not listing.problems


def test_hidden_files_and_files_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    stem = stems_of(1)[0]
    listing = ravdess.read(put(tmp_path, f"{stem}.wav", f"._{stem}.wav", f".trash/{stem}.wav", "README.txt", "a.zip"))
    assert len(listing.table) == 1
    assert not listing.problems
    assert not listing.left_out


def test_names_outside_the_grammar_are_problems_and_the_rest_is_read(tmp_path: Path) -> None:
    stems = stems_of(1)[:2]
    put(
        tmp_path, *(f"{stem}.wav" for stem in stems), "Actor_01/noise.wav", f"{stems[0]} (1).wav", f"{stems[0]}.wav.wav"
    )
    listing = ravdess.read(tmp_path)
    assert listing.table["utterance"].tolist() == stems
    assert {os.path.basename(problem.path) for problem in listing.problems} == {
        "noise.wav",
        f"{stems[0]} (1).wav",
        f"{stems[0]}.wav.wav",
    }
    assert all("is no name of RAVDESS" in problem.what for problem in listing.problems)


def test_broken_links_and_pipes_are_problems(tmp_path: Path) -> None:
    first, second, third = stems_of(1)[:3]
    put(tmp_path, f"{first}.wav")
    (tmp_path / f"{second}.wav").symlink_to(tmp_path / "nowhere.wav")
    os.mkfifo(tmp_path / f"{third}.wav")
    listing = ravdess.read(tmp_path)
    assert listing.table["utterance"].tolist() == [first]
    assert [problem.what for problem in listing.problems] == ["a broken link", "not a regular file"]


def test_no_folder_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        ravdess.read(tmp_path / "ravdess")
    for part in (str(tmp_path / "ravdess"), "data.root=<folder", "data.download=true", "data=synthetic"):
        assert part in str(caught.value)


def test_a_folder_without_speech_is_told_with_what_was_seen(tmp_path: Path) -> None:
    put(tmp_path, "03-02-01-01-01-01-01.wav", "03-02-02-01-01-01-01.wav", "a.mp3", "Actor_01/caf\udce9.wav")
    with pytest.raises(DataError) as caught:
        ravdess.read(tmp_path)
    message = str(caught.value).encode().decode()
    assert message.startswith("no speech recording of RAVDESS (.wav or .flac) in ")
    for part in (r"Actor_01/caf\xe9.wav: its name is not in UTF-8", "left out: 1 .mp3, 2 song files", "data=synthetic"):
        assert part in message


@pytest.mark.skipif("SER_RAVDESS_ROOT" not in os.environ, reason="SER_RAVDESS_ROOT names no real corpus")
def test_the_real_corpus_is_read_and_its_known_oddities_are_found(caplog: pytest.LogCaptureFixture) -> None:
    listing = ravdess.read(os.environ["SER_RAVDESS_ROOT"])
    actors = sorted(listing.table["speaker"].unique())
    assert {f"{actor:02d}" for actor in range(1, 20)} <= set(actors)
    assert not listing.table["misplaced"].any()
    assert listing.table["utterance"].nunique() == 60 * len(actors)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda path: asdict(audio.read(path)[1]), listing.table["path"]))
    facts = pd.DataFrame(found)
    with caplog.at_level("INFO"):
        used = audit(listing, facts, "refuse")
    assert len(used) == 60 * len(actors) - 1
    assert "03-01-03-01-02-01-07 = 03-01-03-01-02-02-07" in caplog.text
    assert "resampled" not in caplog.text
    assert len(actors) == 24 or f"incomplete: {60 * len(actors)} of 1440 utterances" in caplog.text
    heard = listing.table[facts["channels"] > 1]
    assert set(heard.loc[heard["speaker"] < "20", "utterance"]) == {
        "03-01-02-01-01-02-01",
        "03-01-08-01-02-02-01",
        "03-01-02-01-02-02-05",
    }
