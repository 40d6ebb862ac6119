"""Work spread over the cores."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(work: Callable[[Sequence[Item]], Result], items: Sequence[Item], most: int) -> Iterator[Result]:
    """`work` of up to `most` items in a row, in their order, by one thread for each core that this process may use.

    Threads that hand over every item by itself would wait for each other. Torch starts no threads of its own in them.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    size = max(1, min(most, math.ceil(len(items) / cores)))
    parts = [items[first : first + size] for first in range(0, len(items), size)]
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield from pool.map(work, parts)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # threads yet to come would take over the 1
