"""Blocks of samples from whatever libsndfile reads, one after the other from any place on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser.features.containers import Source

Block = NDArray[np.int16] | NDArray[np.float32]

VALUES = 1 << 18  # of a block, all channels together: it stays in the processor's cache
ENDLESS = 1 << 62  # libsndfile's frames of a stream that does not say how many it has


class Decoder:
    """A file that is being decoded: `rate` in Hz, `channels`, `frames` or None where only its end will tell.

    `torn` once it has ended with an error of the decoder's.

    Raises:
        soundfile.LibsndfileError: if it is no sound file.
    """

    def __init__(self, file: Source) -> None:
        self._sound = _reader()(file.handle, closefd=False)
        self.rate: int = self._sound.samplerate
        self.channels: int = self._sound.channels
        self.frames: int | None = self._sound.frames if self._sound.frames < ENDLESS else None
        self.torn = False

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._sound.close()

    def blocks(self, first: int, last: int) -> Iterator[Block]:
        """Frames `first` to `last`, or to where the file ends, as `(frames, channels)`; the next overwrites the last.

        16 bits come as int16, all else as float32 in [-1, 1].
        """
        import soundfile

        kind = np.int16 if self._sound.subtype == "PCM_16" else np.float32  # floats of 16 bits take four times as long
        block = np.empty((max(1, min(last - first, VALUES // self.channels)), self.channels), dtype=kind)
        at = 0
        if first:  # an MP3's decoder gives slightly other samples after a seek, even to the beginning
            try:
                at = self._sound.seek(first)
            except soundfile.LibsndfileError:  # there is no seeking in it: what lies before is decoded and dropped
                at = 0
        while at < last:
            wanted = block[: (first if at < first else last) - at]
            got = self._read(wanted, at)
            if at >= first:
                yield wanted[:got]
            at += got
            if got < len(wanted):
                break

    def _read(self, block: Block, at: int) -> int:
        """Frames read into the block, which begins at frame `at`; fewer than it takes if the file ends."""
        import soundfile

        try:
            return len(self._sound.read(len(block), out=block))
        except soundfile.LibsndfileError:  # how a FLAC that breaks off ends; what came before is in the block
            self.torn = True
        try:
            return max(0, min(int(self._sound.tell()) - at, len(block) - 1))
        except soundfile.LibsndfileError:
            return 0


@lru_cache
def _reader() -> Any:
    import soundfile

    class Reader(soundfile.SoundFile):  # type: ignore[misc]
        """Only reads: soundfile would seek after every read to where it is, which not every decoder can."""

        def seekable(self) -> bool:
            return False

    return Reader
