"""One process at a time in a folder."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""How a file system says that it has none, as some of NFS do."""

log = logging.getLogger(__name__)


@contextmanager
def holding(path: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of this file; the file is made, and stays.

    Args:
        path: in a folder that is there.
        wait: for another process that holds it, however long.

    Yields:
        Whether it is held; not where the file system has no locks: then one has to do without.

    Raises:
        BlockingIOError: if another process holds it, and nobody waits.
        OSError: if the file can't be made.
    """
    from filelock import FileLock, Timeout

    lock, held = FileLock(path, fallback_to_soft=False), True
    try:
        lock.acquire(blocking=wait)
    except Timeout as error:
        raise BlockingIOError(errno.EAGAIN, "another process holds it", str(path)) from error
    except OSError as error:
        held = False
        if isinstance(error, PermissionError) and path.exists() and os.access(path.parent, os.W_OK):
            log.warning("%s is another user's: do not start two commands there at once", path)
        elif error.errno in NO_LOCKS:
            log.warning("the file system of %s has no locks: do not start two commands there at once", path.parent)
        else:
            raise
    try:
        yield held
    finally:
        lock.release()
