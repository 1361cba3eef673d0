"""When the tmux socket comes, goes, or changes hands or mode; nothing else tells of that.

inotify tells within a millisecond, also when the folder or one above it is wiped or renamed. Where
the kernel gives no queue or no watch, a look at the file every few hundredths of a second does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.inotify import ENTRIES, ITSELF, Inotify

_POLL = 0.075
"""Seconds between two looks at the file where the kernel does not tell."""
_REST = 0.001
_ATTACHED = 0o111
"""tmux sets these bits of its socket's mode while somebody is attached."""

_Facts = tuple[int, int, int] | str
"""Which file it is, whose, and who may use it; or why there is none."""


class SocketWatch:
    """Watches one socket file and the folders that lead to it."""

    def __init__(self, socket: Path, clock: Clock) -> None:
        self._socket = socket
        self._clock = clock
        self._inotify: Inotify | None = None
        self._known: object = None
        self._started = False
        self.wiped = False
        """The folder has gone, and no socket has been there since; tmux's own clients make it anew."""

    async def changed(self) -> None:
        """Wait until the file or its folder is not what it was at the last call's end."""
        while True:
            # Watched first, looked at then: what happens in between is seen at least once.
            told = self._watch()
            found = _state(self._socket)
            self.wiped = isinstance(found[1], str) or (self.wiped and isinstance(found[0], str))
            if self._started and found != self._known:
                self._known = found
                return
            self._started, self._known = True, found
            if told:
                await self._stirred()
                # Whatever else goes on in the folder, it is not looked at more often than this.
                await self._clock.sleep(_REST)
            else:
                await self._clock.sleep(_POLL)

    def close(self) -> None:
        """Give the kernel's queue back."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _watch(self) -> bool:
        """Watch the nearest folder that is there for what is in it, those above it for themselves."""
        try:
            if self._inotify is None:
                self._inotify = Inotify()
            nearest, *others = filter(os.path.isdir, self._socket.parents)
            self._inotify.watch(str(nearest), ENTRIES)
        except OSError:
            return False
        for folder in others:
            # One above it may be closed to us; the tick sees what happens there.
            with contextlib.suppress(OSError):
                self._inotify.watch(str(folder), ITSELF)
        return True

    async def _stirred(self) -> None:
        assert self._inotify is not None
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        loop.add_reader(self._inotify.descriptor, told.set)
        try:
            await told.wait()
        finally:
            loop.remove_reader(self._inotify.descriptor)
        self._inotify.drain()


def _state(socket: Path) -> tuple[_Facts, _Facts]:
    return _facts(socket), _facts(socket.parent)


def _facts(path: Path) -> _Facts:
    try:
        found = os.stat(path)
    except OSError as error:
        return error.strerror or "not there"
    return found.st_ino, found.st_uid, found.st_mode & ~_ATTACHED
