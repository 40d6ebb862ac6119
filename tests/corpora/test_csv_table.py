from __future__ import annotations

import csv
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ser.corpora import csv_table
from ser.errors import DataError
from ser.utterances import COLUMNS, utterance_table

CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip)
ODD = st.sampled_from(
    ['say "hi"', "a,b;c\td", "01", "1e5", "NA", "nan", "é", "e\u0301", "two\nlines", "=1+1", "'", "true"]
)
NAME = CELL.filter(bool) | ODD
FILE = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=12) | ODD
).filter(lambda name: name not in (".", ".."))
SECONDS = st.floats(0, 1e6, allow_nan=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four recordings; the reader looks at nothing but whether they are there."""
    for name in ("a.wav", "b.wav", "sub/c d.wav", "sub/é.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def table(folder: Path, *lines: str, encoding: str = "utf-8", newline: str = "\n") -> Path:
    file = folder / "my.csv"
    file.write_bytes(newline.join([*lines, ""]).encode(encoding))
    return file


def refused(folder: Path, *lines: str) -> dict[int, str]:
    """What is wrong with the rows by line, after a look that the last one is good and stays."""
    listing = csv_table.read(None, table(folder, *lines))
    assert len(listing.table)
    return {int(problem.path.removeprefix(f"{folder / 'my.csv'}:")): problem.what for problem in listing.problems}


def test_three_columns_are_enough(folder: Path) -> None:
    listing = csv_table.read(None, table(folder, "path,speaker,emotion", "b.wav,01,sad", "sub/c d.wav,Anna,calm"))
    assert listing.table.to_dict("records") == [
        {
            "utterance": name,
            "path": str(folder / name),
            "speaker": speaker,
            "emotion": emotion,
            **dict.fromkeys(("sex", "intensity", "statement", "repetition"), ""),
            "start": 0.0,
            "end": np.inf,
        }
        for name, speaker, emotion in (("b.wav", "01", "sad"), ("sub/c d.wav", "Anna", "calm"))
    ]
    assert listing.labels == ("calm", "sad")
    assert (listing.problems, listing.left_out, listing.whole, listing.rate) == ((), {}, None, None)
    assert len(utterance_table(listing.table, listing.labels)) == 2


@st.composite
def corpora(draw: st.DrawFn) -> pd.DataFrame:
    """Any table that is all right: unique ids, one sex per speaker, segments that are not empty."""
    ids = draw(st.lists(NAME, min_size=1, max_size=6, unique=True))
    sexes = {name: draw(CELL) for name in draw(st.lists(NAME, min_size=1, max_size=3, unique=True))}
    rows = []
    for utterance in ids:
        speaker = draw(st.sampled_from(sorted(sexes)))
        start, end = draw(
            st.just((0.0, np.inf)) | st.tuples(SECONDS, SECONDS | st.just(np.inf)).filter(lambda it: it[0] < it[1])
        )
        text = {name: draw(CELL | ODD) for name in ("intensity", "statement", "repetition")}
        known = {"utterance": utterance, "path": draw(FILE), "speaker": speaker, "sex": sexes[speaker]}
        rows.append({**known, **text, "emotion": draw(NAME), "start": start, "end": end})
    return pd.DataFrame(rows, columns=list(COLUMNS))


@settings(max_examples=100, deadline=None)
@given(
    corpora(),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.permutations(COLUMNS),
)
def test_what_is_written_is_read_again(
    corpus: pd.DataFrame, separator: str, newline: str, encoding: str, quoting: int, columns: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for path in corpus["path"]:
            Path(folder, path).touch()
        text = io.StringIO()
        writer = csv.writer(text, delimiter=separator, lineterminator=newline, quoting=quoting)  # type: ignore[arg-type]
        writer.writerows([columns, *corpus[columns].itertuples(index=False)])
        file = Path(folder, "my table.csv")
        if file.exists():
            return
        file.write_bytes(text.getvalue().encode(encoding))
        listing = csv_table.read(None, file)
    assert not listing.problems
    pd.testing.assert_frame_equal(
        listing.table, corpus.assign(path=[os.path.join(folder, path) for path in corpus["path"]])
    )
    assert listing.labels == tuple(sorted(set(corpus["emotion"])))


@settings(max_examples=200, deadline=None)
@given(
    st.binary()
    | st.lists(st.sampled_from([*'",;\t\n\r1é', "a.wav", "path", "sad"])).map(lambda it: "".join(it).encode())
)
def test_any_file_gives_a_table_or_a_clear_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.wav").touch()
        for head in (b"", b"path,speaker,emotion\na.wav,1,sad\n"):
            Path(folder, "my.csv").write_bytes(head + content)
            try:
                assert len(csv_table.read(None, Path(folder, "my.csv")).table)
            except DataError:
                continue


def test_a_table_as_excel_writes_it(folder: Path) -> None:
    lines = ["path;speaker;emotion;sex", '"sub/é.wav";007;"a;b";female', "a.wav;7b;sad;", ";;;"]
    listing = csv_table.read(None, table(folder, *lines, encoding="utf-8-sig", newline="\r\n"))
    assert listing.table["path"].tolist() == [str(folder / "sub/é.wav"), str(folder / "a.wav")]
    assert listing.table["speaker"].tolist() == ["007", "7b"]
    assert listing.labels == ("a;b", "sad")


def test_paths_are_of_the_root_or_absolute(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = table(tmp_path_factory.mktemp("elsewhere"), "path,speaker,emotion", "a.wav,1,sad", f"{folder}/b.wav,1,sad")
    listing = csv_table.read(folder, file)
    assert listing.table["path"].tolist() == [str(folder / "a.wav"), str(folder / "b.wav")]


def test_segments_of_one_recording_are_utterances_of_their_own(folder: Path) -> None:
    lines = [
        "path,speaker,emotion,start,end",
        "a.wav,1,sad,,1.5",
        "a.wav,1,sad,1.5,2",
        "a.wav,2,calm,2,",
        "b.wav,2,calm,,",
    ]
    listing = csv_table.read(None, table(folder, *lines))
    assert listing.table["utterance"].tolist() == ["a.wav#-1.5", "a.wav#1.5-2", "a.wav#2-", "b.wav"]
    assert listing.table[["start", "end"]].to_numpy().tolist() == [[0, 1.5], [1.5, 2], [2, np.inf], [0, np.inf]]
    assert not listing.problems


def test_every_row_that_can_t_be_used_is_named_by_its_line(folder: Path) -> None:
    lines = [
        "path,speaker,emotion,sex,utterance,start,end",
        '"a.wav",1,"two',  # goes on in the next line
        'lines",female,u1,,',
        "",
        "b.wav,1, ,female,u2,,",
        "none.wav,1,sad,female,u3,,",
        "b.wav,,sad,,u4,,",
        "b.wav,2,sad,male,u5,3,2.5",
        "b.wav,2,sad,male,u6,2,2",
        'b.wav,2,sad,male,u7,"1,5",x',
        "b.wav,2,sad,male,u8,-1,nan",
        "b.wav,2,sad,male,u1,,",
        "b.wav,1,sad,male,u9,,",
        "b.wav,1,sad,female",
        ",,,,x,,",
        "sub,1,sad,female,u10,,",
        "b.wav,1,sad,female,u11,,",
    ]
    assert refused(folder, *lines) == {
        5: "no emotion",
        6: f"no such file: '{folder}/none.wav'",
        7: "no speaker",
        8: "start '3' and end '2.5' are not seconds, one before the other",
        9: "start '2' and end '2' are not seconds, one before the other",
        10: "start '1,5' and end 'x' are not seconds, one before the other",
        11: "start '-1' and end 'nan' are not seconds, one before the other",
        12: "utterance 'u1' is duplicated: it is in line 3, too",
        13: "speaker '1' has sex 'male' here and 'female' before",
        14: "it has more or fewer cells than the header",
        15: "no path",
        16: f"not a regular file: '{folder}/sub'",
    }


def test_a_recording_that_is_listed_again_without_an_id_is_duplicated(folder: Path) -> None:
    lines = ["path,speaker,emotion,start", "a.wav,1,sad,", "./a.wav,1,calm,", "a.wav,1,calm,1"]
    assert refused(folder, *lines) == {3: "utterance 'a.wav' is duplicated: it is in line 2, too"}


def test_a_bad_row_does_not_make_a_good_one_bad(folder: Path) -> None:
    lines = ["path,speaker,emotion,sex,utterance", "none.wav,1,sad,male,u", "a.wav,1,sad,female,u"]
    assert list(refused(folder, *lines)) == [2]


def test_labels_can_be_given_in_order(folder: Path) -> None:
    file = table(folder, "path,speaker,emotion", "a.wav,1,sad", "b.wav,1,sda", "sub/é.wav,1,calm")
    listing = csv_table.read(None, file, OmegaConf.create(["sad", "calm", "angry"]))
    assert listing.labels == ("sad", "calm", "angry")
    assert [str(problem) for problem in listing.problems] == [
        f"{file}:3: emotion 'sda' is not one of the labels sad, calm, angry"
    ]


def test_a_table_without_a_good_row_is_told_with_all_of_them(folder: Path) -> None:
    with pytest.raises(DataError, match="no row of the table can be used") as caught:
        csv_table.read(None, table(folder, "path,speaker,emotion", "none.wav,1,sad", "a.wav,1,"))
    for part in ("my.csv:2: no such file", "my.csv:3: no emotion"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the table has no column path, speaker, emotion; it has none"),
        (b"path,speakr,emotion\na.wav,1,sad\n", "the table has no column speaker; it has path, speakr, emotion"),
        (b"path,speaker,emotion\n", "no row of the table can be used"),
        ("path,speaker,emotion\na.wav,1,é\n".encode("latin-1"), "the table can't be read: 'utf-8' codec"),
        ("path,speaker,emotion\na.wav,1,sad\n".encode("utf-16"), "the table can't be read: 'utf-8' codec"),
        (b'path,speaker,emotion\na.wav,1,sad\nb.wav,"1,sad\n', "the table can't be read: unexpected end of data"),
    ],
)
def test_what_is_no_such_table_is_refused(folder: Path, content: bytes, what: str) -> None:
    (folder / "my.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        csv_table.read(None, folder / "my.csv")
    assert str(caught.value).startswith(what)
    assert f"where: {folder / 'my.csv'}" in str(caught.value)


def test_a_table_that_is_not_there_is_told(folder: Path) -> None:
    for file, why in ((folder / "none.csv", "No such file"), (folder, "Is a directory")):
        with pytest.raises(DataError, match=f"can't be read: .*{why}"):
            csv_table.read(None, file)


def test_columns_that_are_not_used_are_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    csv_table.read(None, table(folder, "path,speaker,emotion,Statment,age,", "a.wav,1,sad,x,30,"))
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder / 'my.csv'}: columns that are not used: Statment, age"
    ]
