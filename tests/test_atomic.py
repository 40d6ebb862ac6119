from __future__ import annotations

from pathlib import Path

import pytest

from ser.atomic import replacing, write_text


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file that is there already, alone in its folder."""
    path = tmp_path / "metrics.json"
    path.write_text("old")
    return path


def write_half(path: Path, interruption: type[BaseException]) -> None:
    with replacing(path) as scratch:
        scratch.write_text("half of the n")
        raise interruption


def test_text_is_written_as_utf8_with_line_feeds(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "Zürich\nÅrhus\n")
    assert (tmp_path / "a.csv").read_bytes() == "Zürich\nÅrhus\n".encode()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "run" / "evaluation" / "metrics.json", "{}")
    assert (tmp_path / "run" / "evaluation" / "metrics.json").read_text() == "{}"


def test_new_content_takes_the_place_of_old(old: Path) -> None:
    write_text(str(old), "new")
    assert old.read_text() == "new"
    assert list(old.parent.iterdir()) == [old]


def test_old_file_stands_until_the_new_one_is_whole(old: Path) -> None:
    with replacing(old) as scratch:
        scratch.write_text("ne")
        assert old.read_text() == "old"
        assert scratch.parent == old.parent, "a rename across file systems is not atomic"
        scratch.write_text("new")
    assert old.read_text() == "new"


@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt, SystemExit])
def test_interrupted_write_leaves_the_old_file_and_no_scratch(old: Path, interruption: type[BaseException]) -> None:
    with pytest.raises(interruption):
        write_half(old, interruption)
    assert old.read_text() == "old"
    assert list(old.parent.iterdir()) == [old]


def test_interrupted_first_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "new", KeyboardInterrupt)
    assert not list(tmp_path.iterdir())


def test_text_that_cannot_be_encoded_leaves_the_old_file(old: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_text(old, "a lone surrogate: \udc80")
    assert old.read_text() == "old"
    assert list(old.parent.iterdir()) == [old]


def test_nothing_written_is_an_error_and_leaves_the_old_file(old: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(old):
        pass
    assert old.read_text() == "old"
