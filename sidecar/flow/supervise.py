"""The supervisor: which programs of rules run, and which of those that have ended are to be started now.

It starts nothing itself: what is due becomes a failure like any other, and goes through the pipeline with
its lease, its journal and its verdict. What is known of each program is in the book, so that a restart of
ours forgets nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sidecar.clock import Clock, Dice
from sidecar.decide import supervise as rules
from sidecar.decide.casting import labels
from sidecar.decide.detect import Expected
from sidecar.decide.restart import by_rule
from sidecar.decide.supervise import Member, Move, Ruling, Sight
from sidecar.errors import SidecarError
from sidecar.flow.ports import Book, Logbook, LookAgain, Stopped, Wellness
from sidecar.flow.ward import Ward
from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Role, Unit
from sidecar.model.plan import Resumption
from sidecar.model.policy import Restore
from sidecar.model.record import Action, ProgramRow, Watched
from sidecar.model.session import Look, Pane, Presence, SavedPane, Session, Window
from sidecar.model.supervise import Life, ProgramRule, ProgramStatus, Spot

_POLL = 0.25
"""Seconds between two looks while a program waits for another one to be well."""
_SOONEST = 0.001
_FRESH = 0.25
"""Seconds for which a decision is one of now: nobody else starts a program whose session is being healed."""


@dataclass(slots=True)
class _Charge:
    """A program in our care."""

    member: Member
    live: Pane
    window: Window
    ruling: Ruling | None = None
    """What was decided last, since it ended."""
    starts: tuple[float, ...] = ()
    """When we have started it, as far back as any limit looks; wall seconds."""
    ruled: float = float("-inf")
    """Monotonic seconds at which that was decided."""
    recount: bool = True
    """It may have been started since that was asked last."""
    first_sign: float = 0.0
    """Monotonic seconds at which it was known to have ended."""
    woken: float = 0.0
    """Monotonic seconds of the look that was asked for last."""

    @property
    def down(self) -> bool:
        life = self.member.life
        return life.pid == 0 or life.ended is not None

    @property
    def wanting(self) -> bool:
        """Whether it does not run and that is not as it should be."""
        return self.down and (self.ruling is None or rules.matters(self.ruling))

    def settled(self, now: float) -> bool:
        """Whether what was decided last need not be asked again yet. ``now`` is wall seconds."""
        if self.ruling is None or self.ruling.move in (Move.START, Move.WAIT):
            return False
        return self.ruling.until is None or now < self.ruling.until


class Supervisor:
    """Follows the programs that rules of the configuration are about."""

    def __init__(
        self,
        ward: Ward,
        book: Book,
        stopped: Stopped,
        clock: Clock,
        dice: Dice,
        log: Logbook,
        notice: LookAgain,
        wellness: Wellness,
    ) -> None:
        self._ward = ward
        self._book = book
        self._stopped = stopped
        self._clock = clock
        self._dice = dice
        self._log = log
        self._notice = notice
        self._wellness = wellness
        self._charges: dict[str, _Charge] = {}
        """By pane id."""
        self._server = ""
        self._remembered: dict[str, ProgramRow] = {}
        """By pane id, what the book knows in this life of the server, or has to learn."""
        self._rows: list[ProgramRow] = []
        """What the book has to learn."""

    async def observe(self, look: Look) -> None:
        """Look at every program."""
        if look.presence is not Presence.PRESENT or not (self._ward.settings.programs or self._charges):
            return
        await self._know(look)
        self._charges = {charge.member.pane: charge for charge in self._see(look)}
        self._ward.awaited = {
            pane: Broken(Unit.PROGRAM, pane, charge.member.life.pid)
            for pane, charge in self._charges.items()
            if charge.wanting and charge.member.unit is Unit.PROGRAM
        }

    async def follow(self, look: Look, free: Mapping[str, Expected]) -> tuple[Failure, ...]:
        """Look at every program, and decide about those that do not run. What is to be acted upon now.

        Only sessions that nobody is healing (``free``) are decided about.
        """
        found: list[Failure] = []
        for one in self._charges.values():
            self._ward.restarted.setdefault((one.member.spot.session, one.member.label), 0)
        try:
            await self.observe(look)
            if look.presence is not Presence.PRESENT:
                self._ward.programs = ()
                return ()
            for charge in self._charges.values():
                if charge.down and charge.member.spot.session in free:
                    found.extend(await self._decide(charge))
        except SidecarError as error:
            # What the book does not say now is asked at the next look.
            self._complain(error)
        return tuple(found)

    async def meet(self, look: Look) -> None:
        """See at once what runs in sessions that were adopted at this look."""
        known = self._charges.keys()
        try:
            await self.observe(look)
        except SidecarError as error:
            self._complain(error)
        if any(charge.down for pane, charge in self._charges.items() if pane not in known):
            self._notice()

    def running(self) -> Iterator[Watched]:
        """The programs whose end has to be told, also of sessions that are being healed."""
        for charge in self._charges.values():
            if not charge.down:
                member = charge.member
                role = Role.PANE if member.unit is Unit.PANE else Role.PROGRAM
                yield Watched(role, member.life.pid, member.spot.session, member.pane)

    def show(self) -> None:
        """How every program stands; once its end is watched for, so that whoever sees it may end it."""
        self._ward.programs = tuple(map(self._status, self._charges.values()))

    async def record(self) -> None:
        """Keep what has changed; at the next look again if the book cannot take it now."""
        rows, self._rows = self._rows, []
        try:
            for charge in self._charges.values():
                if charge.recount:
                    charge.starts, charge.recount = await self._starts(charge.member), False
            if rows:
                await self._book.keep_programs(rows)
        except SidecarError as error:
            self._rows = [*rows, *self._rows]
            self._complain(error)

    @property
    def down(self) -> Collection[str]:
        """The panes whose programs have ended: their rules say what becomes of them, and nobody else."""
        return {pane for pane, charge in self._charges.items() if charge.down}

    @property
    def broken(self) -> frozenset[str]:
        """The sessions in which a program does not run that should."""
        return frozenset(one.member.spot.session for one in self._charges.values() if one.wanting)

    async def failures(self, session: str) -> tuple[Failure, ...]:
        """Every program of a session that does not run and should, whether or not it is time to start it."""
        found = [one for one in self._charges.values() if one.member.spot.session == session and one.down]
        for charge in found:
            await self._rule(charge)
        return tuple(_failure(charge) for charge in found if charge.wanting)

    def claim(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """The same findings; those about our programs with what their rules say of it."""
        return tuple(map(self._claimed, findings))

    async def still(self, finding: Finding, look: Look) -> bool:
        """Whether the program does not run at this look."""
        (part,) = finding.failure.broken
        pane, charge = look.pane(part.pane), self._charges.get(part.pane)
        if pane is None:
            return False
        if part.unit is Unit.PANE:
            return pane.dead
        if pane.dead or charge is None:
            return True
        return pane.program is None or not rules.fits(charge.member.rule, pane.program.argv, own=False)

    async def ruling(self, failure: Failure) -> tuple[Member, Ruling] | None:
        """What the rule of its program says of a failure now; None where there is none."""
        charge = self._of(failure)
        if charge is None:
            return None
        known = charge.ruling if self._clock.monotonic() - charge.ruled < _FRESH else None
        return charge.member, known if known is not None else await self._rule(charge)

    def rules_of(self, session: Session) -> Mapping[str, ProgramRule]:
        """The rules of the session's panes that are under one, by pane id."""
        ids = (pane.id for pane in session.panes())
        return {one: self._charges[one].member.rule for one in ids if one in self._charges}

    def resumed(self, spot: Spot, pane: SavedPane, found: Resumption | None, shell: str) -> Resumption | None:
        """How a program comes back with its session, where ``found`` says how it would without a rule."""
        if found is None:
            return None
        for label, rule in self._named():
            if _aimed(rule, spot) and rules.fits(rule, pane.program, own=False):
                return by_rule(label, rule, found, shell)
        return found

    def kept(self, look: Look) -> tuple[frozenset[str], frozenset[str]]:
        """The panes that tmux has to keep however they end, and those that it keeps for us and need not."""
        wanted = frozenset(
            pane
            for pane, charge in self._charges.items()
            if charge.member.unit is Unit.PANE and charge.member.rule.restart is Restore.ALWAYS
        )
        kept = frozenset(one.id for session in look.sessions for one in session.panes() if one.kept)
        return wanted - kept, kept - wanted

    def _claimed(self, finding: Finding) -> Finding:
        charge = self._of(finding.failure)
        if charge is None or charge.ruling is None:
            return finding
        member, ruling = charge.member, charge.ruling
        (part,) = finding.failure.broken
        words = f"{member.label}: restart is `{member.rule.restart}`, it {rules.describe_end(member.life)}"
        waits = [Evidence("rule", f"it waits: {why}") for why in ruling.ailing]
        missing = ruling.ending is rules.Ending.MISSING
        return replace(
            finding,
            cause=Cause.NEVER_STARTED if missing else finding.cause,
            intent=rules.intent(ruling),
            evidence=(*(() if missing else finding.evidence), Evidence("rule", words), *waits),
            origin=f"program {member.label} {part.pane}@{finding.failure.first_sign:.6f}",
            program=member.label,
        )

    def _of(self, failure: Failure) -> _Charge | None:
        """The program that a failure is about."""
        if len(failure.broken) != 1 or failure.kind is not FailureKind.CRASHED:
            return None
        charge = self._charges.get(failure.broken[0].pane)
        return charge if charge is not None and charge.down else None

    async def _know(self, look: Look) -> None:
        """What an earlier run has left, once for each life of the server."""
        server = str(look.server)
        if server != self._server:
            rows = await self._book.programs(server)
            self._server, self._charges = server, {}
            self._remembered = {row.pane: row for row in rows}

    def _see(self, look: Look) -> Iterator[_Charge]:
        for session in look.sessions:
            if session.name not in self._ward.expected or session.name in self._ward.released:
                continue
            speaking = [(label, rule) for label, rule in self._named() if rule.speaks_of(session.name)]
            for window in session.windows if speaking else ():
                for pane in window.panes:
                    spot = Spot(session.name, window.name, window.index, pane.index)
                    found = next((pair for pair in speaking if _aimed(pair[1], spot)), None)
                    if found is None:
                        continue
                    fresh = Member(*found, spot, pane.id, Unit.PANE, Life())
                    if (charge := self._charge(fresh, pane, window)) is not None:
                        yield charge

    def _named(self) -> list[tuple[str, ProgramRule]]:
        given = self._ward.settings.programs
        return list(zip(labels(given), given, strict=True))

    def _charge(self, fresh: Member, pane: Pane, window: Window) -> _Charge | None:
        """The program of a pane as it is known, and as it is seen; None where there is none."""
        known, row = self._charges.get(pane.id), self._remembered.get(pane.id)
        life = known.member.life if known else (row.life if row else Life())
        seen = rules.sight(fresh.rule, pane, life, self._ward.exits, self._gone)
        if seen is None and life == Life():
            return None
        charge = known or _Charge(fresh, pane, window)
        if charge.member.rule != fresh.rule:
            charge.ruling = None
        unit = seen.unit if seen is not None else charge.member.unit
        charge.live, charge.window = pane, window
        charge.member = replace(fresh, unit=unit, life=life, busy=seen is not None and seen.busy)
        if seen is not None:
            self._learn(charge, seen)
        return charge

    def _learn(self, charge: _Charge, seen: Sight) -> None:
        member, now = charge.member, self._clock.wall()
        if seen.running:
            new = seen.pid != member.life.pid or charge.down
            age = self._stopped.age(seen.pid) if new else None
            life = rules.runs(member.life, seen, member.rule, now, age)
            charge.recount = charge.recount or life.pid != member.life.pid
        else:
            monotonic = self._clock.monotonic()
            first = monotonic if seen.seen is None else seen.seen
            life = rules.ends(member.life, seen, member.rule, now - (monotonic - first), self._dice.roll())
            if life.ended != member.life.ended:
                charge.first_sign = first
            if life is not member.life:
                charge.ruling = None
        if life != member.life:
            charge.member = replace(member, life=life)
            self._note(charge)

    def _gone(self, pid: int) -> bool:
        return self._stopped.state(pid) is None

    def _complain(self, error: SidecarError) -> None:
        self._log.say(Action.TASK_FAILED, level="error", task="programs", error=str(error), hint=error.hint)

    async def _decide(self, charge: _Charge) -> tuple[Failure, ...]:
        """A program that does not run, if something is to be done about that now."""
        before, settled = charge.ruling, charge.settled(self._clock.wall())
        ruling = before if settled and before is not None else await self._rule(charge)
        life, news = rules.marked(charge.member.life, ruling, self._clock.wall())
        if life != charge.member.life:
            charge.member = replace(charge.member, life=life)
            self._note(charge)
        if before is None or before.move is not ruling.move:
            self._tell(charge, ruling)
        self._wake(charge, ruling)
        due = ruling.move is Move.START or news or self._to_be_closed(charge, ruling)
        return (_failure(charge),) if due else ()

    async def _rule(self, charge: _Charge) -> Ruling:
        member, now = charge.member, self._clock.wall()
        charge.starts, charge.recount = await self._starts(member), False
        members = [each.member for each in self._charges.values()]
        ailing = tuple(rules.ailments(member, members, self._unwell, now)) if member.rule.after else ()
        pace = self._ward.settings.recovery.slow_retry
        charge.ruled = self._clock.monotonic()
        charge.ruling = rules.rule_on(member, charge.starts, ailing, pace, now)
        return charge.ruling

    async def _starts(self, member: Member) -> tuple[float, ...]:
        """When it was started, as far back as any limit looks."""
        span = max(member.rule.intensity.period, self._ward.settings.recovery.slow_retry)
        return await self._book.program_starts(member.spot.session, member.pane, self._clock.wall() - span)

    def _unwell(self, member: Member) -> str:
        began = self._clock.monotonic() - (self._clock.wall() - member.life.since)
        return self._wellness.ailing(member.spot, self._charges[member.pane].live, began)

    def _to_be_closed(self, charge: _Charge, ruling: Ruling) -> bool:
        """Whether the pane is there only because we asked for it, and nothing of it is to come back."""
        ours = charge.live.dead and (charge.live.kept or charge.window.armed)
        return ours and not rules.matters(ruling)

    def _wake(self, charge: _Charge, ruling: Ruling) -> None:
        """Have it looked at again when the same question may get another answer."""
        now = self._clock.monotonic()
        if ruling.move is Move.WAIT:
            at = now + _POLL
        elif ruling.until is not None:
            at = now + max(ruling.until - self._clock.wall(), _SOONEST)
        else:
            return
        if not now < charge.woken <= at:
            charge.woken = at
            self._notice(at - now)

    def _tell(self, charge: _Charge, ruling: Ruling) -> None:
        member = charge.member
        refusal = rules.refusal(member, ruling, self._clock.wall())
        words = refusal.sentence if refusal else rules.described(member)
        self._log.say(
            Action.PROGRAM_ENDED,
            level="info" if ruling.move in (Move.START, Move.STAY) else "warning",
            session=member.spot.session,
            rule=member.label,
            pane=member.pane,
            move=ruling.move,
            sentence=words,
        )
        if ruling.move is not Move.START:
            self._note(charge, Action.PROGRAM_ENDED, ruling.move, words)

    def _note(
        self, charge: _Charge, action: Action | None = None, reason: str = "", sentence: str = ""
    ) -> None:
        """For the book, with what goes on record of it."""
        member, session = charge.member, charge.member.spot.session
        row = ProgramRow(
            session, member.pane, self._server, member.label, member.life, action, reason, sentence
        )
        self._rows.append(row)
        self._remembered[member.pane] = row

    def _status(self, charge: _Charge) -> ProgramStatus:
        member, ruling, now = charge.member, charge.ruling if charge.down else None, self._clock.wall()
        life, refusal = member.life, rules.refusal(member, ruling, now) if ruling is not None else None
        return ProgramStatus(
            rule=member.label,
            session=member.spot.session,
            place=f"{member.spot.index}.{member.spot.pane}",
            pane=member.pane,
            state=rules.state(member, ruling, now),
            pid=0 if charge.down else life.pid,
            since=life.since if life.ended is None else life.ended,
            code=life.code,
            restarts=rules.lately(member, charge.starts, now),
            until=ruling.until if ruling is not None else None,
            waits_for=ruling.ailing if ruling is not None else (),
            note=refusal.sentence if refusal is not None else "",
        )


def speaks_for(apart: Collection[str], finding: Finding) -> bool:
    """Whether a finding is about nothing but panes (``apart``) whose programs have rules of their own."""
    parts = finding.failure.broken
    return bool(parts) and all(part.pane in apart for part in parts)


def _aimed(rule: ProgramRule, spot: Spot) -> bool:
    return rule.speaks_of(spot.session) and rule.points_at(spot.window, spot.index, spot.pane)


def _failure(charge: _Charge) -> Failure:
    member = charge.member
    pid = charge.live.pid if member.unit is Unit.PANE else member.life.pid
    part = Broken(member.unit, member.pane, pid, member.life.code)
    return Failure(member.spot.session, FailureKind.CRASHED, (part,), charge.first_sign)
