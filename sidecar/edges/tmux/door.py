"""Everything the corridor asks of the live tmux server, in one place."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.tmux import birth, prompt
from sidecar.edges.tmux.capture import capture_script, new_mark, read_capture
from sidecar.edges.tmux.rebuild import LayoutCheck, rebuild_script, scrollback_key
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.server import find_server
from sidecar.edges.tmux.snapshot import LOOK_COMMAND, parse_look
from sidecar.edges.tmux.text import command, literal
from sidecar.errors import Permanent, SidecarError, Temporary, TmuxAbsent, TmuxRefused, TmuxUnknown
from sidecar.model.plan import Resumption
from sidecar.model.record import Capture
from sidecar.model.session import Look, Presence, Session, SessionImage

_REBUILD_SECONDS = 30.0
_SOCKET_SECONDS = 2.0
_POLL = 0.005
_DEATH_POLLS = 60


class TmuxDoor:
    """Implements :class:`sidecar.flow.ports.Tmux` for one server."""

    def __init__(
        self,
        runner: TmuxRunner,
        clock: Clock,
        *,
        boot_id: str,
        complete: Callable[[Look], Look],
        in_front: Callable[[int], bool],
        valid_layout: LayoutCheck,
        scratch: Path,
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._boot_id = boot_id
        self._complete = complete
        self._in_front = in_front
        self._valid_layout = valid_layout
        self._scratch = scratch
        self._birth = asyncio.Lock()

    async def look(self) -> Look:
        """One full observation; absent and unknown are answers, not errors."""
        taken = self._clock.monotonic()
        try:
            raw = await self._runner.call(*LOOK_COMMAND)
        except TmuxAbsent as error:
            return Look(Presence.ABSENT, taken, reason=str(error))
        except SidecarError as error:
            return Look(Presence.UNKNOWN, taken, reason=str(error))
        return await asyncio.to_thread(lambda: self._complete(parse_look(raw, taken, self._boot_id)))

    async def capture(self, session: Session, look: Look, lines: int, taken: float, private: bool) -> Capture:
        """Everything a checkpoint needs, in one client.

        Raises:
            TmuxAbsent, TmuxUnknown: the server went away; nothing was captured.
        """
        mark = new_mark()
        script = capture_script(session, 0 if private else lines, mark)
        raw = await self._source(script, seconds=max(self._runner.settings.timeout, 10.0))
        cwd = _folder_of(look.server.pid) if look.server else "/"
        return await asyncio.to_thread(
            read_capture, raw, mark, session, look, taken=taken, cwd=cwd, private=private
        )

    async def arm(self, windows: Sequence[str]) -> None:
        """Keep the panes of these windows when their process fails."""
        lines = [
            line
            for window in windows
            for line in (
                command("set-option", "-w", "-t", window, "remain-on-exit", "failed"),
                command("set-option", "-w", "-t", window, "@sidecar_armed", "1"),
            )
        ]
        await self._tolerant("\n".join(lines))

    async def disarm(self, windows: Sequence[str]) -> None:
        """Undo :meth:`arm` where it is ours."""
        lines = []
        for window in windows:
            undo = " ; ".join(
                (
                    command("set-option", "-w", "-u", "-t", window, "remain-on-exit"),
                    command("set-option", "-w", "-u", "-t", window, "@sidecar_armed"),
                )
            )
            lines.append(command("if-shell", "-F", "-t", window, "#{@sidecar_armed}", undo))
        await self._tolerant("\n".join(lines))

    async def respawn(self, pane: str, pid: int, cwd: str) -> bool:
        """Start a dead pane's command again, only while ``pid`` is its dead process."""
        folder = existing_folder(cwd)
        return await self._while_dead(
            pane, pid, command("respawn-pane", "-k", "-c", literal(folder), "-t", pane)
        )

    async def close_pane(self, pane: str, pid: int) -> bool:
        """Close a pane, only while it is dead and ``pid`` was its process."""
        return await self._while_dead(pane, pid, command("kill-pane", "-t", pane))

    async def enter(self, pane: str, pid: int, resumption: Resumption) -> None:
        """Type a command line into the pane's shell once it waits for input."""
        tty = (await self._runner.call("display-message", "-p", "-t", pane, "#{pane_tty}")).decode().strip()
        await prompt.enter(self._runner, self._clock, pane, pid, tty, resumption, self._in_front)

    async def rebuild(self, image: SessionImage, scrollbacks: Mapping[str, bytes]) -> str:
        """Build the session, all or nothing, in a server that outlives us. Returns its session id.

        Raises:
            TmuxRefused: tmux would not build it; what had been built is gone again.
            NoBirthplace: there is no server, and one started from here would not last.
        """
        files = await asyncio.to_thread(self._write_scrollbacks, image, scrollbacks)
        script = rebuild_script(_with_existing_folders(image), files, self._valid_layout)
        async with self._birth:
            try:
                if await self.live_server():
                    answer = await self._built(script)
                else:
                    answer = await self._born(image, script)
            except SidecarError:
                await asyncio.to_thread(_remove, files.values())
                raise
        return answer

    async def recreate_socket(self) -> None:
        """Ask the live server to make its socket again; no process of it is touched.

        Raises:
            TmuxAbsent: there is no live server.
            Temporary: the socket did not appear.
        """
        socket = self._runner.socket
        pid = await self.live_server()
        if not pid:
            raise TmuxAbsent("no tmux server of this user lives", hint="It is waited for.")
        socket.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGUSR1)
        finally:
            os.close(descriptor)
        deadline = self._clock.monotonic() + _SOCKET_SECONDS
        while not socket.exists():
            if self._clock.monotonic() > deadline:
                raise Temporary(f"{socket} did not come back", hint=f"Try: kill -USR1 {pid}")
            await self._clock.sleep(_POLL)

    async def live_server(self) -> int:
        """The pid of a live server behind our socket path, whether or not it answers; 0 if none."""
        return await asyncio.to_thread(find_server, self._runner.socket)

    async def announce(self, session: str, text: str) -> bool:
        """Show a message to the clients of this session, or to all if it has none."""
        listed = (await self._runner.call("list-clients", "-F", "#{client_name} #{session_name}")).decode(
            "utf-8", "replace"
        )
        clients = [line.split(" ", 1) for line in listed.splitlines() if " " in line]
        named = [name for name, at in clients if at == session] or [name for name, _ in clients]
        lines = [
            command("display-message", "-c", name, "-d", "10000", literal(text).replace("%", "%%"))
            for name in named
        ]
        if lines:
            await self._tolerant("\n".join(lines))
        return bool(lines)

    async def _source(self, script: bytes, seconds: float | None = None) -> bytes:
        """Run a script; a line that fails does not hide the answers of the others."""
        client = await self._runner.start(self._runner.argv("source-file", "-"))
        try:
            return await self._runner.finish(client, "source-file", stdin=script, seconds=seconds)
        except TmuxRefused as error:
            raise Temporary(f"the session changed during the capture: {error}") from error

    async def _tolerant(self, script: str) -> None:
        """Run lines of which some may name windows that have gone."""
        if script:
            try:
                await self._runner.call("source-file", "-", stdin=f"{script}\n".encode())
            except TmuxRefused:
                return

    async def _while_dead(self, pane: str, pid: int, action: str) -> bool:
        guard = f"#{{&&:#{{pane_dead}},#{{==:#{{pane_pid}},{pid}}}}}"
        body = f"{action} ; {command('display-message', '-p', 'acted')}"
        script = command("if-shell", "-F", "-t", pane, guard, body) + "\n"
        for _ in range(_DEATH_POLLS):
            try:
                answer = await self._runner.call(
                    "source-file", "-", stdin=script.encode("utf-8", "surrogateescape")
                )
            except TmuxRefused as error:
                if "can't find pane" in str(error):
                    return False
                raise
            if b"acted" in answer:
                return True
            if await asyncio.to_thread(_lives, pid):
                return False
            # tmux has not reaped the process yet; a job of its own makes it look.
            await self._runner.call("run-shell", "-b", "true")
            await self._clock.sleep(_POLL)
        return False

    async def _built(self, script: bytes) -> str:
        client = await self._runner.start(self._runner.argv("source-file", "-"))
        return await self._finish_build(client, script)

    async def _born(self, image: SessionImage, script: bytes) -> str:
        environment = self._runner.client_environment()
        place = await birth.find_birthplace(environment)
        tmux, *options = self._runner.argv()
        client = await self._runner.start(
            [
                *place.prefix, tmux, *birth.config_arguments(image.origin.config_files), *options,
                "start-server", ";", "source-file", "-",
            ],
            environment=birth.birth_environment(image.origin.environment, environment),
            cwd=existing_folder(image.origin.cwd),
            own_session=True,
        )  # fmt: skip
        return await self._finish_build(client, script)

    async def _finish_build(self, client: asyncio.subprocess.Process, script: bytes) -> str:
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stderr is not None
        try:
            async with asyncio.timeout(_REBUILD_SECONDS):
                output, complaint = await client.communicate(script)
        except TimeoutError as error:
            client.kill()
            await client.wait()
            raise TmuxUnknown(f"tmux did not finish the rebuild within {_REBUILD_SECONDS:g} s") from error
        session_id = output.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
        built = session_id[0] if session_id[0].startswith("$") else ""
        if client.returncode == 0 and built and not complaint:
            return built
        words = complaint.decode("utf-8", "replace").strip() or f"tmux ended with {client.returncode}"
        if built:
            await self._tolerant(command("kill-session", "-t", built))
        if "server exited" in words or "lost server" in words:
            raise TmuxUnknown(f"the server died during the rebuild: {words}")
        if "duplicate session" in words:
            raise Permanent(words, hint="Somebody made a session of this name meanwhile; it is left alone.")
        raise TmuxRefused(words, hint="What had been built was removed again.")

    def _write_scrollbacks(self, image: SessionImage, texts: Mapping[str, bytes]) -> dict[str, str]:
        """One private file for each pane that has text; the pane's reader removes it."""
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        files: dict[str, str] = {}
        stamp = f"{os.getpid()}-{self._clock.monotonic():.6f}"
        for window in image.windows:
            for pane in window.panes:
                if pane.scrollback not in texts:
                    continue
                key = scrollback_key(window, pane)
                path = self._scratch / f"{stamp}-{key}"
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(texts[pane.scrollback])
                files[key] = str(path)
        return files


def existing_folder(path: str) -> str:
    """The folder, or the nearest parent that exists: tmux would silently take the client's own."""
    folder = Path(path or "/")
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return str(folder)


def _with_existing_folders(image: SessionImage) -> SessionImage:
    windows = tuple(
        replace(window, panes=tuple(replace(pane, cwd=existing_folder(pane.cwd)) for pane in window.panes))
        for window in image.windows
    )
    return replace(image, windows=windows)


def _folder_of(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return "/"


def _lives(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)
