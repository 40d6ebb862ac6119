from __future__ import annotations

import hashlib
import io
import socket
import stat
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from ser.corpora import download, ravdess
from ser.errors import DownloadError

MEMBERS = {f"Actor_{actor}/03-01-03-01-01-01-{actor}.wav": f"actor {actor}".encode() for actor in ("01", "02")}


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


ARCHIVE = zipped(*MEMBERS.items())


class Server(ThreadingHTTPServer):
    """Answers any address with `content`, of which it sends `sends` bytes; counts how often it was asked."""

    content, sends, status, asked = ARCHIVE, len(ARCHIVE), 200, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/Speech.zip"

    def give(self, content: bytes) -> None:
        self.content, self.sends = content, len(content)


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.sends])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "NEEDED_BYTES", 2_000_000)  # a small disk will do
    with Server(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ravdess"


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def seen(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def refused(root: Path, url: str, expected_md5: str = md5(ARCHIVE)) -> str:
    """The message, after a look that nothing was left which could be taken for a corpus or an archive."""
    before = seen(root.parent) if root.parent.exists() else []
    with pytest.raises(DownloadError) as caught:
        download.download(root, url, expected_md5)
    assert not root.exists()
    assert seen(root.parent) == before
    message = str(caught.value)
    for part in (url, str(root.with_name("ravdess.zip")), "data.root=<", "data=synthetic"):
        assert part in message
    return message


def test_the_corpus_is_put_in_place_with_its_licence_and_citation(
    server: Server, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download.download(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS
    assert seen(root.parent) == ["ravdess"]
    assert len(ravdess.read(root).table) == 2
    notice = capsys.readouterr().out
    for part in ("CC BY-NC-SA 4.0", "no commercial use", "Livingstone", "10.1371/journal.pone.0196391"):
        assert part in notice


def test_an_archive_that_breaks_off_is_refused(server: Server, root: Path) -> None:
    server.sends = len(ARCHIVE) // 2
    assert refused(root, server.url).startswith("the corpus could not be fetched: ")
    assert not list(root.parent.rglob("*.zip"))


def test_an_archive_that_is_not_the_one_expected_is_thrown_away(server: Server, root: Path) -> None:
    server.give(ARCHIVE[:-1] + b"?")
    message = refused(root, server.url)
    assert message.startswith("what was fetched is damaged and was thrown away: ")
    assert md5(ARCHIVE) in message
    assert not list(root.parent.rglob("*.zip"))


def test_a_server_that_has_no_such_file_is_told(server: Server, root: Path) -> None:
    server.status = 404
    assert "404" in refused(root, server.url)


def test_no_network_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound but not listening: it refuses every connection
        message = refused(root, f"http://127.0.0.1:{free.getsockname()[1]}/Speech.zip")
    assert message.startswith("the corpus could not be fetched: ")


def test_after_a_failure_the_same_command_succeeds(server: Server, root: Path) -> None:
    server.sends = 100
    refused(root, server.url)
    server.sends = len(ARCHIVE)
    download.download(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../evil.wav",
        "a/../../evil.wav",
        "/evil.wav",
        "..\\evil.wav",
        "C:\\evil.wav",
        "C:evil.wav",
        "\\\\host\\evil",
        link("a"),
    ],
    ids=str,
)
def test_an_archive_that_would_write_elsewhere_is_not_unpacked(
    server: Server, root: Path, name: str | zipfile.ZipInfo
) -> None:
    server.give(zipped(*MEMBERS.items(), (name, b"/etc")))
    message = refused(root, server.url, md5(server.content))
    assert "it would write outside its folder" in message
    assert not [path for path in root.parents[1].rglob("*") if path.suffix == ".wav"]


@pytest.mark.parametrize("bound", ["MOST_FILES", "MOST_BYTES"])
def test_an_archive_out_of_all_bounds_is_not_unpacked(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(download, bound, 1)
    assert "it has 2 files of 16 bytes" in refused(root, server.url)


def test_a_member_that_is_damaged_is_refused(server: Server, root: Path) -> None:
    server.give(ARCHIVE.replace(b"actor 02", b"actor 03"))
    assert "can't be unpacked: Bad CRC-32" in refused(root, server.url, md5(server.content))


def test_what_is_no_zip_is_refused(server: Server, root: Path) -> None:
    server.give(b"<html>please log in</html>")
    assert "can't be unpacked: File is not a zip file" in refused(root, server.url, md5(server.content))


@pytest.mark.parametrize("name", ["ravdess.zip", "Speech.zip"])
def test_an_archive_put_there_by_hand_is_used_and_kept(server: Server, root: Path, name: str) -> None:
    root.parent.mkdir()
    (root.parent / name).write_bytes(ARCHIVE)
    download.download(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS
    assert seen(root.parent) == sorted([name, "ravdess"])
    assert not server.asked


def test_another_archive_put_there_by_hand_is_refused_and_kept(server: Server, root: Path) -> None:
    root.parent.mkdir()
    root.with_name("ravdess.zip").write_bytes(ARCHIVE[:50])
    message = refused(root, server.url)
    assert message.startswith(f"this is not the whole archive: its md5 is {md5(ARCHIVE[:50])}, not {md5(ARCHIVE)}")
    assert root.with_name("ravdess.zip").read_bytes() == ARCHIVE[:50]
    assert not server.asked


def test_a_folder_with_something_in_it_is_left_alone(server: Server, root: Path) -> None:
    root.mkdir(parents=True)
    (root / "mine.txt").write_text("mine")
    download.download(root, server.url, md5(ARCHIVE))
    assert content(root) == {"mine.txt": b"mine"}
    assert not server.asked


def test_an_empty_folder_is_filled(server: Server, root: Path) -> None:
    root.mkdir(parents=True)
    download.download(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS


def test_two_commands_at_once_fetch_once(server: Server, root: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: download.download(root, server.url, md5(ARCHIVE)), range(2)))
    assert content(root) == MEMBERS
    assert seen(root.parent) == ["ravdess"]
    assert server.asked == 1


def test_stopped_while_unpacking_it_goes_on_without_fetching_again(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(file: zipfile.ZipFile, folder: Path) -> None:
        file.extract(file.namelist()[0], folder)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extractall", stop)
        with pytest.raises(KeyboardInterrupt):
            download.download(root, server.url, md5(ARCHIVE))
    assert not root.exists()
    download.download(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS
    assert server.asked == 1


def test_what_a_killed_command_left_does_no_harm(server: Server, root: Path) -> None:
    work = root.with_name(".ravdess.download")
    (work / "whole").mkdir(parents=True)
    (work / "whole" / "half.wav").write_bytes(b"half")
    (work / "tmp123").write_bytes(ARCHIVE[:100])
    (work / "archive.zip").write_bytes(ARCHIVE[:100])
    download.download(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS
    assert [path.name for path in root.parent.iterdir() if path.is_dir()] == ["ravdess"]


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(DownloadError, match="2 MB are needed on the disk, 1 MB are free") as caught:
        download.download(root, server.url, md5(ARCHIVE))
    assert "data.root=<folder>" in str(caught.value)
    assert not server.asked


def test_a_place_that_can_t_be_written_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="could not be put in place") as caught:
        download.download(tmp_path / "file" / "ravdess", server.url, md5(ARCHIVE))
    assert "data=synthetic" in str(caught.value)
    assert not server.asked
