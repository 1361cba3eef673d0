"""What the corridor knows between two looks: who is expected, what ended, who is being healed.

Lives on the event loop alone; nothing here awaits. The durable part is in the book.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sidecar.config import SessionOverride, Settings
from sidecar.decide import climb
from sidecar.decide.defaults import asked
from sidecar.decide.detect import (
    Expected,
    instance_of,
    killed_panes,
    killed_programs,
    killed_windows,
)
from sidecar.decide.fitting import fitting
from sidecar.decide.matchers import shown
from sidecar.decide.quiet import in_force
from sidecar.decide.remember import carry
from sidecar.errors import SidecarError
from sidecar.model.archive import Order
from sidecar.model.check import Check, CheckRow
from sidecar.model.incident import Asker, Broken, Cause, Exit, Failure, FailureKind, Finding, Unit
from sidecar.model.ladder import Footing, Ladder, ladder_for, rung_of
from sidecar.model.plan import Difference, Plan, Refusal, RefusalReason, Resort, StepKind, Strategy
from sidecar.model.policy import Restore, RetryPolicy, Shape
from sidecar.model.quiet import ForeignSilence, Hush, Silence
from sidecar.model.record import (
    IncidentRow,
    KnownSession,
    Rehearsal,
    Standing,
    StoredTotals,
    Unfinished,
    Usage,
)
from sidecar.model.session import Look, Presence, Session
from sidecar.model.status import Answer
from sidecar.model.stress import Stress
from sidecar.model.supervise import ProgramStatus
from sidecar.model.workspace import Workspace

DRAINING = Refusal(RefusalReason.DRAINING, "the sidecar is stopping", hint="Ask again in a moment.")
"""The answer to whoever asks for something while the service stops."""


def busy(name: str) -> Refusal:
    """The answer to whoever asks for something while the session is being recovered."""
    return Refusal(
        RefusalReason.IN_PROGRESS,
        f"a recovery of {name} is under way",
        hint="Wait for its verdict; `sidecar status` shows it.",
        retry_after=5.0,
    )


_LAGS = 60
"""Half a minute of them."""
_EXITS_KEPT = 4096
"""Ends of processes that are remembered; the oldest go first."""
_LONGEST_REST = 30.0
"""Seconds; each setback in a row doubles the rest, which begins with one second."""


@dataclass(slots=True)
class Case:
    """One failure on its way through the pipeline."""

    finding: Finding
    before: Session | None
    """The session with what its broken parts were; None when it is gone."""
    asker: Asker
    look: Look | None = None
    """The look that the failure was found in."""
    strategy: Strategy | None = None
    alert: str = ""
    """The fingerprint of the alert that asks."""
    footing: Footing | None = None
    """Where the session stood on its ladder when it began; what fails on the way does not change that."""
    tried: tuple[Resort, ...] = ()
    """What was tried in vain."""
    paid: bool = False
    """It has taken a unit of the budget of all sessions, for something that has not begun yet."""
    bad_file: str = ""
    """What is wrong with the workspace file that it was built from; empty if nothing is."""
    order: Order | None = None
    """Set when a person has asked for one certain checkpoint."""
    unfinished: Unfinished | None = None
    """Set when it goes on with what another run of the pipeline has begun."""
    incident: IncidentRow | None = None
    """Its incident, once that is on record."""
    recovery: int = 0
    """The row of the recovery, once it has begun."""
    stop: str = ""
    """Why nothing new of it is to be begun."""
    wanted: set[str] = field(default_factory=set)
    """Who would miss it: words for each who has asked and has not taken it back."""
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Set once it is decided, which is before the recovery has ended."""
    in_vain: bool = False
    """It has come to its end without success, and only has to be told yet."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the lease is free for the next one."""

    @property
    def session(self) -> str:
        return self.finding.failure.session

    def reply(self, answer: Answer) -> None:
        """Tell whoever asked; only the first reply counts."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: SidecarError) -> None:
        """Tell whoever asked that there will be no answer, unless there was one."""
        if not self.answer.done():
            self.answer.set_exception(error)
            # Marks it as seen: often nobody has asked.
            self.answer.exception()


@dataclass(frozen=True, slots=True)
class Standstill:
    """A failure about which nothing is done for now, so that it is not decided again at every look."""

    broken: tuple[Broken, ...]
    kind: FailureKind
    """Of the failure that was refused last."""
    reason: RefusalReason
    sentence: str
    retry_at: float | None
    """Monotonic seconds; None: only when something changes or a person asks."""

    def holds(self, now: float) -> bool:
        return self.retry_at is None or now < self.retry_at


@dataclass(frozen=True, slots=True)
class Setback:
    """Recoveries of one session that failed, one after the other."""

    count: int
    until: float
    """Monotonic seconds; the watcher leaves the session alone until then."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """How the last attempt to read the configuration went."""

    good: bool = True
    at: float = 0.0
    """Wall seconds of the last one that succeeded."""


class Ward:
    """The sessions in our care."""

    def __init__(self, settings: Settings, loaded: float = 0.0) -> None:
        """``loaded`` is when the settings were read, in wall seconds."""
        self.settings = settings
        self.loaded = Loaded(at=loaded)
        self.expected: dict[str, Expected] = {}
        self.written: dict[str, str] = {}
        """The instance of each session as the book has it, which may lag behind while it rests."""
        self.released: dict[str, str] = {}
        """Whom a person has taken out of our care, with the life that the session had then, if any."""
        self.look = Look(Presence.UNKNOWN, 0.0, reason="not looked yet")
        self.exits: dict[int, Exit] = {}
        self.last_words: dict[int, str] = {}
        """What a server's waiting client said when the server left it, by the server's pid."""
        self.cases: dict[str, Case] = {}
        """The lease: whoever has a case here is being healed, and by nobody else."""
        self.standstills: dict[str, Standstill] = {}
        self.shapes: dict[str, tuple[Difference, ...]] = {}
        """What of a declared session is not as its file says, and counts."""
        self.footings: dict[tuple[str, FailureKind], Footing] = {}
        """Where sessions stand on their ladders."""
        self.built_in: tuple[Check, ...] = ()
        """The checks that come without being configured."""
        self._in_force: tuple[object, object, Mapping[str, Check]] = (None, None, {})
        self.lags: deque[float] = deque(maxlen=_LAGS)
        """How late the event loop has woken lately, in seconds."""
        self.checks: dict[str, CheckRow] = {}
        """What is remembered of checks that fail, or whose heals have not helped, by name."""
        self.spent: dict[str, float] = {}
        """Origins of incidents that were let through lately, with their wall seconds, ahead of the book."""
        self.setbacks: dict[str, Setback] = {}
        self.totals: Mapping[str, StoredTotals] = {}
        self.usage: Mapping[str, Usage] = {}
        self.rehearsals: dict[str, Rehearsal] = {}
        self.stress = Stress()
        """What the machine is short of."""
        self.programs: tuple[ProgramStatus, ...] = ()
        """The programs under supervision."""
        self.restarted: dict[tuple[str, str], int] = {}
        """By session and rule, the restarts of such programs since we began."""
        self.awaited: Mapping[str, Broken] = {}
        """By pane id, programs under supervision that are missing in front of their shells."""
        self.waiting: Mapping[str, frozenset[str]] = {}
        """By session, the addresses that it waits for and that are down."""
        self.silences: dict[int, Silence] = {}
        """Those that people have asked for and that were not ended."""
        self.foreign: tuple[ForeignSilence, ...] = ()
        """Those of Alertmanagers."""
        self.draining = False

    @property
    def checks_in_force(self) -> Mapping[str, Check]:
        """All that are asked, configured or not, by name."""
        configured, built_in, found = self._in_force
        if configured is not self.settings.checks or built_in is not self.built_in:
            found = {check.name: check for check in asked(self.settings.checks, self.built_in)}
            self._in_force = self.settings.checks, self.built_in, found
        return found

    def check(self, name: str) -> Check | None:
        """The check of this name; None if there is none."""
        return self.checks_in_force.get(name)

    def vain(self, check: str) -> int:
        """How many heals of it in a row have not helped."""
        row = self.checks.get(check)
        return row.vain if row else 0

    def manages(self, name: str, live: Session | None = None) -> bool:
        """Whether the session may be acted on."""
        opted_out = live is not None and live.opted == "off"
        return self.settings.sessions.manages(name) and not opted_out

    def hushes(self, now: float) -> tuple[Hush, ...]:
        """What keeps quiet now, what lasts longest first. ``now`` is wall seconds."""
        return in_force(self.settings.quiet, self.silences.values(), now)

    def shown_hushes(self, now: float) -> tuple[Hush, ...]:
        """The same, and then what Alertmanagers keep quiet."""
        lasting = (one for one in self.foreign if one.begins <= now < one.until)
        return (*self.hushes(now), *map(shown, lasting))

    def restore_policy(self, name: str) -> Restore:
        override = self.settings.sessions.overrides.get(name)
        if override is not None and override.restore is not None:
            return override.restore
        return Restore.ALWAYS if self.declares(name) else self.settings.sessions.restore

    def shape_of(self, name: str) -> Shape:
        """How far the session is held to its workspace file."""
        override = self.settings.sessions.overrides.get(name)
        if override is not None and override.shape is not None:
            return override.shape
        return self.settings.sessions.shape

    def unblock_after(self, name: str) -> float:
        """Seconds that a terminal of the session may be stopped by Ctrl-S; 0: as long as a person likes."""
        override = self.settings.sessions.overrides.get(name)
        if override is not None and override.unblock_terminal is not None:
            return override.unblock_terminal
        return self.settings.sessions.unblock_terminal

    def workspace(self, name: str) -> Workspace | None:
        """The session as a workspace file declares it, if one does."""
        return self.settings.declared.sessions.get(name)

    def declares(self, name: str) -> bool:
        """Whether a workspace file declares the session, or did under an earlier name of it."""
        entry = self.expected.get(name)
        return name in self.settings.declared.sessions or (entry is not None and entry.declared)

    def declare(self) -> None:
        """Expect the declared sessions from now on, and no longer those that are not declared any more."""
        for name, entry in list(self.expected.items()):
            if entry.declared and name not in self.settings.declared.sessions:
                self._no_longer_declared(entry)
        for name in self.settings.declared.sessions:
            known = self.expected.get(name)
            if known is not None:
                self.expected[name] = replace(known, declared=True)
            elif name not in self.released and self.restore_policy(name) is Restore.ALWAYS:
                self.expected[name] = Expected(name, declared=True)

    def _no_longer_declared(self, entry: Expected) -> None:
        if self.settings.declared.broken and entry.instance:
            # The file that declares it may be the one that cannot be read.
            return
        if entry.instance:
            self.expected[entry.name] = replace(entry, declared=False)
        elif entry.name not in self.cases:
            self.forget(entry.name)

    def standing(self, failure: Failure) -> tuple[tuple[str, int], ...]:
        """(pane id, pid) of all that lives in a server that is broken as a whole, as last seen in it."""
        if failure.unit not in (Unit.SERVER, Unit.SOCKET):
            return ()
        panes = {
            pane.id: pane.pid
            for entry in self.expected.values()
            if entry.session is not None
            for pane in entry.session.panes()
            if not pane.dead and pane.pid not in self.exits
        }
        return tuple(panes.items())

    def ladder(self, finding: Finding) -> Ladder:
        """The strategies that may be used for this, first the one to begin with."""
        return self._ladder(finding.failure.session, finding.cause, finding.failure.kind)

    def _ladder(self, session: str, cause: Cause, kind: FailureKind) -> Ladder:
        override = self.settings.sessions.overrides.get(session, SessionOverride())
        return ladder_for(cause, kind, override.ladder, self.settings.recovery.ladders)

    def climbed(self, session: str, now: float) -> Mapping[str, str]:
        """Where the session stands above the first rung that fits, for people. ``now`` is wall seconds."""
        found: dict[str, str] = {}
        for (name, kind), footing in self.footings.items():
            if name != session or not climb.lasts(footing, self.settings.recovery.stable, now):
                continue
            ladder = [rung.strategy for rung in self._ladder(session, footing.cause, kind)]
            break_ = Failure(name, kind, (Broken(footing.unit),), 0.0)
            fits = fitting(break_, footing.cause)
            if footing.strategy in [strategy for strategy in ladder if strategy in fits][1:]:
                place = ladder.index(footing.strategy) + 1
                found[kind] = f"{footing.strategy}, rung {place} of {len(ladder)}"
        return found

    def footings_follow(self, old: str, new: str) -> None:
        """The same session has another name."""
        moved = {kind: footing for (name, kind), footing in self.footings.items() if name == old}
        kept = {key: footing for key, footing in self.footings.items() if key[0] not in (old, new)}
        self.footings = {**kept, **{(new, kind): footing for kind, footing in moved.items()}}

    def retry(self, plan: Plan, kind: StepKind) -> RetryPolicy:
        """How a step of this kind is tried again in this plan."""
        recovery, rung = self.settings.recovery, rung_of(self.ladder(plan.finding), plan.strategy)
        return rung.retry or recovery.operations.get(kind, recovery.retry)

    def note_exit(self, ended: Exit) -> None:
        self.exits[ended.pid] = ended
        while len(self.exits) > _EXITS_KEPT:
            del self.exits[next(iter(self.exits))]

    def forget_reused(self, look: Look) -> None:
        """A process that lives has not ended: its pid was another's before."""
        for session in look.sessions:
            for pane in session.panes():
                leaders = [(pane.pid, pane.argv)]
                if pane.program is not None:
                    leaders.append((pane.program.pid, pane.program.argv))
                for pid, argv in leaders:
                    # A process that has ended has no argv any more, also where tmux does not know yet.
                    if argv and not pane.dead and pid in self.exits and self.exits[pid].seen < look.taken:
                        del self.exits[pid]

    def expect(self, look: Look, live: Session) -> Expected:
        """From now on the session has to be as it is in this look, with what was killed in it."""
        assert look.server is not None
        previous = self.expected.get(live.name)
        instance = instance_of(look.server, live)
        before = previous.session if previous and previous.instance == instance else None
        entry = Expected(
            name=live.name,
            server=look.server,
            session=carry(
                before, live, (*killed_programs(before, live, self.exits, look.taken), *self.awaited.values())
            ),
            instance=instance,
            declared=self.declares(live.name),
            lost=killed_windows(previous, live, look, self.exits) if previous and before else (),
            gone=killed_panes(previous, live, look, self.exits) if previous and before else (),
        )
        self.expected[live.name] = entry
        return entry

    def known(self, look: Look, live: Session, now: float) -> KnownSession:
        """A session that is there, for the book to remember. ``now`` is in wall seconds."""
        assert look.server is not None
        entry = self.expected.get(live.name)
        declared = entry.declared if entry else False
        return KnownSession(live.name, Standing.LIVE, instance_of(look.server, live), declared, now)

    def ask_again(self, reason: RefusalReason | None = None) -> None:
        """What was refused until now (for this reason) may be right by now."""
        at_once = float("-inf")
        self.standstills = {
            name: replace(one, retry_at=at_once) if reason in (None, one.reason) else one
            for name, one in self.standstills.items()
        }

    def hold(self, session: str, still: Standstill, now: float) -> None:
        """Do nothing about these broken parts, nor about those that were refused before."""
        before = self.standstills.get(session)
        whole = any(part.unit in (Unit.SESSION, Unit.SERVER, Unit.SOCKET) for part in still.broken)
        if before is not None and before.holds(now) and not whole:
            others = tuple(part for part in before.broken if part not in still.broken)
            times = [one.retry_at for one in (before, still) if one.retry_at is not None]
            still = replace(still, broken=(*others, *still.broken), retry_at=min(times, default=None))
        self.standstills[session] = still

    def stands_still(self, failure: Failure, now: float) -> bool:
        """Whether all of this was refused, and it is not yet time to ask again. ``now`` is monotonic."""
        still = self.standstills.get(failure.session)
        return still is not None and still.holds(now) and set(failure.broken) <= set(still.broken)

    def set_back(self, session: str, now: float, longest: float = _LONGEST_REST) -> float:
        """A recovery came to nothing: rest before the next one, longer each time. Returns the seconds."""
        count = self.setbacks[session].count + 1 if session in self.setbacks else 1
        rest = min(2.0 ** min(count - 1, 16), longest)
        self.setbacks[session] = Setback(count, now + rest)
        return rest

    def rests(self, session: str, now: float) -> bool:
        """Whether it is too early for the watcher to try again."""
        return session in self.setbacks and now < self.setbacks[session].until

    def forget(self, session: str) -> None:
        """The session is no longer expected."""
        self.restarted = {key: count for key, count in self.restarted.items() if key[0] != session}
        for memory in (self.expected, self.written, self.standstills, self.setbacks, self.shapes):
            memory.pop(session, None)
