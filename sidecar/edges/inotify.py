"""The kernel's word that something in a folder has changed: a descriptor that becomes readable.

Three calls of the C library, and no more than "something": whoever waits looks for himself. The
events of one folder are never told apart, so that none can be misread or missed in a full queue.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

_ATTRIB = 0x4
_MOVED = 0x40 | 0x80
_CREATE = 0x100
_DELETE = 0x200
_DELETE_SELF = 0x400
_MOVE_SELF = 0x800
_ONLYDIR = 0x0100_0000
"""Numbers of the flags in the kernel's inotify.h."""
ENTRIES = _CREATE | _DELETE | _MOVED | _ATTRIB | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
"""Whatever happens to the folder, or to the name or mode of something in it."""
ITSELF = _DELETE_SELF | _MOVE_SELF | _ONLYDIR
"""The folder is removed or goes by another name."""
_A_QUEUE = 65536


class Inotify:
    """One queue. Closing it waits for the kernel, so it is kept for as long as it may be needed."""

    def __init__(self) -> None:
        """
        Raises:
            OSError: this user has no more queues, or the process no more descriptors.
        """
        self._library = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._checked(self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch(self, folder: str, mask: int) -> None:
        """Tell of this folder from now on; a mask given before is replaced.

        Raises:
            OSError: it is not there, is no folder, or this user has no more watches.
        """
        self._checked(self._library.inotify_add_watch(self.descriptor, os.fsencode(folder), mask))

    def drain(self) -> None:
        """Take what is in the queue, so that the descriptor is readable only for what comes next."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, _A_QUEUE)

    def close(self) -> None:
        os.close(self.descriptor)

    @staticmethod
    def _checked(answer: int) -> int:
        if answer < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return answer
