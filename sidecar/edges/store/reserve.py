"""Space that is kept for the record: a file beside the database that is given up when the disk is full.

What is done about a failure can then still be written down. Checkpoints, which are large and come
again, never take it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

FILE = "reserve"
MOST = 2 << 20
"""Bytes. A recovery's record takes about a hundred kilobytes of the write-ahead log."""
_LEAST = 64 << 10
_SHARE = 4
"""It takes no more than one part in so many of the space that is left."""
_BLOCK = 64 << 10


def is_full(error: BaseException) -> bool:
    """Whether SQLite has no room for the write."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_FULL


class Reserve:
    """The file. Nothing here raises: without a reserve the service runs all the same."""

    def __init__(self, folder: Path, most: int = MOST) -> None:
        self._file = folder / FILE
        self._most = most
        self.size = self._found()
        """Bytes that are kept now; 0 when they were given up, or could not be had."""

    def make(self) -> bool:
        """Set the space aside, if there is enough beside it. Whether it was made just now."""
        wanted = min(self._most, self._free() // _SHARE)
        if self.size or wanted < _LEAST:
            return False
        try:
            self._write(wanted)
        except OSError:
            self._remove()
            return False
        self.size = wanted
        return True

    def give_up(self) -> bool:
        """Give the space back to the disk. False if there was none."""
        if not self.size:
            return False
        self._remove()
        self.size = 0
        return True

    def _found(self) -> int:
        try:
            size = self._file.stat().st_size
        except OSError:
            return 0
        if size < _LEAST:
            self._remove()
            return 0
        return size

    def _free(self) -> int:
        try:
            facts = os.statvfs(self._file.parent)
        except OSError:
            return 0
        return facts.f_bavail * facts.f_frsize

    def _write(self, size: int) -> None:
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            while size > 0:
                # Zeros, or the same again, would take no room on a disk that packs them.
                size -= file.write(os.urandom(min(size, _BLOCK)))

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self._file.unlink()
