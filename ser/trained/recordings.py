"""What a recogniser is given: the recordings below folders, and samples that are in memory already."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor

from ser.corpora.files import UNREADABLE, files
from ser.errors import DataError
from ser.features import audio

SUFFIXES = {".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".w64", ".wav", ".wave"}


def find(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """The files to read, each once, those of a folder at any depth; a folder without any stands for itself.

    Returns:
        The files, and those in the folders that hold sound in a form that can't be read here.
    """
    found: dict[str, None] = {}  # a set that keeps its order
    left_out: dict[str, None] = {}
    for path in paths:
        inside = [file for file, _ in files(path, {*SUFFIXES, *UNREADABLE})] if os.path.isdir(path) else []
        other = {file for file in inside if os.path.splitext(file)[1].lower() in UNREADABLE}
        left_out.update(dict.fromkeys(sorted(other)))
        found.update(dict.fromkeys([file for file in inside if file not in other] or ([] if other else [path])))
    return list(found), list(left_out)


def wave_of(samples: Any, rate: float | None) -> tuple[audio.Wave, int]:
    """Samples as a file of them would be read: the mono wave `(samples,)`, full scale 1, and its rate in Hz.

    Args:
        samples: `(samples,)` or `(samples, channels)`, array or tensor; integers have the full scale of their type.
        rate: in Hz.

    Raises:
        DataError: if it is not such an array, there is no usable rate, or no sound is in it.
    """
    if rate is None:
        raise DataError("samples without a rate", do="give it in Hz: model(samples, rate=16000)")
    if rate not in audio.RATES:
        raise DataError(f"no rate of recordings: {rate} Hz", do="give a whole number from 4000 to 384000")
    values = np.asarray(samples.detach().cpu() if isinstance(samples, Tensor) else samples)
    columns = values[:, None] if values.ndim == 1 else values
    if values.dtype.kind not in "iuf" or columns.ndim != 2 or 0 < len(columns) < columns.shape[1]:
        what = f"not samples of a recording: {values.dtype} of shape {values.shape}"
        raise DataError(what, do="give an array of numbers, (samples,) or (samples, channels)")
    wave = columns.astype(np.float32)
    if values.dtype.kind in "iu":
        half = 2.0 ** (8 * values.dtype.itemsize - 1)
        wave = wave / half - (values.dtype.kind == "u")
    wave = wave.mean(axis=1)
    try:
        audio.check(wave, int(rate))
    except audio.RecordingError as error:
        raise DataError(str(error)) from None
    return wave, int(rate)
