"""The speech archive of RAVDESS from Zenodo: fetched, checked, unpacked; the folder appears when it is whole."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from ser.errors import DownloadError

URL = "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip"
MD5 = "bc696df654c87fed845eb13823edef8a"

NOTICE = """\
RAVDESS, licence CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): no commercial use.
Cite: Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS).
PLoS ONE 13(5): e0196391. https://doi.org/10.1371/journal.pone.0196391"""

NEEDED_BYTES = 900_000_000
"""The archive (208 MB) and what is in it, side by side."""

MOST_BYTES, MOST_FILES = 2_000_000_000, 10_000
"""Bounds on what an archive may unpack to; the corpus has 1,440 files in under 0.7 GB."""


def download(root: Path, url: str = URL, md5: str = MD5) -> None:
    """Put the corpus at `root`; nothing is done if that folder has something in it.

    An archive that lies beside the folder, as `<root>.zip` or under its own name, is used instead of the network.
    Work goes on in a hidden folder beside `root`, so a run that was interrupted can be repeated.

    Raises:
        DownloadError: if the archive can't be fetched, is not the one expected, or is not safe to unpack.
    """
    from filelock import FileLock

    root = Path(os.path.abspath(root))
    work = root.with_name(f".{root.name}.download")
    do = _do(root, url)
    print(NOTICE)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(root.with_name(f".{root.name}.lock")):
            if not root.is_dir() or not any(root.iterdir()):  # else another run was quicker
                work.mkdir(exist_ok=True)
                _clear(work)
                archive = _by_hand(root, url, md5) or _fetch(url, md5, work, do)
                _unpack(archive, work / "whole", do)
                os.replace(work / "whole", root)
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise DownloadError(f"the corpus could not be put in place: {error}", where=root, do=do) from error


def places(root: Path, url: str = URL) -> tuple[Path, Path]:
    """Where an archive put there by hand is found."""
    return root.with_name(f"{root.name}.zip"), root.parent / PurePosixPath(url).name


def _by_hand(root: Path, url: str, md5: str) -> Path | None:
    import pooch

    for archive in places(root, url):
        if archive.is_file():
            if (found := pooch.file_hash(str(archive), alg="md5")) != md5:
                raise DownloadError(
                    f"this is not the whole archive: its md5 is {found}, not {md5}",
                    where=archive,
                    do=f"remove or rename it and run the same command again; or {_do(root, url)}",
                )
            return archive
    return None


def _fetch(url: str, md5: str, work: Path, do: str) -> Path:
    """The archive under `work`: pooch gives it its name only after its md5 was found right."""
    import pooch
    import requests

    archive = work / "archive.zip"
    if not archive.exists():
        _require_space(work, NEEDED_BYTES)
    try:
        pooch.retrieve(
            url, f"md5:{md5}", archive.name, work, downloader=pooch.HTTPDownloader(progressbar=True, timeout=30)
        )
    except requests.RequestException as error:
        raise DownloadError(f"the corpus could not be fetched: {error}", where=url, do=do) from error
    except ValueError as error:  # how pooch says that the hash is another
        raise DownloadError(
            f"what was fetched is damaged and was thrown away: {error}", where=url, do=f"try again; or {do}"
        ) from error
    return archive


def _unpack(archive: Path, folder: Path, do: str) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            members = file.infolist()
            size = sum(member.file_size for member in members)
            if unsafe := [member.filename for member in members if _is_unsafe(member)]:
                raise zipfile.BadZipFile(f"it would write outside its folder: {', '.join(unsafe[:5])}")
            if size > MOST_BYTES or len(members) > MOST_FILES:
                raise zipfile.BadZipFile(f"it has {len(members)} files of {size} bytes")
            _require_space(folder.parent, size)
            file.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DownloadError(f"the archive can't be unpacked: {error}", where=archive, do=do) from error


def _is_unsafe(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a link, or its name leaves the folder on any system."""
    name = member.orig_filename
    windows = PureWindowsPath(name)
    leaves = name.startswith("/") or bool(windows.anchor) or ".." in windows.parts
    return leaves or stat.S_ISLNK(member.external_attr >> 16)


def _require_space(folder: Path, size: int) -> None:
    if (free := shutil.disk_usage(folder).free) < size:
        raise DownloadError(
            f"{size / 1e6:.0f} MB are needed on the disk, {free / 1e6:.0f} MB are free",
            where=folder,
            do="make room, or choose another place with data.root=<folder>",
        )


def _clear(work: Path) -> None:
    """Remove what a killed run left behind, but for an archive that was found right."""
    for left in work.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != "archive.zip":
            left.unlink()


def _do(root: Path, url: str) -> str:
    by_hand, own_name = places(root, url)
    return (
        f"fetch {url} with a browser and put it at {by_hand} (or {own_name}), then run the same command again; "
        "or give data.root=<a copy of the corpus>; or try everything without it with data=synthetic"
    )
