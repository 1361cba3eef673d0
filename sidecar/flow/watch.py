"""The watch: events and ticks become signals in one inbox; each cycle looks, compares, sets to work.

Whatever happens, there is a full look at least every five seconds. A cycle itself never heals:
it hands cases to the pipeline, one for each session, and goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sidecar.clock import Clock
from sidecar.decide.by_hand import asking
from sidecar.decide.clues import Context
from sidecar.decide.confirm import CAME_BACK, Doubt, certain
from sidecar.decide.detect import NOT_RUNNING, Detection, Expected, detect, instance_of
from sidecar.decide.diagnose import Opinion, diagnose
from sidecar.decide.disconnect import cut_off
from sidecar.decide.restore import server_unknown
from sidecar.decide.resume import is_shell
from sidecar.decide.stress import rest
from sidecar.errors import SidecarError, Temporary
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.examine import Examination
from sidecar.flow.execute import insist
from sidecar.flow.inquiry import Inquiry
from sidecar.flow.lanes import Lanes
from sidecar.flow.ports import Bell, Book, Host, Logbook, Meter, Processes, SocketFile, Tmux
from sidecar.flow.recover import Recoverer
from sidecar.flow.resume import case_of, mark_of
from sidecar.flow.supervise import speaks_for
from sidecar.flow.ward import Case, Ward
from sidecar.model.check import name_of
from sidecar.model.incident import (
    Asker,
    Broken,
    Cause,
    Evidence,
    Exit,
    Failure,
    FailureKind,
    Finding,
    IncidentState,
    Intent,
    Role,
    Signal,
    SignalKind,
    Unit,
)
from sidecar.model.plan import Refusal, Strategy
from sidecar.model.policy import Mode, Restore
from sidecar.model.record import Action, IncidentRow, KnownSession, Standing, Watched
from sidecar.model.session import Look, Presence, Session, armed_in
from sidecar.model.status import DryRun
from sidecar.model.surroundings import Surroundings

LOOK_EVERY = 5.0
"""Seconds; the longest time between two full looks."""
_RING_EVERY = 6
"""Ticks between two rings of our own."""
_BELL_RETRY = 1.0
_BELL_FRESH = 1.0
"""Seconds for which the look that came with the bell is the present."""
_OVERSLEPT = 5.0
"""Seconds; whoever is so late was stopped, or the machine was asleep."""
_REMEMBERED = 64
_CUT_OFF_REST = 4.0
"""Seconds; the longest rest after a recovery that could not be put on record."""

Spawn = Callable[[str, Coroutine[Any, Any, None]], None]


@dataclass(frozen=True, slots=True)
class Tools:
    """What the watch works with."""

    tmux: Tmux
    bell: Bell
    book: Book
    host: Host
    processes: Processes
    socket: SocketFile
    clock: Clock
    log: Logbook
    meter: Meter
    checkpointer: Checkpointer
    recoverer: Recoverer
    lanes: Lanes
    examination: Examination
    inquiry: Inquiry
    spawn: Spawn


class Watch:
    """Sees to it that what is expected is there."""

    def __init__(self, ward: Ward, tools: Tools, on_cycle: Callable[[], None]) -> None:
        self._ward = ward
        self._t = tools
        self._on_cycle = on_cycle
        self._inbox: asyncio.Queue[Signal] = asyncio.Queue()
        self._bell_look: tuple[Look, float] | None = None
        """With the moment of its arrival, in seconds since boot."""
        self._presence = Presence.UNKNOWN
        self._recorded: dict[str, IncidentRow] = {}
        """Failures that an earlier run had looked into and that are still open."""
        self._left_open: set[str] = set()
        """Sessions with an incident that an earlier run has left waiting."""
        self._around: Surroundings | None = None
        """What the machine has told about the failures that are at hand."""
        self._missed: dict[str, float] = {}
        """When a look had come back without a session for the first time, in monotonic seconds."""
        self._recent: deque[Finding] = deque(maxlen=_REMEMBERED)
        """The last findings that were acted upon: a new one may share its origin with them."""
        self.cycled = 0.0
        """Wall seconds of the last finished cycle."""
        self.cycles = 0
        """How many have finished."""
        self.first_cycle = asyncio.Event()

    def signal(self, kind: SignalKind, *, ended: Exit | None = None, session: str = "") -> None:
        """Put a reason to look into the inbox."""
        seen = ended.seen if ended else self._t.clock.monotonic()
        self._inbox.put_nowait(Signal(kind, seen, ended, session))

    def process_ended(self, ended: Exit) -> None:
        """Callback of the process door."""
        self._ward.note_exit(ended)
        self.signal(
            SignalKind.SERVER_EXIT if ended.role is Role.SERVER else SignalKind.PROCESS_EXIT, ended=ended
        )

    async def take_up_unfinished(self) -> None:
        """Take the leases of all recoveries that an earlier run has left; they go on after the first look."""
        for unfinished in await self._t.book.unfinished():
            if unfinished.recovery.session not in self._ward.cases:
                self.open_case(case_of(unfinished, self._t.clock))

    async def tidy(self) -> None:
        """Before anything is begun: a recovery that ended just before the sidecar did has left its marks."""
        left = await self._t.book.unfinished()
        with contextlib.suppress(SidecarError):
            await self._t.tmux.unmark_others([mark_of(one.recovery) for one in left])

    async def load(self) -> None:
        """Remember whom an earlier run looked after, and expect whom a workspace file declares."""
        remembered = await self._t.book.known_sessions()
        for known in remembered:
            if known.standing is Standing.RELEASED:
                self._ward.released[known.name] = known.instance
            else:
                self._ward.expected[known.name] = Expected(
                    known.name, instance=known.instance, declared=known.declared
                )
                self._ward.written[known.name] = known.instance
        for row in await self._t.book.open_incidents():
            self._left_open.add(row.session)
            if row.intent is Intent.FAILURE:
                self._recorded[row.session] = row
        self._ward.footings.update(await self._t.book.footings())
        self._ward.checks.update({row.name: row for row in await self._t.book.checks()})
        self._ward.declare()
        for known in remembered:
            entry = self._ward.expected.get(known.name)
            if entry is not None and entry.declared != known.declared:
                await self._t.book.remember(replace(known, declared=entry.declared))

    async def tick(self) -> None:
        """A signal at least every :data:`LOOK_EVERY` seconds, for ever; now and then through the bell."""
        for number in itertools.count(1):
            self.signal(SignalKind.TICK)
            began = self._t.clock.boottime()
            await self._t.clock.sleep(LOOK_EVERY)
            late = self._t.clock.boottime() - began - LOOK_EVERY
            if late > _OVERSLEPT:
                # Looks that were under way then are thrown away where they are taken.
                self._t.log.say(Action.WOKE_UP, level="warning", late=round(late, 1))
            if number % _RING_EVERY == 0 and self._ward.look.presence is Presence.PRESENT:
                # A user's `set-hook` without an index has removed ours; a ring sets them again.
                with contextlib.suppress(SidecarError):
                    await self._t.bell.ring()

    async def socket(self) -> None:
        """A signal when the socket file comes, goes or changes; nothing else tells of that."""
        while True:
            await self._t.socket.changed()
            self.signal(SignalKind.SOCKET)

    async def doorbell(self) -> None:
        """Arm the bell, wait for a ring, again, for ever."""
        losses = 0
        while True:
            look = await self._t.bell.arm()
            if look.presence is not Presence.PRESENT:
                await self._t.clock.sleep(_BELL_RETRY)
                continue
            self._bell_look = look, self._t.clock.boottime()
            self.signal(SignalKind.DOORBELL)
            ring = await self._t.bell.rung()
            if ring.words and look.server is not None:
                self._ward.last_words = {look.server.pid: ring.words}
            self.signal(SignalKind.DOORBELL)
            losses = losses + 1 if ring.cut_off else 0
            if ring.cut_off:
                self._t.meter.connection_lost()
                self._t.log.say(Action.CONNECTION_LOST, level="warning", hint="It is made again at once.")
            if losses > 1:
                # Somebody ends it again and again; the ticks still come.
                await self._t.clock.sleep(_BELL_RETRY)

    async def run(self) -> None:
        """Cycles, for ever."""
        while True:
            signals = [await self._inbox.get()]
            while not self._inbox.empty():
                signals.append(self._inbox.get_nowait())
            began = self._t.clock.monotonic()
            await self._cycle(await self._fresh_look(max(signal.seen for signal in signals)))
            self.cycled = self._t.clock.wall()
            self.cycles += 1
            self.first_cycle.set()
            if len(signals) > 1 or not self._inbox.empty():
                took = self._t.clock.monotonic() - began
                await self._t.clock.sleep(rest(took, self._ward.stress))

    async def _fresh_look(self, since: float) -> Look:
        """The bell's own look if it is younger than the signals, else another one."""
        rung, self._bell_look = self._bell_look, None
        if rung is not None and rung[0].taken >= since and self._t.clock.boottime() - rung[1] < _BELL_FRESH:
            return rung[0]
        return await self._t.tmux.look()

    async def _cycle(self, look: Look) -> None:
        self._ward.look = look
        self._tell_presence(look)
        if look.presence is Presence.PRESENT:
            self._ward.forget_reused(look)
        free = {name: entry for name, entry in self._ward.expected.items() if name not in self._ward.cases}
        examined = await self._t.examination.examine(look, free)
        if look.presence is Presence.UNKNOWN:
            await self._attend_all(examined, look)
        else:
            alive = look.presence is Presence.ABSENT and await self._t.tmux.live_server() != 0
            await self._compare(look, free, examined, alive)
        # With a hundred sessions each of these takes milliseconds; what waits for its turn goes in between.
        await asyncio.sleep(0)
        self._t.checkpointer.consider(look)
        await asyncio.sleep(0)
        self._on_cycle()

    async def _compare(
        self, look: Look, free: Mapping[str, Expected], examined: Sequence[Finding], server_alive: bool
    ) -> None:
        # While a server of ours is out of reach, what another one shows in its place is not ours to adopt.
        hidden, supervisor = cut_off(examined), self._t.examination.supervisor
        # Before anything else, and without asking what surrounds it: it has the shortest way to go.
        self._around = None
        for failure in await supervisor.follow(look, free):
            await self._attend_all(self.diagnose(failure, look), look)
        apart = supervisor.down
        found = detect(
            free, look, self._ward.exits,
            server_alive=server_alive, now=look.taken, cut_off=hidden, apart=apart,
        )  # fmt: skip
        examined = [finding for finding in examined if not speaks_for(apart, finding)]
        await self._follow_names(look, found)
        fresh = [failure for failure in found.failures if not self._waits(failure)]
        fresh = [failure for failure in fresh if self._is_certain(failure, look)]
        await self._forget_doubts(look)
        self._around = await self._t.inquiry.about(fresh, free) if fresh else None
        for failure in fresh:
            await self._attend_all(self.diagnose(failure, look), look)
        await self._attend_all(examined, look)
        if look.presence is Presence.PRESENT and not hidden:
            await self._follow_released(look)
            failures = (*found.failures, *(finding.failure for finding in examined))
            # As in the rest of the cycle, what waits for its turn goes in between.
            await asyncio.sleep(0)
            await self._adopt(look, {failure.session for failure in failures} | supervisor.broken)
            await supervisor.meet(look)
            await asyncio.sleep(0)
            self._watch_processes(look)
            supervisor.show()
            # A server that goes at this very moment is for the next look, which its end asks for.
            with contextlib.suppress(SidecarError):
                await self._arm(look)
            await supervisor.record()

    def _is_certain(self, failure: Failure, look: Look) -> bool:
        """Whether it can be acted upon; else it is looked at again at once."""
        name, entry = failure.session, self._ward.expected.get(failure.session)
        missed = self._missed.get(name)
        if certain(failure, Doubt(entry, look, self._ward.exits, self._t.host.boot_id, missed)):
            return True
        if failure.unit is Unit.SESSION:
            self._missed.setdefault(name, self._t.clock.monotonic())
        self.signal(SignalKind.RETRY, session=name)
        return False

    async def _forget_doubts(self, look: Look) -> None:
        """What was missed once and is there again is put on record as stale."""
        for name in [name for name in self._missed if look.find(name) is not None]:
            del self._missed[name]
            if name in self._ward.expected and name not in self._ward.cases:
                now = self._t.clock.wall()
                await self._t.book.refuse(name, CAME_BACK, Asker.WATCHER, now, None, None)
                self._t.meter.refusal(CAME_BACK.reason)

    async def _follow_names(self, look: Look, found: Detection) -> None:
        for old, live in found.renamed:
            entry = self._ward.expected[old]
            self._ward.expected[live.name] = Expected(
                live.name, entry.server, entry.session, entry.instance, entry.declared, entry.lost, entry.gone
            )
            if old in self._ward.standstills:
                await self.dismiss(old, f"it is now called {live.name}")
            known = self._ward.known(look, live, self._t.clock.wall())
            await self._t.book.rename(old, known)
            self._ward.written[live.name] = known.instance
            self._ward.footings_follow(old, live.name)
            self.forget(old)
            self._t.log.say(Action.SESSION_RENAMED, session=live.name, old=old)
        for live in found.replaced:
            await self.dismiss(live.name, "somebody has made a session of this name")
            # What is broken in it shows at the next look, from which on it is expected as it is.
            self.signal(SignalKind.RETRY, session=live.name)

    async def _follow_released(self, look: Look) -> None:
        """Who was released stays so under another name."""
        assert look.server is not None
        ward, lives = self._ward, {instance_of(look.server, live): live for live in look.sessions}
        for old, instance in list(ward.released.items()):
            live = lives.get(instance)
            if live is None or live.name in ward.released or look.find(old) is not None:
                continue
            ward.released[live.name] = instance
            known = KnownSession(live.name, Standing.RELEASED, instance, False, self._t.clock.wall())
            if ward.declares(old):
                # Under its old name it would be created again at once, as its file declares it.
                await self._t.book.remember(known, Action.SESSION_RELEASED, f"it was called {old}")
            else:
                await self._t.book.rename(old, known)
                ward.footings_follow(old, live.name)
                del ward.released[old]
            self._t.log.say(Action.SESSION_RENAMED, session=live.name, old=old)

    def _waits(self, failure: Failure, program: str = "") -> bool:
        """Whether it was refused and nothing has changed since, or it is too early to try again."""
        now = self._t.clock.monotonic()
        # A program has rests of its own.
        rests = not program and self._ward.rests(failure.session, now)
        return self._ward.stands_still(failure, now) or rests

    async def _attend_all(self, findings: Iterable[Finding], look: Look) -> None:
        """Hand findings to the pipeline, one at a time for each session; a person's doing is none."""
        for finding in findings:
            if self._waits(finding.failure, finding.program):
                continue
            if finding.intent is Intent.PERSON and await self._leave_alone(finding, look):
                continue
            if not self._ward.draining and finding.failure.session not in self._ward.cases:
                self.open_case(Case(finding, self._before(finding, look), Asker.WATCHER, look))

    def diagnose(self, failure: Failure, look: Look) -> tuple[Finding, ...]:
        """Name the causes of a failure by what is known now."""
        examined = self._t.examination.finding(failure)
        if examined is not None:
            return (examined,)
        entry = self._ward.expected.get(failure.session)
        server = self._ward.exits.get(entry.server.pid) if entry and entry.server else None
        context = Context(
            look=look,
            expected=entry,
            exits=self._ward.exits,
            server_exit=server,
            bell_words=self._ward.last_words.get(entry.server.pid, "") if entry and entry.server else "",
            boot_id=self._t.host.boot_id,
            missed=self._missed.get(failure.session),
            surroundings=self._around,
        )
        recorded = self._opinion(failure) if entry and entry.session is None else None
        found = diagnose(failure, context, is_shell, recorded, self._recent)
        return self._t.examination.supervisor.claim(found)

    def _opinion(self, failure: Failure) -> Opinion | None:
        """What an earlier run had found out about this failure; what it knew of another one says nothing."""
        row = self._recorded.get(failure.session)
        alike = row is not None and (row.failure, row.unit) == (failure.kind, failure.unit)
        return _opinion_of(row) if row is not None and alike else None

    def _before(self, finding: Finding, look: Look) -> Session | None:
        live = look.find(finding.failure.session) if look.presence is Presence.PRESENT else None
        if live is None:
            return None
        return self._ward.expect(look, live).session

    def open_case(self, case: Case) -> None:
        """Take the lease and set the pipeline going."""
        self._ward.cases[case.session] = case
        self._missed.pop(case.session, None)
        self._recent.append(case.finding)
        self._t.spawn(f"recover {case.session}", self._recover(case))
        look = case.look
        if self._t.inquiry.pending and look is not None and not self._t.examination.owns(case.finding):
            work = self._t.inquiry.afterwards(case, lambda around: self._again(case, look, around))
            self._t.spawn(f"evidence {case.session}", work)

    def _again(self, case: Case, look: Look, around: Surroundings) -> tuple[Finding, ...]:
        """The diagnosis as it would have been, had this been known in time."""
        self._around = around
        return self.diagnose(case.finding.failure, look)

    async def _recover(self, case: Case) -> None:
        whole = False
        try:
            if case.unfinished is not None:
                await self.first_cycle.wait()
            async with self._t.lanes.turn(case, lambda: self._note(case)):
                await self._t.recoverer.recover(case)
            whole = True
        except SidecarError as error:
            case.fail(error)
            self._t.log.say(
                Action.TASK_FAILED, level="error", session=case.session, error=str(error), hint=error.hint
            )
        finally:
            self._leave(case, whole)

    async def _note(self, case: Case) -> None:
        """Put on record what waits for its turn, and why it broke: after a crash nobody could tell."""
        if case.unfinished is None:
            # What the book cannot take now is written when its turn has come.
            with contextlib.suppress(SidecarError):
                await self._t.recoverer.open(case)

    def _leave(self, case: Case, whole: bool) -> None:
        """Give the lease back; or keep it, where something has begun and was not brought to its end."""
        if not whole:
            self._ward.set_back(case.session, self._t.clock.monotonic(), _CUT_OFF_REST)
        case.fail(Temporary("the recovery was cut off", hint="Ask again; the log says why."))
        if whole or not case.recovery:
            self._ward.cases.pop(case.session, None)
            case.over.set()
            self._t.spawn(f"retry {case.session}", self._look_again(case.session))
            if not self._ward.draining and (case.unfinished is not None or not whole):
                # One may have begun although nobody has heard of it: the book was late.
                self._t.spawn("unfinished", self._take_up_the_rest())
        elif self._ward.draining:
            # Who waits for the lease is told that we stop.
            case.over.set()
        else:
            self._t.spawn(f"recover {case.session}", self._go_on(case))

    async def _take_up_the_rest(self) -> None:
        await insist(self.take_up_unfinished, self._t.clock, self._t.log)

    async def _go_on(self, case: Case) -> None:
        """Take up what was cut off by a fault of ours, as the next start would; the lease goes on."""
        await self._t.clock.sleep(_CUT_OFF_REST)
        left = await insist(lambda: self._t.book.unfinished(case.recovery), self._t.clock, self._t.log)
        self._ward.cases.pop(case.session, None)
        for unfinished in left:
            self.open_case(case_of(unfinished, self._t.clock))
        case.over.set()

    async def _look_again(self, session: str) -> None:
        """Look when the session may be tried again, which is at once unless it was set back."""
        setback = self._ward.setbacks.get(session)
        if setback is not None:
            await self._t.clock.sleep(max(setback.until - self._t.clock.monotonic(), 0.0))
        self.signal(SignalKind.RETRY, session=session)

    def _tell_presence(self, look: Look) -> None:
        """Say it once when the server comes, goes, or cannot be asked."""
        if look.presence is self._presence and self.first_cycle.is_set():
            return
        self._presence = look.presence
        if look.presence is Presence.PRESENT:
            self._t.log.say(Action.SERVER_FOUND, server=str(look.server), tmux=look.version)
        else:
            level = "info" if look.presence is Presence.ABSENT else "warning"
            self._t.log.say(Action.SERVER_LOST, level=level, presence=look.presence, cause=look.reason)

    async def _leave_alone(self, finding: Finding, look: Look) -> bool:
        """What a person closed stays closed. False when policy wants it back all the same."""
        name = finding.failure.session
        if finding.failure.unit is Unit.SESSION:
            if self._ward.restore_policy(name) is Restore.ALWAYS:
                return False
            await self._t.book.forget(name, Action.SESSION_CLOSED, finding.cause)
            self.forget(name)
            self._t.log.say(
                Action.SESSION_CLOSED,
                session=name,
                cause=finding.cause,
                evidence=[fact.fact for fact in finding.evidence],
                hint=f"`{asking('recover', name)}` brings it back.",
            )
            return True
        for part in finding.failure.broken:
            self._ward.exits.pop(part.pid, None)
            if part.unit is Unit.PANE and self._ours(part, look):
                await self._close_pane(name, part, finding)
        return True

    def _ours(self, part: Broken, look: Look) -> bool:
        """Whether the dead pane is there only because we asked tmux to keep it."""
        return any(
            window.armed or pane.kept
            for session in look.sessions
            for window in session.windows
            for pane in window.panes
            if pane.id == part.pane
        )

    async def _close_pane(self, name: str, part: Broken, finding: Finding) -> None:
        """Close what tmux itself would have closed, had we not asked it to keep failed panes."""
        await self._t.book.audit(
            Action.PANE_CLOSED,
            self._t.clock.wall(),
            session=name,
            reason=finding.cause,
            detail={"pane": part.pane, "evidence": [fact.fact for fact in finding.evidence]},
        )
        await self._t.tmux.close_pane(part.pane, part.pid)

    async def _adopt(self, look: Look, broken: Collection[str]) -> None:
        """Expect from now on what is there now, and remember it. ``broken`` names those in bad order."""
        ward = self._ward
        assert look.server is not None
        if "" not in broken and self._stands_still("") and "" not in ward.cases:
            await self.dismiss("", "the server is in good order again")
        for live in look.sessions:
            if live.name in ward.cases or live.name in ward.released:
                continue
            if not ward.manages(live.name, live):
                if live.name in ward.expected:
                    await self._t.book.forget(live.name, Action.SESSION_RELEASED, "not managed any more")
                    self.forget(live.name)
                    await self._t.tmux.disarm(*armed_in([live]))
                continue
            ward.expect(look, live)
            if live.name not in broken:
                self._recorded.pop(live.name, None)
            if ward.written.get(live.name) != instance_of(look.server, live):
                await self._remember(look, live)
            if live.name not in broken and not ward.rests(live.name, look.taken):
                ward.setbacks.pop(live.name, None)
                if self._stands_still(live.name):
                    await self.dismiss(live.name, "it is in good order again")

    async def _remember(self, look: Look, live: Session) -> None:
        """Write down that we look after it; at the next look again if the book cannot take it now."""
        known = self._ward.known(look, live, self._t.clock.wall())
        try:
            await self._t.book.remember(known, Action.SESSION_ADOPTED)
        except Temporary as error:
            self._t.log.say(
                Action.TASK_FAILED, level="error", session=live.name, error=str(error), hint=error.hint
            )
            return
        self._ward.written[live.name] = known.instance
        self._t.log.say(Action.SESSION_ADOPTED, session=live.name)

    def _stands_still(self, name: str) -> bool:
        """Whether an incident waits, of this run or of an earlier one."""
        return name in self._ward.standstills or name in self._left_open

    async def dismiss(self, name: str, why: str) -> None:
        """What was wrong with a session is over without us."""
        self._ward.standstills.pop(name, None)
        self._left_open.discard(name)
        for incident in await self._t.book.open_incidents():
            if incident.session == name:
                await self._t.book.move_incident(
                    incident.id, IncidentState.DISMISSED, self._t.clock.wall(), sentence=why
                )

    def forget(self, name: str) -> None:
        """The session is not in our care any more."""
        self._ward.forget(name)
        self._recorded.pop(name, None)
        self._missed.pop(name, None)
        self._t.checkpointer.forget(name)
        self._t.meter.forget_session(name)

    def _watch_processes(self, look: Look) -> None:
        assert look.server is not None
        supervised = self._t.examination.supervisor.running()
        self._t.processes.follow([Watched(Role.SERVER, look.server.pid), *supervised, *self._programs()])

    def _programs(self) -> Iterable[Watched]:
        for name, entry in self._ward.expected.items():
            if entry.session is None or entry.server != self._ward.look.server:
                continue
            for pane in entry.session.panes():
                if pane.dead:
                    continue
                yield Watched(Role.PANE, pane.pid, name, pane.id)
                program = pane.program.pid if pane.program else NOT_RUNNING
                if program != NOT_RUNNING and program not in self._ward.exits:
                    yield Watched(Role.PROGRAM, program, name, pane.id)

    async def _arm(self, look: Look) -> None:
        """Have failed panes kept where we may act; elsewhere, leave tmux as its user set it."""
        ours = [session for session in look.sessions if session.name in self._ward.expected]
        if self._ward.settings.recovery.mode is Mode.OBSERVE:
            await self._t.tmux.disarm(*armed_in(ours))
            return
        bare = {
            window.id
            for session in ours
            for window in session.windows
            if window.remain_on_exit == "off" and not window.armed
        }
        keep, let_go = self._t.examination.supervisor.kept(look)
        if bare or keep:
            await self._t.tmux.arm(sorted(bare), sorted(keep))
        if let_go:
            await self._t.tmux.disarm((), sorted(let_go))

    async def ask(self, name: str) -> tuple[Failure, Look] | Refusal | None:
        """Look at one session on request. None: it is in good order."""
        look = await self._t.tmux.look()
        check = self._ward.check(name_of(name))
        if check is not None and check.about and look.find(check.about) is None:
            # What is wrong then is wrong with its session.
            name, check = check.about, None
        if check is not None:
            finding = await self._t.examination.ask(check, look)
            return (finding.failure, look) if finding is not None else None
        entry = self._ward.expected.get(name)
        free = {} if entry is None else {name: entry}
        examined = await self._t.examination.examine(look, free)
        concerned = [finding.failure for finding in examined if finding.failure.session in ("", name)]
        if look.presence is Presence.UNKNOWN and not concerned:
            return server_unknown(look)
        if look.presence is not Presence.PRESENT and concerned:
            return concerned[0], look
        if entry is not None:
            alive = look.presence is Presence.ABSENT and await self._t.tmux.live_server() != 0
            hidden = cut_off(examined)
            supervisor = self._t.examination.supervisor
            await supervisor.observe(look)
            apart = supervisor.down
            found = detect(
                free, look, self._ward.exits,
                server_alive=alive, now=look.taken, cut_off=hidden, apart=apart,
            )  # fmt: skip
            ruled = {one.failure for one in examined if speaks_for(apart, one)}
            concerned = [failure for failure in concerned if failure not in ruled]
            failures = (*found.failures, *concerned, *await supervisor.failures(name))
            if not failures:
                return None
            self._around = await self._t.inquiry.about(failures[:1], free, patient=True)
            return failures[0], look
        if look.presence is Presence.PRESENT and look.find(name) is not None:
            return None
        return Failure(name, FailureKind.REQUESTED, (Broken(Unit.SESSION),), look.taken), look

    async def dry_run(
        self,
        failure: Failure,
        look: Look,
        strategy: Strategy | None = None,
        asker: Asker = Asker.OPERATOR,
        *,
        recorded: bool = False,
    ) -> DryRun | Refusal:
        """What would be done about a failure if this one asked, without doing it."""
        case = self.case_for(failure, look, asker)
        case.strategy = strategy
        return await self._t.recoverer.dry_run(case, recorded=recorded)

    async def take_up(self, known: KnownSession) -> None:
        """A person wants the session to be looked after."""
        await self._t.book.remember(known, Action.SESSION_ADOPTED, "asked for", Asker.OPERATOR)
        self._ward.written[known.name] = known.instance
        self._ward.expected[known.name] = Expected(
            known.name, instance=known.instance, declared=known.declared
        )

    def case_for(self, failure: Failure, look: Look, asker: Asker) -> Case:
        """A case on request. A session that is not expected any more has only the request as evidence."""
        known = failure.session in self._ward.expected or not failure.session or bool(failure.check)
        if known:
            finding = self.diagnose(failure, look)[0]
        else:
            fact = Evidence(asker, "asked for; the session is not there and not expected")
            finding = Finding(
                failure,
                Cause.REPORTED,
                Intent.UNKNOWN,
                (fact,),
                f"{failure.session}@{failure.first_sign:.6f}",
            )
        return Case(finding, self._before(finding, look), asker, look)


def _opinion_of(row: IncidentRow) -> Opinion:
    facts = [Evidence(**fact) for fact in row.evidence]
    told = Evidence("record", "found out by an earlier run of the sidecar")
    return Opinion(row.cause, row.intent, tuple(dict.fromkeys([*facts, told])), row.origin)
