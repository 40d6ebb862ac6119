"""What the process does with memory that it frees."""

from __future__ import annotations

import ctypes
import os

MMAP_MAX, TRIM_THRESHOLD = -4, -1  # settings in glibc's malloc.h
KEPT = 1 << 30  # bytes free at the heap's end that are not given back: more than a step of training takes


def keep_freed() -> None:
    """Keep freed memory in the process, where the C library is glibc.

    Tensors of some hundred kilobytes would be given back to the system, and every page of the next one cleared anew.
    Source: mallopt(3).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, KEPT)
