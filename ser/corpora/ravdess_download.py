"""RAVDESS's speech archive from Zenodo: fetched, checked, unpacked; the folder appears when it is whole."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path, PurePosixPath

from ser.errors import DownloadError
from ser.locks import holding

URL = "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip"
MD5 = "bc696df654c87fed845eb13823edef8a"

NOTICE = """\
RAVDESS, licence CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): no commercial use.
Cite: Livingstone SR, Russo FA (2018). The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS).
PLoS ONE 13(5): e0196391. https://doi.org/10.1371/journal.pone.0196391"""

NEEDED_BYTES = 900_000_000
"""The archive (208 MB) and what is in it, side by side."""


def fetch(root: str | os.PathLike[str], url: str = URL, md5: str = MD5) -> None:
    """Put the corpus at `root`; nothing is done if that folder has something in it.

    The archive is fetched to beside `root`, unless it is there already, and removed if this has fetched it.

    Raises:
        DownloadError: if the archive can't be fetched, is not the one expected, or there is no room for the corpus.
    """
    import pooch

    root = Path(os.path.abspath(root))
    archive = root.parent / PurePosixPath(url).name
    if root.is_dir() and any(root.iterdir()):
        return
    print(NOTICE)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with holding(root.with_name(f".{root.name}.lock"), wait=True):
            if root.is_dir() and any(root.iterdir()):  # another run was quicker
                return
            if (free := shutil.disk_usage(root.parent).free) < NEEDED_BYTES:
                raise OSError(f"it takes {NEEDED_BYTES / 1e6:.0f} MB, the disk has {free / 1e6:.0f} MB free")
            was_there = archive.exists()
            downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30)
            pooch.retrieve(url, f"md5:{md5}", archive.name, root.parent, downloader=downloader)
            with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{root.name}.") as folder:
                shutil.unpack_archive(archive, Path(folder, "whole"), "zip")
                os.replace(Path(folder, "whole"), root)
            if not was_there:
                archive.unlink()
    except (OSError, ValueError) as error:  # ValueError is how pooch says that the hash is another
        raise DownloadError(
            f"the corpus could not be put in place: {error}",
            where=root,
            do=f"fetch {url} with a browser, put it at {archive} (md5 {md5}) and run the same command again; "
            "or give data.root=<a copy of the corpus>; or try everything without it with data=synthetic",
        ) from error
