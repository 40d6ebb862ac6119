from __future__ import annotations

import hashlib
import io
import socket
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from ser.corpora import ravdess
from ser.corpora import ravdess_download as download
from ser.errors import DownloadError

MEMBERS = {f"Actor_{actor}/03-01-03-01-01-01-{actor}.wav": f"actor {actor}".encode() for actor in ("01", "02")}


def zipped(*members: tuple[str, bytes]) -> bytes:
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
        download.fetch(root, url, expected_md5)
    assert not root.exists()
    assert seen(root.parent) == before
    message = str(caught.value)
    for part in (url, str(root.with_name("Speech.zip")), "data.root=<", "data=synthetic"):
        assert part in message
    return message


def test_the_corpus_is_put_in_place_with_its_licence_and_citation(
    server: Server, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download.fetch(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS
    assert seen(root.parent) == ["ravdess"]
    assert len(ravdess.read(root).table) == 2
    notice = capsys.readouterr().out
    for part in ("CC BY-NC-SA 4.0", "no commercial use", "Livingstone", "10.1371/journal.pone.0196391"):
        assert part in notice


def test_an_archive_that_breaks_off_is_refused(server: Server, root: Path) -> None:
    server.sends = len(ARCHIVE) // 2
    assert refused(root, server.url).startswith("the corpus could not be put in place: ")
    assert not list(root.parent.rglob("*.zip"))


def test_an_archive_that_is_not_the_one_expected_is_thrown_away(server: Server, root: Path) -> None:
    server.give(ARCHIVE[:-1] + b"?")
    message = refused(root, server.url)
    assert message.startswith("the corpus could not be put in place: MD5 hash of downloaded file")
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
    assert message.startswith("the corpus could not be put in place: ")


def test_after_a_failure_the_same_command_succeeds(server: Server, root: Path) -> None:
    server.sends = 100
    refused(root, server.url)
    server.sends = len(ARCHIVE)
    download.fetch(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS


def test_an_archive_put_there_by_hand_is_used_and_kept(server: Server, root: Path) -> None:
    root.parent.mkdir()
    root.with_name("Speech.zip").write_bytes(ARCHIVE)
    download.fetch(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS
    assert seen(root.parent) == ["Speech.zip", "ravdess"]
    assert not server.asked


def test_another_archive_put_there_by_hand_is_replaced(server: Server, root: Path) -> None:
    root.parent.mkdir()
    root.with_name("Speech.zip").write_bytes(ARCHIVE[:50])
    download.fetch(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS
    assert root.with_name("Speech.zip").read_bytes() == ARCHIVE


def test_a_folder_with_something_in_it_is_left_alone(
    server: Server, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root.mkdir(parents=True)
    (root / "mine.txt").write_text("mine")
    download.fetch(root, server.url, md5(ARCHIVE))
    assert content(root) == {"mine.txt": b"mine"}
    assert [path.name for path in root.parent.iterdir()] == ["ravdess"]
    assert not capsys.readouterr().out
    assert not server.asked


def test_an_empty_folder_is_filled(server: Server, root: Path) -> None:
    root.mkdir(parents=True)
    download.fetch(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS


def test_two_commands_at_once_fetch_once(server: Server, root: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: download.fetch(root, server.url, md5(ARCHIVE)), range(2)))
    assert content(root) == MEMBERS
    assert seen(root.parent) == ["ravdess"]
    assert server.asked == 1


def test_stopped_while_unpacking_it_goes_on_without_fetching_again(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(archive: Path, folder: Path, kind: str) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.unpack_archive", stop)
        with pytest.raises(KeyboardInterrupt):
            download.fetch(root, server.url, md5(ARCHIVE))
    assert not root.exists()
    download.fetch(root, server.url, md5(ARCHIVE))
    assert content(root) == MEMBERS
    assert server.asked == 1


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(DownloadError, match="it takes 2 MB, the disk has 1 MB free") as caught:
        download.fetch(root, server.url, md5(ARCHIVE))
    assert "data.root=<" in str(caught.value)
    assert not server.asked


def test_a_place_that_can_t_be_written_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="could not be put in place") as caught:
        download.fetch(tmp_path / "file" / "ravdess", server.url, md5(ARCHIVE))
    assert "data=synthetic" in str(caught.value)
    assert not server.asked
