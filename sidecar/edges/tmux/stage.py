"""A throw-away tmux server: private, without configuration, and certain to end.

It is our own child, so its pid is never in doubt, and where ``setpriv`` is installed the kernel
ends it together with us. All it has lies in one folder of a fixed name, by which the next run finds
what a crash has left. Panes end with their server, which holds the other end of their terminals.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import select
import shutil
import signal
import stat
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sidecar.clock import Clock
from sidecar.config import TmuxSettings
from sidecar.edges.aside import private_folder
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner, end_client
from sidecar.edges.tmux.server import find_server
from sidecar.errors import TmuxAbsent, TmuxRefused, TmuxUnknown, UnsafeState

_SOCKET = "tmux"
_LONGEST_SOCKET = 107
_START_SECONDS = 5.0
_ANSWER_SECONDS = 5.0
_END_MILLISECONDS = 2000
_GRACE = 0.5
_POLL = 0.002
_NICE = 10
_FIRST_TO_GO = "1000"
"""Where memory runs out, the kernel is to take this server before any that somebody needs."""
_HISTORY_LIMIT = 20_000
_NO_ROOM = "fork failed"
_WITH_US = ("--pdeathsig", "KILL", "--")

MakeDoor = Callable[[TmuxRunner, Path], TmuxDoor]
"""(runner, folder for scrollback) -> the door to the server that the runner speaks to."""


def stage_folder(state: Path) -> Path:
    """Where the stage of this state folder stands: in it, unless the socket's path would be too long."""
    folder = state / "rehearsal"
    if len(os.fsencode(folder / _SOCKET)) <= _LONGEST_SOCKET:
        return folder
    digest = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
    return Path(f"/tmp/tmux-sidecar-{os.getuid()}-{digest}")


class Stage:
    """Implements :class:`sidecar.flow.ports.Stage`. One server at a time."""

    def __init__(
        self, folder: Path, clock: Clock, environment: Mapping[str, str], make_door: MakeDoor
    ) -> None:
        """``folder`` belongs to the stage alone: whatever is in it is removed."""
        self._folder = folder
        self._clock = clock
        self._make_door = make_door
        # What programs need to be found and to start, and nothing that a user has set for them.
        given = {"PATH": environment.get("PATH", os.defpath), "HOME": str(folder), "SHELL": "/bin/sh"}
        settings = TmuxSettings(socket_path=str(folder / _SOCKET), timeout=_ANSWER_SECONDS)
        self._runner = TmuxRunner(settings, given)

    async def clear(self) -> bool:
        """End and remove what an earlier run has left. Whether there was anything."""
        return await asyncio.to_thread(self._clear)

    @asynccontextmanager
    async def open(self, first_pane: int) -> AsyncIterator[TmuxDoor]:
        """A fresh server, for as long as the context lasts. ``first_pane`` is its pane-base-index.

        Raises:
            TmuxUnknown: it did not start, or had no room for more processes.
            TmuxRefused: it died of what was done in the context.
            UnsafeState: its folder belongs to somebody else.
        """
        server = None
        try:
            # A thread goes on when we are cancelled, and would make the folder again that is being removed.
            await _to_the_end(asyncio.to_thread(self._furnish, first_pane))
            server = await self._start()
            yield self._make_door(self._runner, self._folder / "scrollback")
        except TmuxUnknown as error:
            if server is not None and await _has_crashed(server):
                raise TmuxRefused(f"the throw-away tmux server died of it: {error}") from error
            raise
        except TmuxRefused as error:
            # The session that is rehearsed still has its own processes and terminals.
            if _NO_ROOM in str(error):
                raise TmuxUnknown(
                    f"a second set of panes could not be started: {error}",
                    hint="The machine or this user may be out of processes or terminals.",
                ) from error
            raise
        finally:
            await _to_the_end(self._strike(server))

    async def _start(self) -> asyncio.subprocess.Process:
        setpriv = shutil.which("setpriv", path=self._runner.environment["PATH"])
        guard = (setpriv, *_WITH_US) if setpriv else ()
        server = await self._runner.start(
            [*guard, *self._runner.argv("-f", str(self._folder / "conf"), "-D")],
            environment=self._runner.environment,
            cwd=str(self._folder),
            own_session=True,
        )
        try:
            _put_behind_others(server.pid)
            await self._answers(server)
        except BaseException:
            await asyncio.shield(end_client(server))
            raise
        return server

    async def _answers(self, server: asyncio.subprocess.Process) -> None:
        deadline = self._clock.monotonic() + _START_SECONDS
        while server.returncode is None and self._clock.monotonic() < deadline:
            # The socket is there a moment before anybody listens.
            if self._runner.socket.exists():
                with contextlib.suppress(TmuxAbsent):
                    await self._runner.call("show-options", "-s", "exit-empty")
                    return
            await self._clock.sleep(_POLL)
        raise TmuxUnknown(
            "the throw-away tmux server did not start", hint="Nothing depends on it; it is tried again."
        )

    async def _strike(self, server: asyncio.subprocess.Process | None) -> None:
        if server is not None:
            await end_client(server)
        await asyncio.to_thread(self._clear)

    def _furnish(self, first_pane: int) -> None:
        self._clear()
        with contextlib.suppress(OSError):
            if self._folder.lstat().st_uid == os.getuid():
                private_folder(self._folder)
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir(mode=0o700, parents=True)
        if not self._is_ours():
            raise UnsafeState(
                f"{self._folder} is not a private folder of ours", hint="Move away what is there."
            )
        (self._folder / "conf").write_text(
            f"set-option -g history-limit {_HISTORY_LIMIT}\n"
            f"set-window-option -g pane-base-index {first_pane}\n"
        )

    def _clear(self) -> bool:
        if not self._is_ours():
            return False
        _end_server(self._runner.socket)
        shutil.rmtree(self._folder, ignore_errors=True)
        return True

    def _is_ours(self) -> bool:
        try:
            facts = self._folder.lstat()
        except OSError:
            return False
        return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o077


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await it whole, even when cancelled in its middle."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _has_crashed(server: asyncio.subprocess.Process) -> bool:
    """Whether it has ended by itself. SIGKILL says more about the machine's memory than about the work."""
    try:
        # Its client may hear of its end before we do.
        async with asyncio.timeout(_GRACE):
            return await server.wait() != -signal.SIGKILL
    except TimeoutError:
        return False


def _put_behind_others(pid: int) -> None:
    """Low priority for the server and all that it starts."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _NICE)
        Path(f"/proc/{pid}/oom_score_adj").write_text(_FIRST_TO_GO)


def _end_server(socket: Path) -> None:
    """Kill the tmux server of this user that was bound to this very socket, and see it gone."""
    pid = find_server(socket)
    if not pid:
        return
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Asked again with the descriptor in hand: until then the pid might have become another's.
        if find_server(socket) == pid:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            ended = select.poll()
            ended.register(descriptor, select.POLLIN)
            ended.poll(_END_MILLISECONDS)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)
