from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser.corpora import emodb, ravdess
from ser.corpora.audit import audit
from ser.errors import DataError
from ser.features import audio

SPEAKERS = ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
TEXTS = ["a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10"]
NAMES = {"".join(fields) for fields in product(SPEAKERS, TEXTS, "WLEAFTN", "abcdef")}
LABELS = ("neutral", "bored", "happy", "sad", "angry", "fearful", "disgust")


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("stem", "fields"),
    [
        ("03a01Fa", ("03", "male", "happy", "a01", "a")),
        ("08a02Wc", ("08", "female", "angry", "a02", "c")),
        ("10b10Lb", ("10", "male", "bored", "b10", "b")),
        ("16b03Ea", ("16", "female", "disgust", "b03", "a")),
        ("14a07Aa", ("14", "female", "fearful", "a07", "a")),
        ("15b09Ta", ("15", "male", "sad", "b09", "a")),
        ("11a04Nd", ("11", "male", "neutral", "a04", "d")),
    ],
)
def test_a_name_tells_its_fields(stem: str, fields: tuple[str, ...]) -> None:
    assert emodb.parse(stem) == dict(zip(("speaker", "sex", "emotion", "statement", "repetition"), fields, strict=True))


@settings(deadline=None)
@given(name=st.sampled_from(sorted(NAMES)))
def test_every_valid_name_is_told_from_its_fields(name: str) -> None:
    found = emodb.parse(name)
    letters = {emotion: letter for letter, emotion in emodb.EMOTIONS.items()}
    assert name == found["speaker"] + found["statement"] + letters[found["emotion"]] + found["repetition"]
    assert (found["sex"] == "female") == (found["speaker"] in {"08", "09", "13", "14", "16"})


@settings(deadline=None)
@given(stem=st.text() | st.from_regex(r"[01][0-9][abc][01][0-9][A-Z][a-g]\s?", fullmatch=True))
def test_any_other_name_is_refused_and_told(stem: str) -> None:
    if stem[:6] in {name[:6] for name in NAMES} and re.fullmatch("[a-z]+", stem[6:]):
        assert emodb.parse(stem)["repetition"] == stem[6:]
    else:
        with pytest.raises(DataError) as caught:
            emodb.parse(stem)
        assert f"{stem!r} is no name of EMO-DB" in str(caught.value)


@pytest.mark.parametrize(
    "stem", ["", "03a01F", "3a01Fa", "04a01Fa", "03a03Fa", "03a01Xa", "03a01fa", "03A01Fa", "03a01Fa\n", "03a01Fa (1)"]
)
def test_names_outside_the_grammar_are_refused(stem: str) -> None:
    with pytest.raises(DataError, match="is no name of EMO-DB"):
        emodb.parse(stem)


def test_emotions_that_ravdess_has_too_are_named_alike(tmp_path: Path) -> None:
    labels = emodb.read(put(tmp_path, "03a01Fa.wav")).labels
    assert labels == LABELS
    assert [emotion for emotion in ravdess.EMOTIONS if emotion in labels] == [it for it in labels if it != "bored"]


def test_recordings_are_found_at_any_depth_and_other_files_are_told(tmp_path: Path) -> None:
    put(tmp_path, "wav/03a01Fa.wav", "03a01Fa.flac", "a/b/16b10Td.WAV", "wav/take one.wav", "lablaut/03a01Fa.lablaut")
    put(tmp_path, "wav/._03a01Fa.wav", "03a01Fa.mp3")
    (tmp_path / "08a01Na.wav").symlink_to(tmp_path / "nowhere")
    listing = emodb.read(tmp_path)
    assert listing.table["utterance"].tolist() == ["03a01Fa", "03a01Fa", "16b10Td"]
    assert all(Path(path).is_file() for path in listing.table["path"])
    assert [(Path(problem.path).name, problem.what) for problem in listing.problems] == [
        ("08a01Na.wav", "a broken link"),
        ("take one.wav", "'take one' is no name of EMO-DB: speaker, text, emotion and version, such as 03a01Fa"),
    ]
    assert listing.left_out == {".mp3": 1}
    assert listing.whole == 535
    assert listing.rate == 16000


@pytest.mark.parametrize("name", ["README.md", "03-01-06-01-02-01-12.wav"])
def test_a_folder_without_emodb_is_told_with_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="no speech recording of EMO-DB") as caught:
        emodb.read(put(tmp_path, name))
    assert "data.root=<" in str(caught.value)
    with pytest.raises(DataError, match="No such file"):
        emodb.read(tmp_path / "none")


@pytest.mark.skipif("SER_EMODB_ROOT" not in os.environ, reason="SER_EMODB_ROOT names no real corpus")
def test_the_real_corpus_is_read_and_used(caplog: pytest.LogCaptureFixture) -> None:
    listing = emodb.read(os.environ["SER_EMODB_ROOT"])
    counts = {"angry": 127, "bored": 81, "disgust": 46, "fearful": 69, "happy": 71, "sad": 62, "neutral": 79}
    with ThreadPoolExecutor() as pool:
        facts = pd.DataFrame(list(pool.map(lambda path: asdict(audio.read(path)[1]), listing.table["path"])))
    with caplog.at_level("INFO"):
        used = audit(listing, facts, "refuse")
    assert len(used) == 535
    assert used["emotion"].value_counts().to_dict() == counts
    assert tuple(used["emotion"].cat.categories) == LABELS
    assert sorted(used["speaker"].unique()) == SPEAKERS
    assert used.drop_duplicates("speaker")["sex"].value_counts().to_dict() == {"female": 5, "male": 5}
    assert used["statement"].nunique() == 10
    assert not listing.problems
    assert "535 utterances of 10 speakers" in caplog.text
    assert "incomplete" not in caplog.text
    others = sorted({f"{rate} Hz" for rate in facts["rate"]} - {"16000 Hz"})
    assert not others or "resampled, not at 16000 Hz" in caplog.text
