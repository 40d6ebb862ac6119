"""Containers made of chunks, each with a name and a size: what they promise of the length of their samples.

Decoders quietly stop where a file does, and some read nothing of a stream whose encoder could not know its length.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

MOST_CHUNKS = 4096  # before the samples; a file of more is none
UNKNOWN = (0x7F000000, 1 << 31, 1 << 32)  # bytes: near these lie what SoX, MPlayer, FFmpeg and others write of streams
NEAR = 8192


@dataclass(frozen=True)
class Promise:
    """What a header says of the length, held against the file.

    Of `whole` bytes, or samples, that it promises, so many are `missing` at the end; `torn`: nothing tells how many.
    `frames` is how many it counts, 0 if it counts none. `patches` are bytes to be read in place of a stream's, by their
    place, so that all that is there is read. `uncounted`: an MP3 that does not say how many frames it has. `note` is a
    short phrase, "" if nothing is amiss.
    """

    missing: int = 0
    whole: int = 0
    torn: bool = False
    frames: int = 0
    patches: tuple[tuple[int, bytes], ...] = ()
    uncounted: bool = False
    note: str = ""


@dataclass(frozen=True)
class Layout:
    """How chunks lie in a container: from byte `first` on, each a name of `name` bytes and a size, then so many bytes.

    `size` is the struct code of sizes, which count name and size too if they are `inclusive`. Chunks begin at multiples
    of `step` bytes. Those called as in `samples` hold the samples.
    """

    first: int
    size: str
    samples: tuple[bytes, ...] = (b"data",)
    name: int = 4
    step: int = 2
    inclusive: bool = False

    @property
    def head(self) -> int:
        """Bytes of name and size."""
        return self.name + struct.calcsize(self.size)


LAYOUTS = {
    b"RIFF": Layout(12, "<I"),
    b"RIFX": Layout(12, ">I"),
    b"RF64": Layout(12, "<I"),
    b"FORM": Layout(12, ">I", (b"SSND", b"BODY")),
    b"caff": Layout(8, ">q", step=1),
    b"riff": Layout(40, "<Q", (b"data\xf3\xac\xd3\x11\x8c\xd1\0\xc0O\x8e\xdb\x8a",), 16, 8, inclusive=True),
}
"""Of WAV in either byte order and above 4 GB, AIFF and Amiga's, CAF, W64."""

WIDE = 28  # where the first chunk of an RF64 says how many bytes of samples there are


def chunked(file: io.FileIO, size: int, layout: Layout) -> Promise:
    """What a file of `size` bytes promises, and keeps, of the bytes of its samples."""
    at = layout.first
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        if len(head := file.read(layout.head)) < layout.head:
            break
        length = struct.unpack_from(layout.size, head, layout.name)[0] - (layout.head if layout.inclusive else 0)
        begin = at + layout.head
        if head[: layout.name] in layout.samples:
            if length == 0xFFFFFFFF and (wide := _wide(file)) is not None:
                return held(wide, begin, size, WIDE, "<Q")
            if length == 0 and _chunks_only(file, begin, size, layout):
                break
            return held(length, begin, size, at + layout.name, layout.size, layout.head if layout.inclusive else 0)
        if length < 0:
            break
        at = begin + length + -length % layout.step
    return Promise()


def _chunks_only(file: io.FileIO, at: int, size: int, layout: Layout) -> bool:
    """Whether chunks and nothing else lie from there to the end: no samples then precede them."""
    for _ in range(MOST_CHUNKS):
        if at >= size:
            return True
        file.seek(at)
        head = file.read(layout.head)
        if len(head) < layout.head or not head[:4].isascii() or not head[:4].decode().isprintable():
            return False
        length = struct.unpack_from(layout.size, head, layout.name)[0] - (layout.head if layout.inclusive else 0)
        if length < 0 or at + layout.head + length > size:
            return False
        at += layout.head + length + -length % layout.step
    return False


def _wide(file: io.FileIO) -> int | None:
    """The bytes of samples of an RF64 whose size did not fit."""
    file.seek(0)
    head = file.read(WIDE + 8)
    if head[:4] == b"RF64" and head[12:16] == b"ds64" and len(head) == WIDE + 8:
        return int(struct.unpack_from("<Q", head, WIDE)[0])
    return None


def held(length: int, begin: int, size: int, place: int, code: str, more: int = 0) -> Promise:
    """Of `length` bytes after `begin`, said at `place` in this struct code, together with `more`."""
    there = size - begin
    unknown = length <= 0 or length >= 1 << 61 or any(abs(length - edge) <= NEAR for edge in UNKNOWN)
    if unknown and there > 0 and not 0 < length <= there:
        largest = (1 << 8 * struct.calcsize(code)) - 1
        return Promise(patches=((place, struct.pack(code, min(there + more, largest))),))
    return lacking(length - max(there, 0), length)


def lacking(short: int, whole: int) -> Promise:
    """Of a file that is so many bytes short, if it is, of the whole that was promised."""
    return Promise(min(short, whole), whole, note=shortness(short)) if short > 0 and whole > 0 else Promise()


def shortness(count: int) -> str:
    """A note that so many bytes are missing."""
    return f"{count} byte{'s' if count > 1 else ''} short at its end"
