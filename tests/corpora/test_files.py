from __future__ import annotations

import os
from pathlib import Path

import pytest

from ser.corpora.files import files, problem


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(root: Path) -> list[tuple[str, str]]:
    return [(os.path.relpath(path, root), what) for path, what in files(root, {".wav"})]


def test_files_of_a_suffix_are_found_at_any_depth_in_order_of_names(tmp_path: Path) -> None:
    put(tmp_path, "b/2.WAV", "b/10.wav", "a/z/1.wav", "a/3.Wav", "c.wav", "README.txt", "b/1.flac", "wav")
    assert [name for name, _ in found(tmp_path)] == ["c.wav", "a/3.Wav", "a/z/1.wav", "b/10.wav", "b/2.WAV"]


def test_hidden_files_and_folders_are_passed_over_but_not_a_hidden_root(tmp_path: Path) -> None:
    put(tmp_path / ".root", "1.wav", "._1.wav", ".trash/2.wav")
    assert found(tmp_path / ".root") == [("1.wav", "")]


def test_linked_folders_are_followed_once_and_a_loop_ends(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/2.wav", "corpus/folder/1.wav")
    (tmp_path / "corpus/again").symlink_to(tmp_path / "corpus/folder")
    (tmp_path / "corpus/a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/up").symlink_to(tmp_path / "corpus")
    assert found(tmp_path / "corpus") == [("a/2.wav", ""), ("again/1.wav", "")]


def test_a_file_that_can_t_be_opened_is_found_with_what_is_wrong(tmp_path: Path) -> None:
    put(tmp_path, "1.wav")
    (tmp_path / "2.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "2.txt").symlink_to(tmp_path / "nowhere.txt")
    os.mkfifo(tmp_path / "3.wav")
    (tmp_path / "4.wav").symlink_to(tmp_path / "1.wav")
    assert found(tmp_path) == [
        ("1.wav", ""),
        ("2.wav", "a broken link"),
        ("3.wav", "not a regular file"),
        ("4.wav", ""),
    ]
    assert problem(str(tmp_path / "5.wav")) == "no such file"
    assert problem(str(tmp_path)) == "not a regular file"


def test_a_root_that_is_no_folder_is_what_is_wrong(tmp_path: Path) -> None:
    assert list(files(tmp_path / "x", {".wav"})) == [
        (str(tmp_path / "x"), "unreadable folder: No such file or directory")
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_found_with_what_is_wrong(tmp_path: Path) -> None:
    put(tmp_path, "1.wav", "closed/2.wav")
    (tmp_path / "1.wav").chmod(0)
    (tmp_path / "closed").chmod(0)
    try:
        assert found(tmp_path) == [
            ("1.wav", "unreadable: permission denied"),
            ("closed", "unreadable folder: Permission denied"),
        ]
    finally:
        (tmp_path / "closed").chmod(0o700)
