"""What comes next in a plan, by its journal alone. Pure, and the one way to finish.

A fresh run asks after each attempt; a run that takes up what a crash cut off asks the same question of
the same rows. Forward, step after step, each as often as the policy allows. Once a step has failed for
good, or the plan is stopped, backward: whatever was begun and has something to undo is undone, the last
first, and nothing is done again. A compensation that keeps failing does not keep the others from
theirs; it leaves the plan stuck, with the commands that a person should run.

A pivot is a step after which there is no way back: to tear down a session that stands because one of its
programs does not start would do harm. Behind it a failure leaves what stands, and a stop comes too late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sidecar.decide import backoff
from sidecar.decide.by_hand import undo_commands
from sidecar.model.plan import Plan, Step
from sidecar.model.policy import RetryPolicy
from sidecar.model.saga import Attempt, AttemptState, Journal, Phase, SagaPolicy, TransactionOutcome


@dataclass(frozen=True, slots=True)
class Do:
    """Carry a step out, at ``at`` (wall seconds) or as soon as possible after."""

    seq: int
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class Undo:
    """Take a step back."""

    seq: int
    attempt: int
    at: float


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing is left to do."""

    outcome: TransactionOutcome


@dataclass(frozen=True, slots=True)
class Stuck:
    """Nothing is left that we can do; ``commands`` are for a person."""

    commands: tuple[str, ...]


Move = Do | Undo | Finished | Stuck

_COMMITTED = Finished(TransactionOutcome.COMMITTED)


def next_move(plan: Plan, journal: Journal, now: float, policy: SagaPolicy) -> Move:
    """What to do now. ``now`` is wall seconds, by a clock that may have been set meanwhile."""
    if _turned_back(journal):
        return _backward(plan, journal, now, policy)
    no_way_back = _passed_pivot(plan, journal, policy)
    for seq in range(len(plan.steps)):
        tried = journal.of(seq, Phase.DO)
        if _done(tried):
            continue
        stopped = bool(journal.stop) and not no_way_back and not _cut_off(tried)
        if not _over(tried) and not stopped:
            return Do(seq, *_attempt(tried, now))
        return _COMMITTED if no_way_back else _backward(plan, journal, now, policy)
    return _COMMITTED


def retry_at(
    tried: Sequence[Attempt], now: float, retry: RetryPolicy, die: float, least: float = 0.0
) -> float | None:
    """When a step whose last attempt has just failed by a temporary error is tried again; None: never.

    ``tried`` are all its attempts in this phase; ``die`` is a number in [0, 1), and ``least`` the seconds
    that the error asks for. Attempts that a crash cut off say nothing about the step, and do not count.
    """
    failed = sum(each.state is AttemptState.FAILED for each in tried)
    if failed >= retry.max_attempts:
        return None
    delay = max(backoff.delay(retry, max(failed, 1), die), least)
    return now + delay if _spent(tried) + delay <= retry.max_total else None


def _spent(tried: Sequence[Attempt]) -> float:
    """Seconds of attempts and of the delays between them, by what was meant: clocks may jump in between."""
    ended = [each for each in tried if each.begun is not None and each.ended is not None]
    worked = sum((each.ended or 0.0) - (each.begun or 0.0) for each in ended)
    return worked + sum(max(after.due - (before.ended or 0.0), 0.0) for before, after in pairwise(ended))


def _pause(tried: Sequence[Attempt], now: float) -> float:
    """Seconds until the last attempt is due; never more than were meant, if the clock was set back since."""
    last = tried[-1]
    meant = last.due - max((each.ended for each in tried if each.ended is not None), default=now)
    return max(min(last.due - now, meant), 0.0)


def _backward(plan: Plan, journal: Journal, now: float, policy: SagaPolicy) -> Move:
    given_up: list[Step] = []
    for seq, step in reversed(list(enumerate(plan.steps))):
        if step.kind not in policy.undoable or not _begun(journal.of(seq, Phase.DO)):
            continue
        tried = journal.of(seq, Phase.UNDO)
        if _done(tried):
            continue
        if _over(tried):
            given_up.append(step)
            continue
        return Undo(seq, *_attempt(tried, now))
    if given_up:
        return Stuck(tuple(line for step in given_up for line in undo_commands(plan, step, policy.tmux)))
    return Finished(TransactionOutcome.COMPENSATED)


def _turned_back(journal: Journal) -> bool:
    return any(each.phase is Phase.UNDO for each in journal.attempts)


def _passed_pivot(plan: Plan, journal: Journal, policy: SagaPolicy) -> bool:
    return any(
        step.kind in policy.pivots and _done(journal.of(seq, Phase.DO)) for seq, step in enumerate(plan.steps)
    )


def _attempt(tried: Sequence[Attempt], now: float) -> tuple[int, float]:
    """The number of the next attempt, and when it is due."""
    if not tried:
        return 1, now
    last = tried[-1]
    if last.state is AttemptState.DUE:
        return last.number, now + _pause(tried, now)
    # Begun, and nobody is left to end it.
    return last.number + 1, now


def _done(tried: Sequence[Attempt]) -> bool:
    return bool(tried) and tried[-1].state is AttemptState.DONE


def _over(tried: Sequence[Attempt]) -> bool:
    return bool(tried) and tried[-1].state in (AttemptState.FAILED, AttemptState.REFUSED)


def _cut_off(tried: Sequence[Attempt]) -> bool:
    """Whether it is in hand, as far as anybody can tell."""
    return bool(tried) and tried[-1].state is AttemptState.BEGUN


def _begun(tried: Sequence[Attempt]) -> bool:
    return any(each.begun is not None for each in tried)
