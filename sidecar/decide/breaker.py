"""A circuit breaker as a value: what keeps failing is left alone for a while, then probed.

::

    closed ---- too many calls failed, or were slow ----> open      a person may open it too,
      ^  ^                                               |  ^       and then it stays open
      |  `------------- a person closes it --------------+  |
      |                                 its time is over v  | a probe failed
      `------- as many probes went well as allowed ---- half_open

Calls count within a sliding window; a success does not wipe failures out, since what fails every other
time is broken too. Half-open lends exactly as many permits as the policy allows, whoever asks and however
many at once: each is a lease by its holder's name, and a holder that never reports back loses it after
``recovery_timeout``. A cancelled call says nothing about the thing that was called, so it only gives its
permit back.

Keeps no state and knows no clock: every function takes both and gives the new state back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sidecar.decide.wall import age
from sidecar.model.policy import BreakerPolicy, BreakerState, Call, Circuit, Lease

_KEPT = 1_000
"""Calls that are remembered; no threshold is higher."""
_FORGOTTEN = 86_400.0
"""Seconds after which a circuit that is not closed, and that nobody has used, means nothing any more."""


class BreakerEvent(StrEnum):
    """How a call ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Ended:
    """What is told of a call that has ended."""

    event: BreakerEvent
    took: float = 0.0
    """Seconds."""
    target: str = ""
    """See :class:`~sidecar.model.policy.Call`."""


def retry_after(state: BreakerState, policy: BreakerPolicy, now: float) -> float | None:
    """Seconds until a call may be made; 0 if it may now, None if not before a person says so.

    Never above ``recovery_timeout``, whatever the clock did.
    """
    rest = policy.recovery_timeout
    if state.forced:
        return None
    if state.circuit is Circuit.OPEN:
        return max(rest - age(state.opened, now, rest), 0.0)
    if state.circuit is Circuit.HALF_OPEN and _lent_out(state, policy, now):
        return min(_left(lease, rest, now) for lease in _held(state, rest, now))
    return 0.0


def lend(state: BreakerState, policy: BreakerPolicy, now: float, holder: str) -> BreakerState | None:
    """The state while this call is made; None if it may not be made.

    ``holder`` is the name under which :func:`settle` will report how it ended; whoever holds a permit
    and asks again keeps it.
    """
    if state.circuit is Circuit.CLOSED:
        return state
    rest = policy.recovery_timeout
    if state.circuit is Circuit.HALF_OPEN:
        state = replace(state, leases=_without(_held(state, rest, now), holder))
    if retry_after(state, policy, now) != 0.0:
        return None
    return BreakerState(
        Circuit.HALF_OPEN,
        leases=(*state.leases, Lease(holder, now + rest)),
        proven=state.proven,
        used=now,
    )


def settle(state: BreakerState, policy: BreakerPolicy, now: float, holder: str, ended: Ended) -> BreakerState:
    """The state after a call has ended.

    While half-open, only a holder of a permit has something to say; while open, nobody has.
    """
    event = ended.event
    if state.circuit is Circuit.CLOSED:
        return state if event is BreakerEvent.CANCELLED else _counted(state, policy, now, ended)
    held = _held(state, policy.recovery_timeout, now)
    if state.circuit is Circuit.OPEN or all(lease.holder != holder for lease in held):
        return state
    if event is BreakerEvent.FAILURE:
        return _opened(now)
    proven = state.proven + (event is BreakerEvent.SUCCESS)
    if proven >= policy.probes:
        return BreakerState(used=now)
    return replace(state, leases=_without(held, holder), proven=proven, used=now)


def force_open(now: float) -> BreakerState:
    """The state once a person has opened it."""
    return BreakerState(Circuit.OPEN, opened=now, forced=True, used=now)


def forgettable(state: BreakerState, policy: BreakerPolicy, now: float) -> bool:
    """Whether it says nothing more than a circuit that was never used."""
    if state.forced:
        return False
    if state.circuit is Circuit.CLOSED:
        return not _within(state.calls, policy.window, now)
    return age(state.used, now, _FORGOTTEN) >= _FORGOTTEN


def _counted(state: BreakerState, policy: BreakerPolicy, now: float, ended: Ended) -> BreakerState:
    call = Call(now, ended.event is BreakerEvent.FAILURE, ended.took >= policy.slow_call, ended.target)
    before = _within(state.calls, policy.window, now)
    if call.target:
        before = tuple(each for each in before if each.target != call.target)
    calls = (*before, call)[-_KEPT:]
    if (call.failed or call.slow) and _too_bad(calls, policy):
        return _opened(now)
    return replace(state, calls=calls, used=now)


def _too_bad(calls: Sequence[Call], policy: BreakerPolicy) -> bool:
    failed = sum(call.failed for call in calls)
    slow = sum(call.slow for call in calls)
    if failed >= policy.failure_threshold:
        return True
    if len(calls) < policy.minimum_calls:
        return False
    return failed >= policy.failure_rate * len(calls) or slow >= policy.slow_rate * len(calls)


def _within(calls: Sequence[Call], window: float, now: float) -> tuple[Call, ...]:
    return tuple(call for call in calls if age(call.at, now, window) < window)


def _lent_out(state: BreakerState, policy: BreakerPolicy, now: float) -> bool:
    held = _held(state, policy.recovery_timeout, now)
    # With probes that went well and none under way, a permit is left, whatever the policy was before.
    return bool(held) and len(held) + state.proven >= policy.probes


def _held(state: BreakerState, rest: float, now: float) -> tuple[Lease, ...]:
    return tuple(lease for lease in state.leases if _left(lease, rest, now) > 0)


def _left(lease: Lease, rest: float, now: float) -> float:
    return max(rest - age(lease.until - rest, now, rest), 0.0)


def _without(leases: Sequence[Lease], holder: str) -> tuple[Lease, ...]:
    return tuple(lease for lease in leases if lease.holder != holder)


def _opened(now: float) -> BreakerState:
    return BreakerState(Circuit.OPEN, opened=now, used=now)
