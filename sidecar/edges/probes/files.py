"""Reading files of which nothing is known. Blocks, as long as a disk that does not answer; never on a pipe.

What is opened is only looked at first: opening a pipe waits for whoever writes, and opening a device may
do something.
"""

from __future__ import annotations

import os
import stat


class NoFile(OSError):
    """It is there, and is no regular file."""


def facts(path: str) -> os.stat_result:
    """What the file system tells of it; symbolic links are followed.

    Raises:
        OSError: it is not there, or cannot be reached.
    """
    return os.stat(path)


def beginning(path: str, most: int) -> bytes:
    """So many bytes at most, from where it begins.

    Raises:
        NoFile: it is a folder, a pipe, a socket or a device.
        OSError: it cannot be read.
    """
    return _read(path, most, from_end=False)


def end(path: str, most: int) -> bytes:
    """So many bytes at most, up to where it ends. Raises as :func:`beginning`."""
    return _read(path, most, from_end=True)


def _read(path: str, most: int, *, from_end: bool) -> bytes:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        about = os.fstat(place)
        if not stat.S_ISREG(about.st_mode):
            raise NoFile(0, "is no regular file", path)
        # By its descriptor, since another thing may have got the name meanwhile.
        descriptor = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if from_end and about.st_size > most:
                os.lseek(descriptor, -most, os.SEEK_END)
            return _all(descriptor, most)
        finally:
            os.close(descriptor)
    finally:
        os.close(place)


def _all(descriptor: int, most: int) -> bytes:
    parts = bytearray()
    while len(parts) < most and (part := os.read(descriptor, most - len(parts))):
        parts += part
    return bytes(parts)
