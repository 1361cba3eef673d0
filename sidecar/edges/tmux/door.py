"""Everything the corridor asks of the live tmux server, in one place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.folders import Folders
from sidecar.edges.process import uptime
from sidecar.edges.tmux import closing, folders, keyboard, marks, prompt
from sidecar.edges.tmux.arming import arm_line, disarm_line, keep_line, let_go_line
from sidecar.edges.tmux.builder import Builder
from sidecar.edges.tmux.capture import Request, capture_script, read_capture, request
from sidecar.edges.tmux.clearing import clear_line
from sidecar.edges.tmux.dead import act_on_dead
from sidecar.edges.tmux.fingerprint import fingerprint_script, read_fingerprints
from sidecar.edges.tmux.furnish import LayoutCheck
from sidecar.edges.tmux.history import History, Reading
from sidecar.edges.tmux.parts import new_mark
from sidecar.edges.tmux.patience import unless_stopped
from sidecar.edges.tmux.reach import examine, listener, which
from sidecar.edges.tmux.run import TmuxRunner, classify
from sidecar.edges.tmux.server import ask_for_socket, find_server
from sidecar.edges.tmux.sharing import SharedLook
from sidecar.edges.tmux.snapshot import LOOK_COMMAND, parse_look
from sidecar.edges.tmux.text import command, in_one, literal, message, script, unvis
from sidecar.edges.tmux.workspace import arrange_line, option_lines
from sidecar.errors import SidecarError, Temporary, TmuxAbsent, TmuxRefused, TmuxSilent
from sidecar.model.plan import Resumption, Start
from sidecar.model.reach import Reach
from sidecar.model.record import Capture
from sidecar.model.saga import Marks
from sidecar.model.session import Look, Presence, Session, SessionImage
from sidecar.model.workspace import (
    NAMED_LAYOUTS,
    Beside,
    Command,
    DeclaredPane,
    DeclaredWindow,
    Pairs,
    Workspace,
)

_CAPTURE_SECONDS = 10.0
_HELD_UP = 3.0
"""Seconds beyond tmux's time limit that a look may take on a machine that is merely slow."""
_TIMELY_ATTEMPTS = 3
_SOCKET_SECONDS = 2.0
_UNTIL_DEAD = 5.0
"""Seconds for a busy tmux to mark a pane whose process is known to be dead: a recovery depends on it."""
_UNTIL_CLOSED = 1.0
"""The same where the next look comes back to it, and waits meanwhile."""
_POLL = 0.005
_SHOWN_MILLISECONDS = "10000"
_LONGEST_MESSAGE = 1000


class TmuxDoor:
    """Implements :class:`sidecar.flow.ports.Tmux` for one server."""

    def __init__(
        self,
        runner: TmuxRunner,
        clock: Clock,
        *,
        boot_id: str,
        complete: Callable[[Look], Look],
        in_front: prompt.InFront,
        valid_layout: LayoutCheck,
        scratch: Path,
        descriptors: int | None = None,
    ) -> None:
        """
        Args:
            boot_id: the kernel's name for this boot, part of a server's identity.
            complete: fills in what /proc knows about a look; runs in a thread.
            in_front: see :data:`sidecar.edges.tmux.prompt.InFront`; runs in a thread.
            valid_layout: tells a layout that tmux survives from one that it does not.
            scratch: a private folder for scrollback on its way into a pane.
            descriptors: the soft limit of open files for a new server; None leaves ours.
        """
        self._runner = runner
        self._clock = clock
        self._boot_id = boot_id
        self._valid_layout = valid_layout
        self._complete = complete
        self._typist = prompt.Typist(runner, clock, in_front)
        self._shared = SharedLook(self._timely_look)
        self._server = 0
        """The pid of the server that answered last; 0 before."""
        self._history = History()
        self._there = Folders()
        self._builder = Builder(
            runner,
            clock,
            there=self._there,
            boot_id=boot_id,
            valid_layout=valid_layout,
            scratch=scratch,
            descriptors=descriptors,
        )

    async def look(self) -> Look:
        """One full observation, begun after the call; absent and unknown are answers, not errors."""
        return await self._shared()

    async def _timely_look(self) -> Look:
        """A look that took no longer than a call may take: another one is of a world that may have gone.

        We were stopped meanwhile, or the machine was asleep, and what timed out then says nothing either.
        """
        limit = self._runner.settings.timeout + _HELD_UP
        for _ in range(_TIMELY_ATTEMPTS):
            began = self._clock.boottime()
            look = await self._look()
            took = self._clock.boottime() - began
            if took <= limit:
                return look
        return Look(Presence.UNKNOWN, look.taken, reason=f"the look took {took:.0f} s: too old to tell")

    async def _look(self) -> Look:
        taken = self._clock.monotonic()
        try:
            raw = await unless_stopped(self._runner.call(*LOOK_COMMAND), self._server)
        except TmuxAbsent as error:
            return Look(Presence.ABSENT, taken, reason=str(error))
        except SidecarError as error:
            silent = isinstance(error, TmuxSilent)
            return Look(Presence.UNKNOWN, taken, reason=str(error), silent=silent)
        look = await asyncio.to_thread(lambda: self._complete(parse_look(raw, taken, self._boot_id)))
        self._server = look.server.pid if look.server else 0
        return look

    async def capture(
        self, session: Session, look: Look, lines: int | None, taken: float, private: bool
    ) -> Capture:
        """Everything a checkpoint needs, as a rule in one client. ``taken`` is wall seconds.

        Text that an earlier capture has taken, and that :meth:`keep` has confirmed, is not taken again.

        Raises:
            TmuxAbsent, TmuxUnknown: the server went away; nothing was captured.
            Temporary: the session is no longer what the look says.
        """
        wanted = request(session, look, private)
        reading, asked = await asyncio.to_thread(self._begin, wanted, 0 if private else lines)
        raw = await self._ask(asked)
        raw = await asyncio.to_thread(reading.read, raw)
        while not reading.finished:
            await asyncio.to_thread(reading.read, await self._ask(reading.script()))
        pid = look.server.pid if look.server else 0
        return await asyncio.to_thread(
            lambda: read_capture(raw, wanted, reading.texts(), taken=taken, cwd=folders.of_process(pid))
        )

    async def fingerprints(self, sessions: Sequence[Session]) -> Mapping[str, str]:
        """A word for each session that is there, another one when its options or environment have changed.

        Raises:
            TmuxAbsent, TmuxUnknown: there is no server, or no answer.
        """
        mark = new_mark()
        client = await self._runner.start(self._runner.argv("source-file", "-"))
        asked = await asyncio.to_thread(fingerprint_script, sessions, mark)
        # What has gone meanwhile makes its own lines fail, and no other.
        answer = await self._runner.exchange(client, "source-file", stdin=asked, seconds=_CAPTURE_SECONDS)
        found = await asyncio.to_thread(read_fingerprints, answer.output, sessions, mark)
        if not found and sessions:
            raise classify(answer.complaint)
        return found

    def keep(self, instance: str) -> None:
        """The last capture of this session (``server/$id``) is stored: later ones may leave its text out."""
        self._history.keep(instance)

    def forget(self, instance: str) -> None:
        """Texts of this session that were thought to be stored are not: the next capture takes all."""
        self._history.forget(instance)

    def drop_caches(self) -> None:
        """Forget what is known of the texts of all sessions: the next captures take everything."""
        self._history.clear()

    async def clear_history(self, panes: Mapping[str, int]) -> None:
        """Forget what scrolled out of these panes, each only while this is its process.

        Raises:
            TmuxAbsent, TmuxUnknown: there is no server, or no answer.
        """
        await self._each(clear_line(pane, pid) for pane, pid in panes.items())

    async def arm(self, windows: Sequence[str], panes: Sequence[str] = ()) -> None:
        """Keep the panes of these windows when their process fails, and these panes however they end.

        A user's own setting stays.
        """
        # What is set for the active pane would pass for its window's setting.
        await self._each((*map(arm_line, windows), *map(keep_line, panes)))

    async def disarm(self, windows: Sequence[str], panes: Sequence[str] = ()) -> None:
        """Undo :meth:`arm` where it is ours."""
        await self._each((*map(let_go_line, panes), *map(disarm_line, windows)))

    async def respawn(
        self, pane: str, pid: int, cwd: str, instead: Sequence[str] = (), mark: str = ""
    ) -> bool:
        """Start a dead pane's own command again, only while ``pid`` is its dead process.

        An empty ``cwd`` leaves the folder that the pane was first started in. ``instead`` is started in the
        place of its own command, if there is one. True as well when it was done before under this ``mark``.
        """
        folder = ("-c", literal(await asyncio.to_thread(folders.existing, cwd, self._there))) if cwd else ()
        own = command("set-option", "-p", "-u", "-t", pane, "@sidecar_start")
        action = in_one(
            # What was shown last, as the words with which it died, goes into the history.
            command("send-keys", "-R", "-t", pane),
            command("respawn-pane", "-k", *folder, "-t", pane, *(("--", *instead) if instead else ())),
            *((own,) if instead else ()),
            *marks.whole(marks.RESPAWNED, pane, mark),
        )
        if await act_on_dead(self._runner, self._clock, pane, pid, action, patience=_UNTIL_DEAD):
            return True
        return bool(mark) and await self._was_respawned(pane, mark)

    async def _was_respawned(self, pane: str, mark: str) -> bool:
        shown = ("display-message", "-p", "-t", pane, f"#{{{marks.RESPAWNED}}}")
        try:
            return (await self._runner.call(*shown)).strip() == mark.encode()
        except TmuxRefused:
            return False

    async def close_pane(self, pane: str, pid: int) -> bool:
        """Close a pane, only while it is dead and ``pid`` was its process."""
        action = command("kill-pane", "-t", pane)
        return await act_on_dead(self._runner, self._clock, pane, pid, action, patience=_UNTIL_CLOSED)

    async def enter(self, pane: str, pid: int, resumption: Resumption, mark: str = "") -> None:
        """Type a command line into the pane's shell once it waits for input; only once under one ``mark``.

        Raises:
            Temporary: it did not wait, or cannot be typed into just now.
        """
        await self._typist.enter(pane, pid, resumption, mark)

    async def report(self, conversations: Mapping[str, str]) -> None:
        """Set the pane option ``@sidecar_conversation`` of these panes, as an agent's hook would now."""
        now = int(uptime())
        await self._each(
            command("set-option", "-p", "-t", pane, "@sidecar_conversation", f"{conversation}:{now}")
            for pane, conversation in conversations.items()
        )

    async def rebuild(
        self,
        image: SessionImage,
        scrollbacks: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> str:
        """Build the session, all or nothing, in a server that outlives us. Returns its session id.

        It carries the ``mark``: see :mod:`sidecar.edges.tmux.marks`. ``starts`` tells of panes that start
        another command than the stored one, or later.

        Raises:
            TmuxRefused: tmux would not build it; what had been built is gone again.
            TmuxUnknown: the server gave no answer, or died.
            NoBirthplace: there is no server, and one started from here would not last.
        """
        return await self._builder.build(image, scrollbacks, starts, mark)

    async def build_workspace(self, workspace: Workspace, mark: str = "") -> str:
        """Build a session as it is declared, without its command lines. Returns its session id.

        Raises: as :meth:`rebuild`.
        """
        return await self._builder.build_workspace(workspace, mark)

    async def type_lines(
        self, pane: str, pid: int, lines: Sequence[Command], mark: str = "", typed: int = 0
    ) -> None:
        """Type command lines into the pane once it waits for input, in order, with their pauses.

        The first ``typed`` of them have been typed already under this ``mark``.

        Raises:
            Temporary: nothing was typed.
            Permanent: only some of it was.
        """
        await keyboard.type_lines(self._typist, self._clock, pane, pid, lines, mark, typed)

    async def set_options(self, window: str, options: Pairs) -> None:
        """Set options of one window.

        Raises:
            TmuxRefused: there is no such option, or it takes no such value.
        """
        await self._runner.source(script(in_one(*option_lines(window, options))))

    async def rebuild_window(
        self,
        session: Session,
        image: SessionImage,
        scrollbacks: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> None:
        """Build the image's one window into a living session, all or nothing; the index has to be free.

        Raises:
            TmuxRefused: tmux would not build it; what had been built is gone again.
            TmuxAbsent, TmuxUnknown: there is no server, or it gave no answer.
        """
        await self._builder.build_window(session.id, image, scrollbacks, starts, mark)

    async def rebuild_pane(
        self,
        beside: Beside,
        image: SessionImage,
        scrollbacks: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> str:
        """Build the image's one pane beside a living one, all or nothing. Returns its id.

        Raises: as :meth:`rebuild_window`.
        """
        return await self._builder.build_pane(beside, image, scrollbacks, starts, mark)

    async def marks(self, mark: str) -> Marks:
        """What carries this mark; nothing does where there is no server.

        Raises:
            TmuxUnknown: there is no answer.
        """
        return marks.read_marks(await self._marked(), mark)

    async def remove_marked(self, mark: str) -> None:
        """End the sessions and windows that were built under this mark, and no others.

        Raises:
            TmuxUnknown: there is no answer.
        """
        await self._each(marks.removing(await self._marked(), mark))

    async def unmark(self, mark: str) -> None:
        """Take the mark from whatever carries it.

        Raises:
            TmuxUnknown: there is no answer.
        """
        await self._each(marks.unmarking(await self._marked(), mark))

    async def unmark_others(self, kept: Collection[str]) -> None:
        """Take every mark but these from whatever carries one.

        Raises:
            TmuxUnknown: there is no answer.
        """
        await self._each(marks.unmarking_others(await self._marked(), kept))

    async def _marked(self) -> bytes:
        try:
            return await self._runner.call(*marks.MARKS_COMMAND)
        except TmuxAbsent:
            return b""

    async def build_declared_window(self, session: Session, index: int, window: DeclaredWindow) -> None:
        """Build one declared window into a living session, without its command lines.

        Raises: as :meth:`rebuild_window`.
        """
        await self._builder.build_declared_window(session.id, index, window)

    async def build_declared_pane(self, beside: Beside, pane: DeclaredPane) -> str:
        """Put one declared pane beside a living one, without its command lines. Returns its id.

        Raises: as :meth:`rebuild_window`.
        """
        return await self._builder.build_declared_pane(beside, pane)

    async def arrange(self, window: str, layout: str, panes: int) -> None:
        """Give a window a layout while it has exactly so many panes; nothing for one tmux may not survive.

        Raises:
            TmuxAbsent, TmuxUnknown: there is no server, or no answer.
        """
        if layout in NAMED_LAYOUTS or self._valid_layout(layout, panes):
            await self._each([arrange_line(window, layout, panes)])

    async def close_session(self, session: Session) -> str:
        """End a living session and wait for its processes; the server stays until :meth:`let_go`.

        Raises:
            TmuxAbsent, TmuxUnknown: there is no server, or it gave no answer.
        """
        return await closing.close_session(self._runner, self._clock, session)

    async def let_go(self, keeper: str) -> None:
        """The server need not be kept any longer."""
        await closing.let_go(self._runner, keeper)

    async def recreate_socket(self) -> None:
        """Ask the live server to make its socket again; no process of it is touched.

        Raises:
            TmuxAbsent: there is no live server.
            Temporary: the socket did not appear.
            Permanent: its folder is not for us to make usable.
        """
        socket, of_tmux = self._runner.socket, self._of_tmux
        pid, before = await self.live_server(), which(socket)
        if not pid or not await asyncio.to_thread(ask_for_socket, pid, socket, of_tmux=of_tmux):
            raise TmuxAbsent(f"no tmux server lives that was bound to {socket}", hint="It is waited for.")
        deadline = self._clock.monotonic() + _SOCKET_SECONDS
        while which(socket) == before or listener(socket) != pid:
            if self._clock.monotonic() > deadline:
                raise Temporary(f"{socket} did not come back", hint=f"Try: kill -USR1 {pid}")
            await self._clock.sleep(_POLL)

    async def reach(self) -> Reach:
        """How the server can be reached now, by what the file system and the kernel tell."""
        return await asyncio.to_thread(examine, self._runner.socket, of_tmux=self._of_tmux)

    @property
    def _of_tmux(self) -> bool:
        return not self._runner.settings.socket_path

    async def live_server(self) -> int:
        """The pid of a live server that was bound to our socket, whether or not it answers; 0 if none."""
        return await asyncio.to_thread(find_server, self._runner.socket)

    async def announce(self, session: str, text: str) -> bool:
        """Show a message to the clients of this session, or to all if it has none. False: nobody saw it."""
        listed = await self._runner.call("list-clients", "-F", "#{client_name} #{session_name}")
        clients = [line.partition(" ") for line in listed.decode("utf-8", "surrogateescape").splitlines()]
        chosen = [name for name, _, at in clients if unvis(at) == session] or [name for name, _, _ in clients]
        shown = message(text[:_LONGEST_MESSAGE])
        await self._each(
            command("display-message", "-c", client, "-d", _SHOWN_MILLISECONDS, "--", shown)
            for client in chosen
        )
        return bool(chosen)

    def _begin(self, wanted: Request, lines: int | None) -> tuple[Reading, bytes]:
        """What to ask for a capture; for a large session that is a thousand commands."""
        reading = self._history.begin(wanted.session, wanted.look, lines)
        return reading, capture_script(wanted) + reading.script()

    async def _ask(self, text: bytes) -> bytes:
        """What the commands of a capture print."""
        seconds = max(self._runner.settings.timeout, _CAPTURE_SECONDS)
        try:
            return await self._runner.source(text, seconds=seconds)
        except TmuxRefused as error:
            raise Temporary(
                f"the session changed during the capture: {error}", hint="The next look takes it anew."
            ) from error

    async def _each(self, lines: Iterable[str]) -> None:
        """Run each line; what it names may have gone meanwhile."""
        text = script(*lines)
        if text:
            with contextlib.suppress(TmuxRefused):
                await self._runner.source(text)
