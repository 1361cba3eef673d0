"""The corridor between a tmux made of values, a clock that is moved by hand, and the real book."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from chaos.checker import check
from sidecar.config import Settings
from sidecar.decide import layout, retain
from sidecar.edges.metrics import Metrics
from sidecar.edges.store import Store
from sidecar.errors import SidecarError, Temporary, TmuxRefused
from sidecar.flow.absence import AbsenceExaminer
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.circuits import Circuits
from sidecar.flow.desk import FrontDesk
from sidecar.flow.examine import Examination
from sidecar.flow.execute import Executor
from sidecar.flow.inquiry import Inquiry
from sidecar.flow.lanes import Lanes
from sidecar.flow.notify import Notices
from sidecar.flow.pace import Pace
from sidecar.flow.person import Person
from sidecar.flow.ports import CheckExaminer, Examiner
from sidecar.flow.quiet import Quiet
from sidecar.flow.reach import SocketExaminer
from sidecar.flow.recover import Recoverer
from sidecar.flow.strain import Strain
from sidecar.flow.supervise import Supervisor
from sidecar.flow.ward import Ward
from sidecar.flow.watch import Tools, Watch
from sidecar.model.incident import Exit, Role, SignalKind
from sidecar.model.notice import Channel, Message
from sidecar.model.plan import Entry, Resumption, Start
from sidecar.model.reach import Kind, Peer, Place, Reach, Ring
from sidecar.model.record import Action, Capture, Pressure, RecoveryRow, Usage, Watched
from sidecar.model.saga import BACK, Marks
from sidecar.model.session import (
    Look,
    Pane,
    Presence,
    Process,
    ServerId,
    Session,
    SessionImage,
    Window,
    image_of,
)
from sidecar.model.status import Status
from sidecar.model.stress import Room
from sidecar.model.supervise import Spot
from sidecar.model.surroundings import Question, Surroundings
from sidecar.model.workspace import Beside, Command, DeclaredPane, Pairs, Workspace
from tests.decide.builders import SERVER, pane, session
from tests.flow.bedside import Bedside

_CALM = 40
"""Turns of the loop without a thread at work, after which everybody is taken to wait."""
_RESTLESS = 5_000


class HandClock:
    """Time stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.wall_ahead = 1_700_000_000.0
        self.slept = 0.0
        """Seconds that the machine was asleep."""
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = count()

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now + self.slept

    def wall(self) -> float:
        return self.now + self.slept + self.wall_ahead

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._number), waiting))
        await waiting

    def move(self, seconds: float) -> None:
        """To the next moment that somebody waits for, or by ``seconds``, whichever is less."""
        target = self.now + seconds
        if self._sleepers and self._sleepers[0][0] < target:
            target = max(self._sleepers[0][0], self.now)
        self.now = target
        while self._sleepers and self._sleepers[0][0] <= self.now:
            waiting = heapq.heappop(self._sleepers)[2]
            if not waiting.done():
                waiting.set_result(None)


@dataclass
class ValueTmux:
    """A tmux server that is a value. ``trouble`` holds errors to raise, by method, first come first."""

    clock: HandClock
    server: ServerId = SERVER
    sessions: dict[str, Session] = field(default_factory=dict)
    presence: Presence = Presence.PRESENT
    alive: bool = True
    trouble: dict[str, list[SidecarError]] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    effects: list[tuple[Any, ...]] = field(default_factory=list)
    """What recoveries have really changed, in order."""
    stillborn: bool = False
    """Whatever is started dies at once."""
    changeling: bool = False
    """Whatever is started is something else."""
    numbers: Iterator[int] = field(default_factory=lambda: count(5_000))
    argv: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What each pane was started with."""
    marked: dict[str, str] = field(default_factory=dict)
    """By the id of a session or a pane: the mark of what was built, or respawned, there."""
    built: dict[tuple[int, int], str] = field(default_factory=dict)
    """Single panes that were built, by window index and pane index."""
    entered: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By pane id: the mark of what was typed, and how many lines."""

    def put(self, *sessions: Session) -> None:
        for one in sessions:
            self.sessions[one.name] = one
            self.argv.update({p.id: p.argv for p in one.panes() if p.argv})

    def change(self, pane_id: str, **facts: Any) -> None:
        """Change one pane."""
        for name, one in self.sessions.items():
            windows = tuple(
                replace(w, panes=tuple(replace(p, **facts) if p.id == pane_id else p for p in w.panes))
                for w in one.windows
            )
            self.sessions[name] = replace(one, windows=windows)

    def die(self, *, alive: bool = False) -> None:
        """The server is gone; or only its socket, when ``alive``."""
        self.presence, self.alive = Presence.ABSENT, alive
        if not alive:
            self.sessions.clear()

    def _be_there(self) -> None:
        """What is built begins a server where there is none."""
        if self.presence is Presence.ABSENT:
            self.server = replace(self.server, pid=self.server.pid + 1)
            self.presence, self.alive = Presence.PRESENT, True

    def _called(self, name: str, *facts: Any) -> None:
        self.calls.append((name, *facts))
        if self.trouble.get(name):
            raise self.trouble[name].pop(0)

    def called(self, name: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == name]

    async def look(self) -> Look:
        await asyncio.sleep(0)
        if self.presence is not Presence.PRESENT:
            return Look(self.presence, self.clock.now, reason="no answer")
        return Look(self.presence, self.clock.now, server=self.server, sessions=tuple(self.sessions.values()))

    async def capture(self, live: Session, look: Look, lines: int, taken: float, private: bool) -> Capture:
        self._called("capture", live.name)
        image = image_of(live, width=80, height=24)
        return Capture(image, f"{look.server}/{live.id}", taken)

    def keep(self, instance: str) -> None:
        self._called("keep", instance)

    def forget(self, instance: str) -> None:
        self._called("forget", instance)

    async def arm(self, windows: Sequence[str], panes: Sequence[str] = ()) -> None:
        self._called("arm", *windows, *panes)
        for one in panes:
            self.change(one, kept=True)

    async def disarm(self, windows: Sequence[str], panes: Sequence[str] = ()) -> None:
        self._called("disarm", *windows, *panes)
        for one in panes:
            self.change(one, kept=False)

    async def respawn(
        self, pane_id: str, pid: int, cwd: str, instead: Sequence[str] = (), mark: str = ""
    ) -> bool:
        self._called("respawn", pane_id, pid)
        found = next((p for s in self.sessions.values() for p in s.panes() if p.id == pane_id), None)
        if found is None or not found.dead or found.pid != pid:
            return bool(mark) and self.marked.get(pane_id) == mark
        self.effects.append(("respawn", pane_id))
        self.marked[pane_id] = mark
        argv = () if self.stillborn else tuple(instead) or self.argv[pane_id]
        argv = ("changeling",) if self.changeling else argv
        self.change(pane_id, pid=next(self.numbers), dead=self.stillborn, argv=argv)
        return True

    async def close_pane(self, pane_id: str, pid: int) -> bool:
        self._called("close_pane", pane_id, pid)
        return True

    async def enter(self, pane_id: str, pid: int, resumption: Resumption, mark: str = "") -> None:
        self._called("enter", pane_id, resumption.line)
        if self.entered.get(pane_id) == (mark, 1):
            raise Temporary("typed already")
        self.effects.append(("enter", resumption.line))
        self.entered[pane_id] = (mark, 1)
        if resumption.entry is Entry.TYPED:
            self.change(pane_id, program=Process(next(self.numbers), resumption.argv))

    async def report(self, conversations: Mapping[str, str]) -> None:
        self._called("report", conversations)

    async def marks(self, mark: str) -> Marks:
        session_id = next((one.id for one in self.sessions.values() if self.marked.get(one.id) == mark), "")
        windows = [window.id for one in self.sessions.values() for window in one.windows]
        window_id = next((one for one in windows if self.marked.get(one) == mark), "")
        typed = {pane_id: count for pane_id, (by, count) in self.entered.items() if by == mark}
        built = {p: one for p, one in self.built.items() if self.marked.get(f"{p[0]}.{p[1]}") == mark}
        return Marks(session_id, window_id, typed=typed, panes=built)

    async def remove_marked(self, mark: str) -> None:
        self._called("remove_marked", mark)
        if any(self.marked.get(one.id) == mark for one in self.sessions.values()):
            self.effects.append(("remove",))
        self.sessions = {n: one for n, one in self.sessions.items() if self.marked.get(one.id) != mark}

    async def unmark(self, mark: str) -> None:
        self.marked = {what: by for what, by in self.marked.items() if not by.startswith(mark)}
        self.entered = {what: by for what, by in self.entered.items() if not by[0].startswith(mark)}

    async def unmark_others(self, kept: Collection[str]) -> None:
        self.marked = {what: by for what, by in self.marked.items() if by.removesuffix(BACK) in kept}
        self.entered = {what: by for what, by in self.entered.items() if by[0].removesuffix(BACK) in kept}

    async def close_session(self, live: Session) -> str:
        self._called("close_session", live.name)
        self.effects.append(("close", live.id))
        self.sessions = {n: one for n, one in self.sessions.items() if one.id != live.id}
        return "keeper"

    async def let_go(self, keeper: str) -> None:
        self._called("let_go", keeper)

    async def rebuild(
        self,
        image: SessionImage,
        scrollbacks: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> str:
        self._called("rebuild", image.name)
        if image.name in self.sessions:
            raise TmuxRefused(f"duplicate session: {image.name}")
        self.effects.append(("rebuild", image.name))
        self._be_there()
        number = next(self.numbers)
        built = session(*self._panes(image, number), name=image.name, identity=f"${number}")
        window = replace(built.windows[0], layout=image.windows[0].layout)
        built = replace(built, windows=(window,))
        self.marked[built.id] = mark
        self.put(built)
        return built.id

    def _panes(self, image: SessionImage, number: int) -> list[Any]:
        return [
            replace(pane(number + saved.index), index=saved.index, argv=saved.argv or ("-bash",),
                    cwd=saved.cwd, start_command=saved.start_command, active=saved.active,
                    dead=self.stillborn)
            for window in image.windows for saved in window.panes
        ]  # fmt: skip

    async def build_workspace(self, workspace: Workspace, mark: str = "") -> str:
        self._called("build_workspace", workspace.name)
        if workspace.name in self.sessions:
            raise TmuxRefused(f"duplicate session: {workspace.name}")
        self.effects.append(("build", workspace.name))
        self._be_there()
        number = next(self.numbers)
        panes = [
            replace(pane(number + place), index=place, cwd=one.cwd, active=place == window.active_pane)
            for window in workspace.windows
            for place, one in enumerate(window.panes)
        ]
        built = session(*panes, name=workspace.name, identity=f"${number}")
        body = f"80x24,0,0,{number}"
        windows = tuple(replace(w, layout=f"{layout.checksum(body)},{body}") for w in built.windows)
        built = replace(built, windows=windows)
        self.marked[built.id] = mark
        self.put(built)
        return built.id

    async def type_lines(
        self, pane_id: str, pid: int, lines: Sequence[Command], mark: str = "", typed: int = 0
    ) -> None:
        for number, line in enumerate(lines[typed:], start=typed + 1):
            self._called("type", pane_id, line.text)
            self.effects.append(("type", line.text))
            self.entered[pane_id] = (mark, number)

    async def set_options(self, window: str, options: Pairs) -> None:
        self._called("set_options", window)

    async def build_declared_pane(self, beside: Beside, wanted: DeclaredPane) -> str:
        self._called("build_declared_pane", beside.pane)
        self.effects.append(("build pane", beside.pane))
        number = next(self.numbers)
        for name, one in self.sessions.items():
            windows = tuple(
                replace(w, panes=(*w.panes, replace(pane(number), index=len(w.panes), cwd=wanted.cwd)))
                if w.id == beside.window
                else w
                for w in one.windows
            )
            self.sessions[name] = replace(one, windows=windows)
        return f"%{number}"

    async def arrange(self, window: str, layout: str, panes: int) -> None:
        self._called("arrange", window, layout)
        self.effects.append(("arrange", window))

    async def rebuild_window(
        self,
        live: Session,
        image: SessionImage,
        scrollbacks: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> None:
        (saved,) = image.windows
        self._called("rebuild_window", saved.index)
        here = self.sessions[live.name]
        if any(window.index == saved.index for window in here.windows):
            raise TmuxRefused(f"index in use: {saved.index}")
        self.effects.append(("rebuild window", saved.index))
        number = next(self.numbers)
        built = replace(
            here.windows[0], id=f"@{number}", index=saved.index, name=saved.name, active=saved.active,
            panes=tuple(self._panes(image, number)),
        )  # fmt: skip
        self.marked[built.id] = mark
        self.sessions[live.name] = replace(here, windows=(*here.windows, built))

    async def rebuild_pane(
        self,
        beside: Beside,
        image: SessionImage,
        scrollbacks: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> str:
        self._called("rebuild_pane", beside.pane)
        (one,) = image.windows
        number = next(self.numbers)
        (built,) = self._panes(image, number)
        self.effects.append(("rebuild pane", one.index, one.panes[0].index))
        for name, live in self.sessions.items():
            windows = tuple(_beside(w, beside, built) if w.id == beside.window else w for w in live.windows)
            self.sessions[name] = replace(live, windows=windows)
        self.marked[f"{one.index}.{one.panes[0].index}"] = mark
        self.built[one.index, one.panes[0].index] = built.id
        return str(built.id)

    async def clear_history(self, panes: Mapping[str, int]) -> None:
        self._called("clear_history", dict(panes))
        for pane_id in panes:
            self.change(pane_id, history_lines=0)

    def drop_caches(self) -> None:
        self._called("drop_caches")

    async def recreate_socket(self) -> None:
        self._called("recreate_socket")
        self.effects.append(("socket",))
        self.presence = Presence.PRESENT

    async def announce(self, name: str, text: str) -> bool:
        self._called("announce", name, text)
        return True

    async def reach(self) -> Reach:
        here = self.presence is not Presence.ABSENT
        file = Place(Kind.SOCKET if here else Kind.MISSING, 1, 0o600)
        servers = (self.server.pid,) if self.alive else ()
        answers = Peer(self.server.pid, 1) if here else None
        return Reach("/tmp/s", 1, Place(Kind.FOLDER, 1, 0o700), file, True, servers, answers)

    async def live_server(self) -> int:
        return self.server.pid if self.alive else 0


def _beside(window: Window, beside: Beside, pane: Pane) -> Window:
    """The window with the pane in it, beside its neighbour, and all numbered anew."""
    at = next(number for number, one in enumerate(window.panes) if one.id == beside.pane)
    at += 0 if beside.before else 1
    panes = (*window.panes[:at], pane, *window.panes[at:])
    base = window.panes[0].index
    return replace(window, panes=tuple(replace(one, index=base + n) for n, one in enumerate(panes)))


class SilentBell:
    """Never rings by itself."""

    rings = 0

    async def arm(self) -> Look:
        return Look(Presence.UNKNOWN, 0.0)

    async def rung(self) -> Ring:
        return Ring()

    async def ring(self) -> None:
        self.rings += 1

    async def close(self) -> None: ...


@dataclass
class Host:
    """A machine with everything in plenty, until a test says otherwise."""

    boot_id: str = "boot"
    pressed: Pressure = field(default_factory=lambda: Pressure(memory_available=0.5, load=0.0))
    left: Room = field(default_factory=lambda: Room(free=10**12, size=10**13))
    around: Surroundings = field(default_factory=lambda: Surroundings())
    asked: list[Question] = field(default_factory=list)
    """What was asked about the machine when something had broken."""
    holds: asyncio.Event | None = None
    """Set: an answer does not come before this."""
    running: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    """The command lines of processes, by session."""
    stopped: Any = None
    """What processes do and how they are signalled, where a test needs it."""
    healer: Any = None
    """What is done beyond tmux, where a test needs it."""

    def missing_folders(self, paths: Iterable[str]) -> tuple[str, ...]:
        return ()

    def real_folders(self, paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
        return tuple((path, path) for path in paths)

    async def transcripts(self, image: SessionImage) -> Mapping[str, frozenset[str]]:
        return {}

    async def run_script(self, arguments: Sequence[str], cwd: str, mark: str = "") -> None: ...

    async def end_script(self, mark: str) -> None: ...

    async def command_lines(
        self, roots: Mapping[str, tuple[int, ...]]
    ) -> Mapping[str, tuple[tuple[str, ...], ...]]:
        return self.running

    async def usage(self, roots: Mapping[str, tuple[int, ...]]) -> Mapping[str, Usage]:
        return {}

    async def pressure(self, server: int = 0) -> Pressure:
        return self.pressed

    async def surroundings(self, question: Question) -> Surroundings:
        self.asked.append(question)
        if self.holds is not None:
            await self.holds.wait()
        return self.around

    async def room(self) -> Room | None:
        return self.left


class SteadyFile:
    """A socket file that nothing ever happens to."""

    wiped = False

    async def changed(self) -> None:
        await asyncio.Event().wait()


class Followed:
    """Remembers whom it was told to follow."""

    def __init__(self) -> None:
        self.wanted: dict[int, Watched] = {}

    def follow(self, wanted: Iterable[Watched]) -> None:
        self.wanted = {one.pid: one for one in wanted}

    def watching(self, pid: int) -> bool:
        return pid in self.wanted

    def close(self) -> None: ...


class Lines:
    """The log, as a list."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def say(
        self, action: Action, *, level: str = "info", session: str = "", trace: str = "", **detail: object
    ) -> None:
        self.lines.append({"action": action, "level": level, "session": session, **detail})

    def of(self, action: Action) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["action"] is action]


class Certain:
    def roll(self) -> float:
        return 0.5


class NothingRuns:
    """No process that is asked about is there any more, and none says how long it has run."""

    young: float | None = None
    """Seconds, where all of them are to say so."""

    def age(self, pid: int) -> float | None:
        return self.young

    def state(self, pid: int) -> None:
        return None


@dataclass
class Well:
    """What heartbeats say of programs, by pane id: nothing, until a test says otherwise."""

    ailments: dict[str, str] = field(default_factory=dict)

    def ailing(self, spot: Spot, pane: Pane, since: float) -> str:
        return self.ailments.get(pane.id, "")


@dataclass
class Postman:
    """Takes every message, unless there is ``trouble`` with its channel, first come first."""

    taken: list[tuple[str, Message]] = field(default_factory=list)
    trouble: dict[str, list[SidecarError]] = field(default_factory=dict)

    async def deliver(self, channel: Channel, message: Message) -> None:
        await asyncio.sleep(0)
        if self.trouble.get(channel.name):
            raise self.trouble[channel.name].pop(0)
        self.taken.append((channel.name, message))


class Corridor:
    """Everything wired as in the service, with the doors replaced."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        examiners: Sequence[Examiner] = (),
        tmux: ValueTmux | None = None,
        checks: CheckExaminer | None = None,
    ) -> None:
        self.tmux = tmux or ValueTmux(HandClock())
        self.clock = clock = self.tmux.clock
        self.folder = folder
        self.log = Lines()
        self.bell = SilentBell()
        self.processes = Followed()
        self.meter = Metrics(CollectorRegistry(), Status, version="0", python="3")
        self.store = Store(
            folder, clock, retain.keep,
            on_corrupt=self.meter.checkpoint_corrupt, on_write=lambda s: None, on_audit=self.meter.audited,
        )  # fmt: skip
        self.ward = ward = Ward(settings, clock.wall())
        self.tasks: set[asyncio.Task[None]] = set()
        self.faults: list[BaseException] = []
        self._threads: set[asyncio.Future[Any]] = set()
        self.host = Host()
        self.strain = Strain(ward, self.store, self.host, clock, self.log, self._strained)
        lanes = self.lanes = Lanes(ward, self.log, self.strain)
        self.checkpointer = Checkpointer(
            ward, self.tmux, self.store, clock, self.meter, self.log, self.strain.turned_down
        )
        self.circuits = Circuits(self.store, clock, self.meter, lambda: ward.settings.recovery.circuit)
        executor = Executor(self.store, clock, Certain(), self.meter, self.log, ward.retry)
        socket = SocketExaminer(self.tmux, SteadyFile(), self.host.boot_id)
        self.wellness, self.kernel = Well(), NothingRuns()
        supervisor = self.supervisor = Supervisor(
            ward, self.store, self.kernel, clock, Certain(), self.log,
            self._look_after, self.wellness,
        )  # fmt: skip
        found = (socket, AbsenceExaminer(ward, self.store, clock), *examiners)
        examination = Examination(found, supervisor, self.log, checks)
        self.mail = Postman()
        self.bedside = Bedside()
        self.notices = Notices(ward, self.store, self.mail, clock, Certain(), self.meter, self.log, "box")
        self.person = Person(
            ward, self.tmux, self.store, self.store.quiet, self.notices, clock, self.meter, self.log
        )
        self.quieter = Quiet(ward, self.store, self.store.quiet, self.person, clock, self.log, self._unheld)
        self.recoverer = Recoverer(
            ward, self.tmux, self.store, self.host, clock, self.meter, self.log, self.checkpointer, executor,
            self.circuits, self.person, Pace(clock, self.strain.starts, self.strain.memory), examination,
            self.strain, self.bedside,
        )  # fmt: skip
        tools = Tools(
            self.tmux, self.bell, self.store, self.host, self.processes, SteadyFile(), clock, self.log,
            self.meter, self.checkpointer, self.recoverer, lanes, examination,
            Inquiry(self.host, self.store, clock, self.log, {"state folder": "/"}), self.spawn,
        )  # fmt: skip
        self.watch = Watch(ward, tools, lambda: None)
        self.desk = FrontDesk(ward, self.watch, self.store, clock, self.meter, self.spawn, self.log)

    def _unheld(self) -> None:
        self.watch.signal(SignalKind.REQUEST)

    def _strained(self) -> None:
        self.lanes.move_up()
        self.watch.signal(SignalKind.RETRY)

    def _look_after(self, after: float = 0.0) -> None:
        async def look() -> None:
            await self.clock.sleep(after)
            self.watch.signal(SignalKind.RETRY)

        self.spawn("look again", look())

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._run(work), name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        # One that is cancelled before its first step would complain that it was never awaited.
        task.add_done_callback(lambda _: work.close())

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self.faults.append(error)

    def _count_threads(self) -> None:
        """Everything that blocks goes through this one method of the loop."""
        loop = asyncio.get_running_loop()
        run = loop.run_in_executor

        def counted(*work: Any) -> asyncio.Future[Any]:
            job: asyncio.Future[Any] = run(*work)
            self._threads.add(job)
            job.add_done_callback(self._threads.discard)
            return job

        loop.run_in_executor = counted  # type: ignore[method-assign, assignment]

    async def start(self) -> None:
        self._count_threads()
        self.meter.seed(await self.store.counts())
        await self.circuits.load()
        await self.watch.load()
        await self.strain.load()
        await self.quieter.load()
        await self.watch.tidy()
        await self.watch.take_up_unfinished()
        self.spawn("watch", self.watch.run())
        self.spawn("tick", self.watch.tick())
        self.spawn("strain", self.strain.run())
        self.spawn("checkpoint", self.checkpointer.run())
        await self.until(self.watch.first_cycle.is_set)
        self.spawn("quiet", self.quieter.run())

    def crash(self) -> None:
        """As kill -9 would end it: nothing more is written, and nobody is told."""
        self.ward.draining = True

        async def never(work: Any) -> None:
            await asyncio.Future()

        self.store._write = never  # type: ignore[assignment, method-assign]

    async def stop(self) -> None:
        self.ward.draining = True
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.to_thread(self.store.close)

    def end(self, pid: int, code: int | None, role: Role = Role.PANE, name: str = "web") -> None:
        """The process door tells of an end."""
        pane_id = next((one.pane for one in self.processes.wanted.values() if one.pid == pid), "")
        self.watch.process_ended(Exit(role, pid, name, pane_id, code, self.clock.now, "zombie"))

    def kill_pane_process(self, pane_id: str = "%1", code: int = -9) -> None:
        """The pane's own process ends, and tmux keeps the pane."""
        pid = next(p.pid for s in self.tmux.sessions.values() for p in s.panes() if p.id == pane_id)
        self.tmux.change(pane_id, dead=True, program=None, argv=())
        self.end(pid, code)

    def kill_program(self, pane_id: str = "%1", code: int = -9, then: Process | None = None) -> None:
        """What runs in front of a pane's shell ends; ``then`` comes in its place."""
        pid = next(
            p.program.pid
            for s in self.tmux.sessions.values()
            for p in s.panes()
            if p.id == pane_id and p.program
        )
        self.tmux.change(pane_id, program=then)
        self.end(pid, code, Role.PROGRAM)

    async def adopt(self, *sessions: Session) -> None:
        """Put sessions there, and wait until they are looked after and stored."""
        self.tmux.put(*sessions)
        self.watch.signal(SignalKind.TICK)
        await self.until(lambda: all(self.ward.totals.get(one.name) for one in sessions), "checkpoints")

    async def until(self, question: Callable[[], Any], what: str = "the condition") -> Any:
        """Let everything go on, without moving the clock, and see that the answer is true then."""
        await self.quiet()
        answer = question()
        assert answer, f"everybody waits, and in vain: {what}"
        return answer

    async def quiet(self) -> None:
        """Let everything go on until everybody waits for the clock or for a signal."""
        calm = 0
        for _ in range(_RESTLESS):
            if self._threads:
                await asyncio.wait(self._threads)
                calm = 0
            await asyncio.sleep(0)
            calm += 1
            if calm == _CALM:
                return
        raise AssertionError("it never comes to rest")

    async def pass_time(self, seconds: float) -> None:
        """Move the clock, stopping wherever somebody waits for it."""
        await self.quiet()
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.move(end - self.clock.now)
            await self.quiet()

    async def recoveries(self, name: str = "web") -> list[RecoveryRow]:
        """Oldest first."""
        return list(reversed(await self.store.recoveries(1_000, session=name)))

    async def recovered(self, number: int = 1, name: str = "web") -> RecoveryRow:
        """Let everything go on, without moving the clock, to the end of so many recoveries; the newest."""
        await self.quiet()
        assert name not in self.ward.cases, f"everybody waits, and a recovery of {name!r} is under way"
        rows = [row for row in await self.recoveries(name) if row.state != "running"]
        assert len(rows) >= number, f"{len(rows)} recoveries have ended, not {number}"
        return rows[-1]


def standing(*sessions: Session) -> Callable[[Corridor], Coroutine[Any, Any, None]]:
    """For ``before``: these are there when the sidecar comes."""

    async def before(world: Corridor) -> None:
        world.tmux.put(*sessions)

    return before


@asynccontextmanager
async def corridor(
    folder: Path,
    settings: Settings | None = None,
    before: Callable[[Corridor], Coroutine[Any, Any, None]] | None = None,
    examiners: Sequence[Examiner] = (),
    tmux: ValueTmux | None = None,
    checks: CheckExaminer | None = None,
) -> AsyncIterator[Corridor]:
    """Opens a corridor, once ``before`` has prepared it. In the same folder it finds the earlier book.

    ``tmux`` is the server, and the clock, of an earlier one; ``checks`` is the one of the examiners that
    can be asked about a check.
    """
    world = Corridor(folder / "state", settings or Settings(), examiners, tmux, checks)
    try:
        if before is not None:
            await before(world)
        await world.start()
        yield world
        assert world.faults == []
    finally:
        await world.stop()
    violations = check(folder / "state", world.ward.settings.recovery)
    assert violations == (), "\n".join(map(str, violations))
