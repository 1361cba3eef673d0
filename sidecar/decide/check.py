"""What a row of tries makes of a check, and what is done about one that fails. Pure.

One failure says little and is repeated, unless it leaves no doubt. A heal that has not helped is counted;
when so many have not, none is tried any more, and a person is called.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sidecar import redact
from sidecar.decide import backoff
from sidecar.decide.by_hand import asking
from sidecar.decide.detect import NOT_RUNNING
from sidecar.decide.shells import is_shell
from sidecar.decide.situation import Situation
from sidecar.decide.targets import pane_of
from sidecar.model.check import SUBJECT, Check, CheckState
from sidecar.model.heal import Heal, NotifyHeal, RespawnHeal, RestartHeal, target_of
from sidecar.model.incident import (
    Asker,
    Broken,
    Cause,
    Evidence,
    Failure,
    FailureKind,
    Finding,
    Intent,
    Unit,
)
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.policy import Jitter, RetryPolicy
from sidecar.model.probe import UNASKED, ProbeFault, ProbeResult
from sidecar.model.session import Pane, Session

CONCLUSIVE = frozenset({ProbeFault.REFUSED, ProbeFault.NOT_RUNNING})
"""Faults that leave no doubt, so that they need not be repeated: nobody listens, or nothing runs."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a check has gone so far. Times are monotonic seconds."""

    state: CheckState = CheckState.STARTING
    since: float = 0.0
    """When it got into this state."""
    bad: int = 0
    """Failures in a row that count."""
    good: int = 0
    """Successes in a row."""
    first: float | None = None
    """When the first failure in the row began."""

    def turn(self, state: CheckState, at: float) -> Course:
        """The same in another state; since ``at``, if it is another."""
        return self if state is self.state else replace(self, state=state, since=at)


def follow(before: Course, check: Check, result: ProbeResult, at: float, counts_from: float) -> Course:
    """The course after one more try, which began at ``at``. Failures before ``counts_from`` do not count."""
    if result.fault in UNASKED:
        return before if before.state is CheckState.FAILING else before.turn(CheckState.UNKNOWN, at)
    if result.fault is None:
        now = replace(before, bad=0, good=before.good + 1, first=None)
        back = before.state is not CheckState.FAILING or now.good >= check.recovers
        return now.turn(CheckState.PASSING, at) if back else now
    if at < counts_from:
        state = CheckState.STARTING if before.state is CheckState.UNKNOWN else before.state
        return replace(before, bad=0, good=0, first=None).turn(state, at)
    first = at if before.first is None else before.first
    now = replace(before, bad=before.bad + 1, good=0, first=first)
    if before.state is CheckState.FAILING or now.bad >= check.after or result.fault in CONCLUSIVE:
        return now.turn(CheckState.FAILING, at)
    return now.turn(CheckState.SUSPECT, at)


def pause(check: Check, course: Course, uncounted: int, until_counts: float) -> float:
    """Seconds until the next try.

    A failure is repeated at ``retry_interval`` until it counts, and then ever more slowly. ``uncounted``
    are failures in a row in a time in which they do not count; it is over in ``until_counts`` seconds.
    """
    growing = RetryPolicy(1, check.retry_interval, check.interval, jitter=Jitter.NONE)
    if course.bad:
        return backoff.delay(growing, max(course.bad - check.after + 1, 1), 0.0)
    if not uncounted:
        return check.interval
    return min(backoff.delay(growing, uncounted, 0.0), max(until_counts, check.retry_interval))


def heal_of(check: Check, vain: int) -> Heal | None:
    """What is done about it after so many heals in a row that have not helped."""
    return check.heal[min(vain, len(check.heal) - 1)] if check.heal else None


def find_pane(heal: Heal | None, session: Session | None) -> Pane | None:
    """The pane that the heal works on, as it is now."""
    target = target_of(heal) if heal is not None else None
    return pane_of(session, target) if target is not None and session is not None else None


def broken_part(check: Check, heal: Heal | None, pane: Pane | None, ran: tuple[str, ...]) -> Broken:
    """What is broken: the program that the heal would end, where it works on a pane.

    ``ran`` is what ran in front when the check last passed; empty if that is not known.
    """
    if pane is None:
        return Broken(Unit.CHECK, check=check.name)
    pid = pane.pid
    if isinstance(heal, RestartHeal):
        pid = pane.program.pid if pane.program else NOT_RUNNING if _waits(pane) else pane.pid
    return Broken(Unit.CHECK, pane.id, pid, check=check.name, ran=ran)


def _waits(pane: Pane) -> bool:
    """Whether a shell waits for a command, so that there is no program."""
    return not pane.dead and pane.program is None and is_shell(pane.argv)


def finding(check: Check, course: Course, result: ProbeResult, part: Broken) -> Finding:
    """The check fails: what was asked, and what came back."""
    row = f", {course.bad} in a row" if course.bad > 1 else ""
    facts = (
        Evidence("check", f"{check.name} asks for {check.probe.describe()}"),
        Evidence(
            f"{check.probe.kind} probe", f"{result.fact} ({result.fault}{row}, took {result.took:.2f} s)"
        ),
    )
    first = course.since if course.first is None else course.first
    failure = Failure(check.subject, FailureKind.UNHEALTHY, (part,), first)
    return Finding(failure, Cause.CHECK_FAILED, Intent.FAILURE, facts, origin_of(check, first))


def origin_of(check: Check, first: float) -> str:
    """What the failures of one check, begun at one moment, have in common."""
    return f"{SUBJECT}{check.name}@{first:.3f}"


def is_of(check: Check, origin: str) -> bool:
    """Whether an incident of this origin is about the check."""
    return origin.startswith(f"{SUBJECT}{check.name}@")


def unhealable(situation: Situation) -> Refusal | None:
    """Why nothing is done about a check that fails; None if something is."""
    check, finding = situation.check, situation.finding
    facts = "; ".join(fact.fact for fact in finding.evidence)
    if check is None:
        return Refusal(RefusalReason.STALE, f"no check is called {finding.failure.check} any more")
    heal = heal_of(check, situation.vain)
    if situation.asker is not Asker.OPERATOR and situation.vain >= check.tries and check.heal:
        return _in_vain(situation, check)
    if heal is None or isinstance(heal, NotifyHeal):
        said = heal.text if isinstance(heal, NotifyHeal) and heal.text else f"check {check.name} fails"
        return Refusal(
            RefusalReason.REPORT_ONLY,
            f"{said}: {facts}",
            hint="See for yourself; it is told again when it passes.",
        )
    return _without_pane(check, heal, finding, situation.session)


def _in_vain(situation: Situation, check: Check) -> Refusal:
    facts = situation.finding.evidence[-1].fact
    heals, have = ("1 heal", "has") if situation.vain == 1 else (f"{situation.vain} heals", "have")
    return Refusal(
        RefusalReason.HEALS_IN_VAIN,
        f"{heals} of check {check.name} {have} not helped, and none is tried any more: {facts}",
        hint=f"Find out why, then `{asking('recover', SUBJECT + check.name)}` tries again.",
    )


def _without_pane(check: Check, heal: Heal, finding: Finding, session: Session | None) -> Refusal | None:
    if target_of(heal) is None:
        return None
    (part,) = finding.failure.broken
    if not part.pane:
        return Refusal(
            RefusalReason.NO_CURE,
            f"check {check.name} fails, and the pane that its heal works on is not there: {target_of(heal)}",
            hint="Correct checks[].heal, or make the pane again.",
        )
    pane = next((one for one in session.panes() if one.id == part.pane), None) if session else None
    if pane is None:
        return Refusal(RefusalReason.STALE, f"pane {part.pane} is no longer there")
    return _not_the_program(check, pane, part.ran) if isinstance(heal, RestartHeal) else None


def _not_the_program(check: Check, pane: Pane, ran: tuple[str, ...]) -> Refusal | None:
    """Whoever uses the pane for something else meanwhile is not disturbed."""
    if _waits(pane) and not ran:
        return Refusal(
            RefusalReason.NO_CURE,
            f"check {check.name} fails, nothing runs in pane {pane.id}, and it is not known what did",
            hint="Start it by hand; from then on it is known.",
        )
    if ran and pane.program is not None and pane.program.argv != ran:
        return Refusal(
            RefusalReason.NO_CURE,
            f"check {check.name} fails, and something else runs in pane {pane.id} than when it passed: "
            f"`{redact.command(pane.program.argv)}`",
            hint="It is left alone; end it, and what ran before is started again.",
        )
    return None


def works_on_pane(heal: Heal | None) -> bool:
    """Whether we end and start something in a pane ourselves for it."""
    return isinstance(heal, RestartHeal | RespawnHeal)
