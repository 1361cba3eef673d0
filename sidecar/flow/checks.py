"""The examiner of health checks: each asked in its own time, in a task of its own, and judged by its course.

A cycle of the watch only reads what is known. A check about a session says nothing while that is not
there: what is wrong then is the session's own failure. What runs in a pane gets a moment to start before
its failures count.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sidecar.clock import Clock
from sidecar.decide.check import Course, broken_part, find_pane, finding, follow, heal_of, is_of, pause
from sidecar.decide.defaults import Premises, defaults
from sidecar.decide.detect import Expected, instance_of
from sidecar.decide.weather import failures_in_a_row
from sidecar.errors import SidecarError
from sidecar.flow.person import Person
from sidecar.flow.ports import Book, CheckMeter, Dismiss, Logbook, Stopped
from sidecar.flow.rounds import Question, Rounds
from sidecar.flow.ward import Ward
from sidecar.flow.workers import Work, Workers
from sidecar.model.check import Check, CheckRow, CheckState, CheckStatus
from sidecar.model.heal import Heal, target_of
from sidecar.model.incident import Broken, Cause, Finding, IncidentState
from sidecar.model.notice import Matter
from sidecar.model.probe import ProbeResult
from sidecar.model.record import Action, IncidentRow
from sidecar.model.session import Look, Pane, Presence, Session

REMEMBERED = 5
"""Tries of each check; there may be hundreds of checks."""
_FRESH, _FRESH_COMMAND = 0.25, 1.0
"""Seconds for which an answer counts as one of now; a command that is run costs more than a question."""
_SURVEY_EVERY = 30.0
_STARTING = 10.0
"""Seconds that what was started in a pane has at least before its failures count."""
_ENDED = 2.0
"""Seconds after the end of a program, in which somebody may be starting it again."""
_WAITING = (IncidentState.HELD, IncidentState.GIVEN_UP)


@dataclass(frozen=True, slots=True)
class _Life:
    """What is another once the session, or the program that a check is about, is started anew."""

    session: Hashable
    pane: int = 0
    """Its process."""
    program: int = 0
    """The process in front of it; 0 while there is none."""

    def has_ended(self, before: _Life) -> bool:
        """Whether all that happened is that the program has ended."""
        return self == replace(before, program=0)


@dataclass(slots=True)
class _Memory:
    check: Check
    question: Question[Check]
    course: Course
    counts_from: float
    """Monotonic seconds; failures before that do not count."""
    heard: float = float("-inf")
    """When the last try began that is part of the course."""
    life: _Life | None = None
    """The session and the program that it was last asked about."""
    proven: bool = True
    """Whether it has passed since it was given time to start."""
    ran: tuple[str, ...] = ()
    """What ran in front of its pane when it last passed."""
    unwritten: str | None = None
    """What was found at its last turn, if that is not on record yet."""


@dataclass(slots=True)
class Checks:
    """Finds checks that fail, and sees when they pass again."""

    ward: Ward
    rounds: Rounds[Check]
    book: Book
    stopped: Stopped
    person: Person
    clock: Clock
    meter: CheckMeter
    log: Logbook
    notice: Callable[[], None]
    """Puts a reason to look into the watch's inbox."""
    dismiss: Dismiss
    survey: Callable[[], Awaitable[Premises]] | None = None
    """Tells what the defaults are about; without it there are none."""
    _workers: Workers = field(init=False)
    _checks: tuple[Check, ...] | None = None
    """Those that are asked; None before the first look."""
    _memories: dict[str, _Memory] = field(default_factory=dict)
    """By the name of the check."""
    _look: Look = field(default_factory=lambda: Look(Presence.UNKNOWN, 0.0))

    causes = frozenset({Cause.CHECK_FAILED})

    def __post_init__(self) -> None:
        self._workers = Workers("check", self._work, self.clock, self.log)

    async def run(self) -> None:
        """Keep one task for each check, for ever."""
        await self._workers.run()

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        if look.presence is not Presence.UNKNOWN:
            self._look = look
        await self._follow()
        for memory in self._memories.values():
            self._notice_life(memory)
        return [
            self._finding(memory)
            for memory in self._memories.values()
            if (memory.course.state is CheckState.FAILING or self._still_to_be_told(memory))
            and not memory.check.shown_only
            and (not memory.check.about or memory.check.about in free)
        ]

    def _still_to_be_told(self, memory: _Memory) -> bool:
        """Until whoever was called has heard that it passes, nobody else may end what waits because of it."""
        return memory.unwritten is not None and memory.check.subject in self.ward.standstills

    async def still(self, finding: Finding, look: Look) -> bool:
        check = self.ward.check(finding.failure.check)
        if check is None or (check.about and _there(check, look) is None):
            return False
        return await self._fails(check, _FRESH if check.probe.address else _FRESH_COMMAND)

    async def ask(self, check: Check, look: Look) -> Finding | None:
        self._look = look
        return self._finding(self._memory(check)) if await self._fails(check, 0.0) else None

    def statuses(self) -> tuple[CheckStatus, ...]:
        """How all of them stand now."""
        return tuple(map(self._status, self._memories.values()))

    def states(self) -> Mapping[str, CheckState]:
        """The same in one word for each."""
        return {
            name: self._shown(memory.check, memory.course.state, self.ward.vain(name))
            for name, memory in self._memories.items()
        }

    async def run_now(self, name: str) -> CheckStatus | None:
        """Ask one now, and how it stands after that. None: there is none of this name.

        A check about a session that is not there is not asked.
        """
        check = self.ward.check(name)
        if check is None:
            return None
        if not check.about or _there(check, self._look) is not None:
            await self._ask(check)
        return self._status(self._memory(check))

    async def _fails(self, check: Check, fresh: float) -> bool:
        """Ask once more, unless that was done so many seconds ago; whether it does not pass yet."""
        await self._ask(check, since=self.clock.monotonic() - fresh)
        course = self._memory(check).course
        return course.good == 0 or course.state is CheckState.FAILING

    def _memory(self, check: Check) -> _Memory:
        known = self._memories.get(check.name)
        if known is not None and (known.check is check or known.check == check):
            return known
        now = self.clock.monotonic()
        question = Question(check.name, check, check.probe, check.about)
        fresh = _Memory(check, question, Course(since=now), now + check.grace)
        if self.ward.check(check.name) == check:
            # What is asked of one that has just been replaced is of no interest any more.
            self._memories[check.name] = fresh
        return fresh

    async def _follow(self) -> None:
        """The checks as they are configured now; the tasks follow, and the memories of others go."""
        checks = tuple(self.ward.checks_in_force.values())
        if checks == self._checks:
            return
        self._checks = checks
        self._memories = {check.name: self._memory(check) for check in checks}
        self.rounds.keep([memory.question for memory in self._memories.values()])
        self._workers.follow()
        # What the book cannot tell now is dismissed by a person, or by a later change.
        with contextlib.suppress(SidecarError):
            for row in await self.book.open_incidents():
                known = row.cause is not Cause.CHECK_FAILED or any(is_of(one, row.origin) for one in checks)
                if not known and not self._is_worked(row):
                    await self.dismiss(row.session, "there is no such check any more")

    def _is_worked(self, row: IncidentRow) -> bool:
        """Whether a heal is under way, which ends the incident itself."""
        return row.state is IncidentState.RECOVERING or row.session in self.ward.cases

    def _work(self) -> Work:
        work: dict[Hashable, Callable[[], Coroutine[Any, Any, None]]] = {
            check: partial(self._pursue, check) for check in self._checks or ()
        }
        if self.survey is not None:
            work[""] = self._look_around
        return work

    async def _look_around(self) -> None:
        """What the defaults are about, as it is now, and the rest until the next time."""
        assert self.survey is not None
        built_in = defaults(await self.survey())
        if built_in != self.ward.built_in:
            self.ward.built_in = built_in
            self.notice()
        await self.clock.sleep(_SURVEY_EVERY)

    async def _pursue(self, check: Check) -> None:
        """One try, and the rest until the next."""
        question = self._memory(check).question
        if not self.rounds.standing(question).tries:
            await self.rounds.rest(question)
        if check.about and _there(check, self._look) is None:
            self._turn_unknown(check)
            await self.rounds.rest(question, check.interval)
            return
        await self._ask(check)
        await self.rounds.rest(question, self._pause(check))

    def _pause(self, check: Check) -> float:
        memory = self._memory(check)
        tries = self.rounds.standing(memory.question).tries
        until = memory.counts_from - self.clock.monotonic()
        return self.rounds.jittered(pause(check, memory.course, failures_in_a_row(tries), until))

    async def _ask(self, check: Check, since: float = float("inf")) -> None:
        memory = self._memory(check)
        standing = await self.rounds.ask(memory.question, since=since)
        begun = self.rounds.asked(memory.question)
        if begun > memory.heard:
            memory.heard = begun
            self._hear(check, memory, standing.tries[-1], begun)
        if memory.unwritten is not None:
            await self._record(check, memory)

    def _hear(self, check: Check, memory: _Memory, result: ProbeResult, begun: float) -> None:
        before = memory.course
        memory.course = now = follow(before, check, result, begun, memory.counts_from)
        if now.state is CheckState.PASSING:
            memory.proven = True
            memory.ran = self._program(check) or memory.ran
        if now.state is before.state:
            return
        self.meter.stands(check.name, passing=now.state is not CheckState.FAILING)
        if now.state is CheckState.FAILING or (now.state is CheckState.PASSING and self._matters(check)):
            memory.unwritten = result.fact
            self._say(check, now.state, result.fact)
            self.notice()

    def _matters(self, check: Check) -> bool:
        """Whether anybody knows that it failed, of this run or of an earlier one."""
        return check.name in self.ward.checks

    def _say(self, check: Check, state: CheckState, fact: str) -> None:
        failing = state is CheckState.FAILING
        self.log.say(
            Action.CHECK_FAILED if failing else Action.CHECK_PASSED,
            level="warning" if failing else "info",
            session=check.subject,
            check=check.name,
            probe=check.probe.describe(),
            found=fact,
        )

    async def _record(self, check: Check, memory: _Memory) -> None:
        """Put its last turn on record; at its next try again if the book cannot take it now."""
        failing, fact = memory.course.state is CheckState.FAILING, memory.unwritten or ""
        vain = self.ward.vain(check.name) if failing else 0
        row = CheckRow(check.name, failing, vain, self.clock.wall())
        try:
            await self.book.check_turned(row, check.subject, fact)
            if not failing:
                await self._settle(check, fact)
        except SidecarError as error:
            self.log.say(Action.TASK_FAILED, level="error", task="check", error=str(error), hint=error.hint)
            return
        memory.unwritten = None
        if failing or vain:
            self.ward.checks[check.name] = row
        else:
            self.ward.checks.pop(check.name, None)

    async def _settle(self, check: Check, fact: str) -> None:
        """What waits because of it is over; whoever was called is told."""
        for row in await self.book.open_incidents():
            if row.state in _WAITING and is_of(check, row.origin):
                await self.dismiss(row.session, f"check {check.name} passes again")
                await self._tell(check, row, fact)

    async def _tell(self, check: Check, row: IncidentRow, fact: str) -> None:
        text = f"check {check.name} passes again: {fact}"
        await self.person.tell(Matter.CHECK_RECOVERED, row.session, text, row.trace, check.name)

    def _notice_life(self, memory: _Memory) -> None:
        """Give time to start to what is there anew."""
        check = memory.check
        if not check.about:
            return
        session = _there(check, self._look)
        life = _life(check, session, self._look) if session else None
        before, memory.life = memory.life, life
        if life == before or life is None:
            return
        if memory.course.state is CheckState.UNKNOWN:
            self.rounds.hurry(memory.question)
        if before is None or not memory.proven:
            return
        ended = life.has_ended(before)
        memory.proven = ended
        if not ended:
            self._forget_failures(memory)
        time = _ENDED if ended else max(check.grace, _STARTING)
        memory.counts_from = max(memory.counts_from, self.clock.monotonic() + time)

    def _forget_failures(self, memory: _Memory) -> None:
        """Those of what was there before say nothing of what was started since; what waits for it goes on."""
        check = memory.check
        told = memory.unwritten is not None or check.subject in self.ward.standstills
        if memory.course.bad and not told and not self._heals(check):
            memory.course = Course(since=self.clock.monotonic())

    def _heals(self, check: Check) -> bool:
        case = self.ward.cases.get(check.subject)
        return case is not None and case.finding.failure.check == check.name

    def _turn_unknown(self, check: Check) -> None:
        memory = self._memory(check)
        now = self.clock.monotonic()
        memory.course = Course(since=memory.course.since).turn(CheckState.UNKNOWN, now)

    def _finding(self, memory: _Memory) -> Finding:
        check, heal = memory.check, heal_of(memory.check, self.ward.vain(memory.check.name))
        result = self.rounds.standing(memory.question).tries[-1]
        pane = find_pane(heal, _there(check, self._look))
        part = broken_part(check, heal, pane, memory.ran)
        return finding(check, memory.course, result, self._with_start(part))

    def _with_start(self, part: Broken) -> Broken:
        """The part with the moment at which its process began, by which it is known again."""
        state = self.stopped.state(part.pid) if part.pid else None
        return part if state is None else replace(part, started=state.started)

    def _program(self, check: Check) -> tuple[str, ...]:
        pane = find_pane(_pane_heal(check), _there(check, self._look))
        return pane.program.argv if pane is not None and pane.program is not None else ()

    def _status(self, memory: _Memory) -> CheckStatus:
        check, tries = memory.check, self.rounds.standing(memory.question).tries
        ahead = self.clock.wall() - self.clock.monotonic()
        vain, due = self.ward.vain(check.name), self.rounds.due(memory.question)
        return CheckStatus(
            check,
            self._shown(check, memory.course.state, vain),
            ahead + memory.course.since,
            tries[-1].fact if tries else "",
            tries[-1].took if tries else 0.0,
            next_try=0.0 if due is None else ahead + due,
            vain=vain,
        )

    def _shown(self, check: Check, state: CheckState, vain: int) -> CheckState:
        if state is not CheckState.FAILING:
            return state
        if self._heals(check):
            return CheckState.HEALING
        return CheckState.GIVEN_UP if check.heal and vain >= check.tries else state


def _there(check: Check, look: Look) -> Session | None:
    """The session that it is about."""
    return look.find(check.about) if look.presence is Presence.PRESENT and check.about else None


def _life(check: Check, session: Session, look: Look) -> _Life:
    pane: Pane | None = find_pane(_pane_heal(check), session)
    assert look.server is not None
    instance = instance_of(look.server, session)
    if pane is None:
        return _Life(instance)
    return _Life(instance, pane.pid, pane.program.pid if pane.program else 0)


def _pane_heal(check: Check) -> Heal | None:
    """The first of its heals that works on a pane."""
    return next((heal for heal in check.heal if target_of(heal) is not None), None)
