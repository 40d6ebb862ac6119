"""What the header of a sound file promises of its length, and how much of that the file holds.

Decoders quietly stop where a file does, and some read nothing of a stream whose encoder could not know its length.
"""

from __future__ import annotations

import io
import os
import re
import struct
from typing import Any

from ser.features.chunks import LAYOUTS, Promise, chunked, held, lacking, shortness

HEAD = 1024  # bytes in which a header without chunks lies
LARGEST_PAGE = 27 + 255 + 255 * 255  # bytes of an Ogg page
LAST_PAGE = 4  # the flag of an Ogg stream's last page


COUNTS = {
    b"2BIT": (26, ">I"),
    b"ALawSoundFile**": (18, ">I"),
    b"\x01\x04": (30, "<I"),
    b"MATLAB 5.0 MAT-file, written by libsndfile": (236, "<I"),
    struct.pack("<5I", 0, 1, 1, 0, 11) + b"samplerate": (47, "<I"),
}
"""Where headers of a fixed form count their frames: AVR's, Psion's, Akai's, libsndfile's two of MATLAB."""


class Source(io.FileIO):
    """A file as a decoder is to see it, which never raises, since it is called from C.

    `patches` is as in `Promise`. The size of an `uncounted` MP3 is not told to its decoder, which would guess a length
    by it and the first frame, and leave out the rest of a stream of varying bit rate; without it, it counts.
    """

    patches: tuple[tuple[int, bytes], ...] = ()
    uncounted = False
    _asked = False

    @property
    def handle(self) -> Any:
        """What soundfile may open: the file's number, unless what is in the file is not all to be taken as it is.

        Not its name, from which libsndfile would conclude what is in it. (In Windows, numbers are a library's own.)
        """
        return self if self.patches or self.uncounted or os.name == "nt" else self.fileno()

    def readinto(self, buffer: Any) -> int:
        """As of any file, but with the patches; nothing where it can't be read."""
        at, view = self.tell(), memoryview(buffer).cast("B")
        try:
            count = super().readinto(view) or 0
        except OSError:
            return 0
        for place, value in self.patches:
            for here in range(max(at, place), min(at + count, place + len(value))):
                view[here - at] = value[here - place]
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file, but without leaving it."""
        if whence == os.SEEK_END and self.uncounted:
            if self._asked:
                return self.tell()
            self._asked = True  # by libsndfile itself, which does so before its decoder
        try:
            return super().seek(offset, whence)
        except (OSError, OverflowError):  # to a place that only a damaged header can mean
            return self.tell()


def opened(path: str | os.PathLike[str]) -> tuple[Source, Promise]:
    """A file at its beginning, and what its header promises.

    Raises:
        OSError: if it can't be read.
    """
    file = Source(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)))
    promise = examine(file)
    file.patches, file.uncounted = promise.patches, promise.uncounted
    file.seek(0)
    return file, promise


def examine(file: io.FileIO) -> Promise:
    """Read the header, whatever it is of; one that is not known promises nothing."""
    size = os.fstat(file.fileno()).st_size
    head = file.read(12)
    if (layout := LAYOUTS.get(head[:4])) is not None:
        return chunked(file, size, layout)
    if head[:4] == b"fLaC":  # its decoder says itself where it breaks off
        return Promise()
    file.seek(0)
    return _other(file, size, file.read(HEAD))


def _other(file: io.FileIO, size: int, head: bytes) -> Promise:
    if head[:4] in (b".snd", b"dns.") and len(head) >= 24:
        order = ">" if head[:1] == b"." else "<"
        begin, length = struct.unpack_from(f"{order}2I", head, 4)
        return held(length, begin, size, 8, f"{order}I")
    if head[:4] == b"OggS":
        return _ogg(file, size)
    if head[:19] == b"Creative Voice File" and len(head) > 30 and head[26] in (1, 9):
        length = int.from_bytes(head[27:30], "little")
        return lacking(30 + length - size, length)
    if head[:7] == b"NIST_1A" and (count := re.search(rb"sample_count -i (\d{1,12})\b", head)):
        return Promise(frames=int(count[1]))
    for magic, (place, code) in COUNTS.items():
        if head.startswith(magic) and len(head) >= place + 4:
            return Promise(frames=struct.unpack_from(code, head, place)[0])
    return _mp3(file, size, head)


def _ogg(file: io.FileIO, size: int) -> Promise:
    """Pages tell in samples where they end; the last one is marked, though not by those who record a live stream."""
    begin = max(0, size - 2 * LARGEST_PAGE)
    file.seek(begin)
    tail = file.read()
    place = tail.rfind(b"OggS")
    if len(tail) - place < 27 or place < 0:  # not even a page's head
        return Promise(torn=True)
    marks, reached, segments = tail[place + 5], struct.unpack_from("<q", tail, place + 6)[0], tail[place + 26]
    sizes = tail[place + 27 : place + 27 + segments]
    short = place + 27 + segments + sum(sizes) - len(tail)
    if short <= 0 and len(sizes) == segments:
        return Promise(note="" if marks & LAST_PAGE else "without a page that ends the stream")
    before = tail.rfind(b"OggS", 0, place)
    until = struct.unpack_from("<q", tail, before + 6)[0] if before >= 0 else -1
    if len(sizes) < segments or not marks & LAST_PAGE or not 0 <= until < reached:
        return Promise(torn=True)
    return Promise(reached - until, reached, note=shortness(short))


def _mp3(file: io.FileIO, size: int, head: bytes) -> Promise:
    if head[:3] == b"ID3" and len(head) > 10:
        a, b, c, d = head[6:10]
        file.seek(10 + (a << 21) + (b << 14) + (c << 7) + d)
        head = file.read(64)
    if len(head) < 64 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return Promise()
    place = max(head.find(b"Xing", 0, 40), head.find(b"Info", 0, 40))
    if place < 0:
        return Promise(uncounted=b"VBRI" not in head[:40])
    has_frames, has_bytes = head[place + 7] & 1, head[place + 7] & 2
    if not has_bytes:
        return Promise(uncounted=not has_frames)
    whole = int(struct.unpack_from(">I", head, place + (12 if has_frames else 8))[0])
    return lacking(whole - size, whole)  # encoders differ in whether a tag before the frames counts
