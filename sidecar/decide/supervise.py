"""Supervision: whether a program that has ended is started again, and when.

What a rule wants is asked first, then how often it was started lately, then how long it has to rest, and
then whether what it comes after is well. Times are wall seconds throughout.
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sidecar.decide import budget
from sidecar.decide.by_hand import asking
from sidecar.decide.casting import means
from sidecar.decide.clues import describe_code
from sidecar.decide.invocation import invocations, without_blank_tail
from sidecar.decide.resume import MATCHED
from sidecar.decide.shells import is_shell
from sidecar.decide.wall import age
from sidecar.model.incident import Exit, Intent, Unit
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.policy import Restore
from sidecar.model.session import Pane
from sidecar.model.supervise import Life, ProgramRule, ProgramState, Spot

BY_RULE = frozenset(
    {
        RefusalReason.BACKING_OFF,
        RefusalReason.WAITS_FOR_PROGRAM,
        RefusalReason.INTENSITY_EXCEEDED,
        RefusalReason.RESTART_POLICY,
    }
)
"""Refusals of rules for programs, which are asked anew by themselves."""
PATIENCE = 30.0
"""Seconds that a program waits for what it comes after before a person hears of it."""
_FIRST_DELAY = 0.5
_JITTER = 0.1
_CTRL_C = frozenset({-signal.SIGINT, 128 + signal.SIGINT})
_ORDERLY = frozenset({0, -signal.SIGHUP, -signal.SIGPIPE, -signal.SIGTERM})


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look tells of the program of one pane."""

    unit: Unit
    """PANE where it is the pane's own process, else PROGRAM."""
    pid: int
    """0 where it is missing and was never seen."""
    argv: tuple[str, ...] = ()
    running: bool = True
    code: int | None = None
    """How it ended, if it has."""
    seen: float | None = None
    """When it ended, in monotonic seconds; None where that is not known."""
    busy: bool = False
    """Something else runs in front of its shell."""


@dataclass(frozen=True, slots=True)
class Member:
    """One pane under supervision."""

    label: str
    """What its rule is called."""
    rule: ProgramRule
    spot: Spot
    pane: str
    """The pane's id."""
    unit: Unit
    life: Life
    busy: bool = False
    """Something else runs in front of its shell."""


class Ending(StrEnum):
    """What the end of a program means by its rule."""

    MISSING = "missing"
    """It was never seen."""
    EXPECTED = "expected"
    PERSON = "person"
    ORDERLY = "orderly"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Move(StrEnum):
    """What is done about a program that does not run."""

    START = "start"
    BACK_OFF = "back_off"
    WAIT = "wait"
    STAY = "stay"
    HOLD = "hold"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Ruling:
    """The decision about one program that does not run, and why."""

    move: Move
    ending: Ending
    until: float | None = None
    """When the same question may get another answer."""
    ailing: tuple[str, ...] = ()
    """What it waits for, each with what is wrong with it."""


def fits(rule: ProgramRule, argv: Sequence[str], *, own: bool) -> bool:
    """Whether this is the rule's program; ``own``: it is a pane's process, and no shell for people."""
    words = without_blank_tail(tuple(argv))
    if rule.command:
        return matches(rule.command, words)
    return own if not rule.run else own or _is_run(rule.run, words)


def _is_run(run: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """Whether a command line is what these words start; a script's begins with its interpreter."""
    # Some write their own command line as one word: npm, for one.
    if words in (run, (" ".join(run),)):
        return True
    for call in invocations(words):
        path = call.program[-1]
        # What was found in PATH has its whole path here.
        if (path if "/" in run[0] else call.name, *call.arguments) == run and len(call.program) > 1:
            return True
    return False


def matches(pattern: str, argv: Sequence[str]) -> bool:
    """Whether a regular expression is found in a command line, as rules see it."""
    calls = invocations(without_blank_tail(tuple(argv)))
    return any(re.search(pattern, call.text[:MATCHED]) for call in calls)


def sight(
    rule: ProgramRule, live: Pane, life: Life, exits: Mapping[int, Exit], gone: Callable[[int], bool]
) -> Sight | None:
    """What is seen of the rule's program in this pane; None where nothing is, or nothing new.

    ``gone`` tells whether no process has this pid any more, for one that ended while nobody watched.
    """
    if live.dead:
        return _dead(rule, live, life, exits)
    if live.argv and not is_shell(live.argv):
        ended = live.pid in exits
        return (
            Sight(Unit.PANE, live.pid, live.argv) if fits(rule, live.argv, own=True) and not ended else None
        )
    found = live.program
    if found is not None and found.pid not in exits and fits(rule, found.argv, own=False):
        return Sight(Unit.PROGRAM, found.pid, found.argv)
    return _absent(rule, live, life, exits, gone) if live.argv else None


def _dead(rule: ProgramRule, live: Pane, life: Life, exits: Mapping[int, Exit]) -> Sight | None:
    same = life.pid == live.pid
    argv = live.argv or (life.argv if same else ())
    words = argv or _started_as(live)
    if not (same or live.start_command) or is_shell(words) or not fits(rule, words, own=True):
        return None
    known = exits.get(live.pid)
    code = known.code if known is not None and known.code is not None else live.dead_status
    return Sight(Unit.PANE, live.pid, argv, False, code, known.seen if known else None)


def _started_as(live: Pane) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(live.start_command))
    except ValueError:
        return (live.start_command,)


def _absent(
    rule: ProgramRule, live: Pane, life: Life, exits: Mapping[int, Exit], gone: Callable[[int], bool]
) -> Sight | None:
    """A shell without the program in front: it has ended, goes on in the background, or never was there."""
    busy = live.program is not None and live.program.pid not in exits
    ended = Sight(Unit.PROGRAM, life.pid, life.argv, False, life.code, busy=busy)
    if life.pid == 0:
        return ended if rule.run else None
    if life.ended is not None:
        return ended
    known = exits.get(life.pid)
    if known is not None:
        return replace(ended, code=known.code, seen=known.seen)
    return ended if gone(life.pid) else None


def runs(life: Life, seen: Sight, rule: ProgramRule, now: float, old: float | None = None) -> Life:
    """What is known once it was seen running; ``old`` is for how long it has been, if the kernel says so."""
    if (seen.pid, None) != (life.pid, life.ended):
        first = life.pid == 0 and life.ended is None
        # Of whoever was there before us and cannot be asked, it is taken that it has had its grace.
        since = now - (old if old is not None else rule.start_grace if first else 0.0)
        told = life.told and life.given_up
        return replace(life, pid=seen.pid, argv=seen.argv, since=since, ended=None, code=None, told=told)
    ran = now - life.since
    if life.failed and ran >= rule.start_grace:
        life = replace(life, failed=0)
    if life.given_up and ran >= max(rule.intensity.period, rule.start_grace):
        life = replace(life, given_up=False, told=False)
    return life


def ends(life: Life, seen: Sight, rule: ProgramRule, at: float, roll: float) -> Life:
    """What is known once it was seen to have ended at this moment; ``roll`` is uniform from 0 to 1."""
    if seen.pid == life.pid and life.ended is not None:
        # How it ended may be learnt later than that.
        learnt = life.code is None and seen.code is not None
        return replace(life, code=seen.code, told=life.told and life.given_up) if learnt else life
    if seen.pid == life.pid:
        ran = age(life.since, at, at - life.since) if life.pid else rule.start_grace
    else:
        # It began and ended between two looks; of the first one ever, nobody knows.
        ran = 0.0 if life.pid else rule.start_grace
    failed = life.failed + 1 if ran < rule.start_grace else 0
    return replace(
        life,
        pid=seen.pid,
        argv=seen.argv or life.argv,
        since=life.since if seen.pid == life.pid else at,
        ended=at,
        code=seen.code,
        failed=failed,
        due=at + delay(rule, failed, roll),
        told=life.told and life.given_up,
    )


def delay(rule: ProgramRule, failed: int, roll: float) -> float:
    """Seconds between an end and the next start, after so many failed starts in a row."""
    if failed == 0:
        return min(rule.delay, rule.max_delay)
    steps = min(failed, 32)
    growing = max(rule.delay * 2.0**steps, _FIRST_DELAY * 2.0 ** (steps - 1))
    # Not all that went together come back in step.
    return min(growing * (1.0 + _JITTER * roll), rule.max_delay)


def ending(rule: ProgramRule, life: Life) -> Ending:
    """What its end means."""
    if life.pid == 0:
        return Ending.MISSING
    if life.code is None:
        return Ending.UNKNOWN
    if life.code in rule.expected_exits:
        return Ending.EXPECTED
    if life.code in _CTRL_C:
        return Ending.PERSON
    return Ending.ORDERLY if life.code in _ORDERLY else Ending.FAILED


_WANTED: Mapping[Restore, frozenset[Ending]] = {
    Restore.ALWAYS: frozenset({Ending.MISSING, Ending.ORDERLY, Ending.FAILED, Ending.UNKNOWN}),
    Restore.ON_FAILURE: frozenset({Ending.MISSING, Ending.FAILED}),
    Restore.NEVER: frozenset(),
}


def rule_on(
    member: Member, starts: Sequence[float], ailing: Sequence[str], pace: float, now: float
) -> Ruling:
    """Decide about a program that does not run.

    ``starts`` are its restarts within the period of its intensity and within ``pace``, the seconds between
    two attempts at what was given up; ``ailing`` is what is wrong with what it comes after.
    """
    rule, life = member.rule, member.life
    end = ending(rule, life)
    if end not in _WANTED[rule.restart]:
        unsure = end is Ending.UNKNOWN and rule.restart is Restore.ON_FAILURE
        return Ruling(Move.HOLD if unsure else Move.STAY, end)
    if life.given_up:
        slow = max((pace - age(one, now, pace) for one in starts), default=0.0)
        if slow > 0.0:
            return Ruling(Move.GIVE_UP, end, now + slow)
    free = budget.next_free(starts, rule.intensity, now)
    if free > 0.0:
        return Ruling(Move.GIVE_UP, end, now + max(free, pace - age(max(starts), now, pace)))
    # A clock that was set back is no reason to wait for longer than the rule says.
    rest = min(_due(member, starts) - now, rule.max_delay)
    if rest > 0.0 and not life.given_up:
        return Ruling(Move.BACK_OFF, end, now + rest)
    ailing = ("something else runs in front of its shell", *ailing) if member.busy else ailing
    if ailing:
        return Ruling(Move.WAIT, end, ailing=tuple(ailing))
    return Ruling(Move.START, end)


def _due(member: Member, starts: Sequence[float]) -> float:
    """The earliest moment of the next start; each that has come to nothing since its end was a failed one."""
    rule, life = member.rule, member.life
    vain = [one for one in starts if life.ended is not None and one >= life.ended]
    return max(vain) + delay(rule, life.failed + len(vain), 0.0) if vain else life.due


def marked(life: Life, ruling: Ruling, now: float) -> tuple[Life, bool]:
    """The life with what the ruling leaves in it, and whether a person has to hear of it now."""
    if ruling.move is Move.GIVE_UP:
        return replace(life, given_up=True, told=True), not life.told
    since = max(life.ended or now, life.due)
    news = ruling.move is Move.HOLD or (ruling.move is Move.STAY and ruling.ending is Ending.FAILED)
    if news or (ruling.move is Move.WAIT and now - since >= PATIENCE):
        return replace(life, told=True), not life.told
    return life, False


def ailments(
    member: Member, members: Collection[Member], unwell: Callable[[Member], str], now: float
) -> Iterator[str]:
    """What keeps it from being started: everything that it comes after and that is not well."""
    for word in member.rule.after:
        named = [one for one in members if _meant(word, one)]
        here = [one for one in named if one.spot.session == member.spot.session]
        chosen = here if here and ":" not in word else named
        if not chosen:
            yield f"{word} is not there"
        for one in chosen:
            if why := ailment(one, unwell, now):
                yield f"{one.label} ({one.spot}) {why}"


def ailment(member: Member, unwell: Callable[[Member], str], now: float) -> str:
    """Why the program is not well, in words that follow its name; empty if it is."""
    life = member.life
    if life.pid == 0 or life.ended is not None:
        return "does not run"
    if now - life.since < member.rule.start_grace:
        return f"has not run for {member.rule.start_grace:g} s yet"
    return unwell(member)


def _meant(word: str, member: Member) -> bool:
    session, colon, rest = word.partition(":")
    if not colon:
        return means(word, member.rule)
    window, _, pane = rest.rpartition(".")
    spot = member.spot
    return (session, int(pane)) == (spot.session, spot.pane) and window in (spot.window, str(spot.index))


def matters(ruling: Ruling) -> bool:
    """Whether it is not as it should be that the program does not run."""
    return ruling.move is not Move.STAY or ruling.ending is Ending.FAILED


def lately(member: Member, starts: Sequence[float], now: float) -> int:
    """How many of these restarts lie within the period of its intensity."""
    period = member.rule.intensity.period
    return sum(age(one, now, period) < period for one in starts)


def state(member: Member, ruling: Ruling | None, now: float) -> ProgramState:
    """How it stands, in one word. ``ruling`` is what was decided last, while it does not run."""
    life = member.life
    if life.pid and life.ended is None:
        young = now - life.since < member.rule.start_grace
        return ProgramState.STARTING if young else ProgramState.RUNNING
    return _STATES[ruling.move] if ruling is not None else ProgramState.STARTING


_STATES: Mapping[Move, ProgramState] = {
    Move.START: ProgramState.STARTING,
    Move.BACK_OFF: ProgramState.BACKING_OFF,
    Move.WAIT: ProgramState.WAITING,
    Move.STAY: ProgramState.STOPPED,
    Move.HOLD: ProgramState.UNKNOWN,
    Move.GIVE_UP: ProgramState.GIVEN_UP,
}


def intent(ruling: Ruling) -> Intent:
    """Whether its end counts as a failure, by its rule."""
    if not matters(ruling):
        return Intent.PERSON
    return Intent.UNKNOWN if ruling.move is Move.HOLD else Intent.FAILURE


def refusal(member: Member, ruling: Ruling, now: float) -> Refusal | None:
    """Why it is not started now; None if it is. A person who asks has it started all the same."""
    if ruling.move is Move.START:
        return None
    name, rule = member.spot.session, member.rule
    reason, words, hint = {
        Move.STAY: _stays(member, ruling),
        Move.HOLD: (RefusalReason.RESTART_POLICY, "only failures are restarted, and this may be none", ""),
        Move.BACK_OFF: (RefusalReason.BACKING_OFF, "it is started again in a while", "It goes on by itself."),
        Move.WAIT: (
            RefusalReason.WAITS_FOR_PROGRAM,
            f"it waits for what it comes after: {'; '.join(ruling.ailing)}",
            "It is started as soon as that is well.",
        ),
        Move.GIVE_UP: (
            RefusalReason.INTENSITY_EXCEEDED,
            f"{rule.intensity.count} restarts in {rule.intensity.period:g} s did not last: given up",
            "Find out why it keeps ending.",
        ),
    }[ruling.move]
    return Refusal(
        reason,
        f"{described(member)}; {words}",
        hint=f"{hint} `{asking('recover', name)}` starts it now.".strip(),
        retry_after=None if ruling.until is None else max(ruling.until - now, 0.0),
    )


def _stays(member: Member, ruling: Ruling) -> tuple[RefusalReason, str, str]:
    if ruling.ending is Ending.FAILED:
        return RefusalReason.RESTART_POLICY, "restart is `never`", ""
    why = {Ending.EXPECTED: "as its rule expects", Ending.PERSON: "a person stopped it"}
    words = why.get(ruling.ending, "that was no failure")
    return RefusalReason.RESTART_POLICY, f"{words}; it stays so", ""


def described(member: Member) -> str:
    """Which program ended how, for people."""
    return f"{member.label} in {member.spot} {describe_end(member.life)}"


def describe_end(life: Life) -> str:
    """How it ended, for people."""
    return "was never seen running" if life.pid == 0 else describe_code(life.code)
