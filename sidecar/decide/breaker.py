"""A circuit breaker as a value: what keeps failing is left alone for a while, then tried once.

Failures count within a sliding window; a success does not wipe them out, since a strategy that
fails every other time is broken too. Half-open lends exactly one permit, as a lease: a prober
that never reports back loses it after ``recovery_timeout``. A cancelled call says nothing about
the thing that was called, so it only gives its permit back.

Keeps no state and knows no clock: every function takes both and gives the new state back.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from sidecar.decide.wall import age
from sidecar.model.policy import BreakerPolicy, BreakerState, Circuit


class BreakerEvent(StrEnum):
    """How a call ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


def ask(state: BreakerState, policy: BreakerPolicy, now: float) -> tuple[bool, BreakerState]:
    """Whether a call may be made now, and the state to go on with.

    When the answer is yes, the new state's ``probe_until`` names the permit; see :func:`advance`.
    """
    if state.circuit is Circuit.CLOSED:
        return True, state
    if retry_after(state, policy, now) > 0:
        return False, state
    return True, BreakerState(Circuit.HALF_OPEN, probe_until=now + policy.recovery_timeout)


def advance(
    state: BreakerState,
    event: BreakerEvent,
    policy: BreakerPolicy,
    now: float,
    lease: float | None = None,
) -> BreakerState:
    """The state after a call has ended.

    ``lease`` is the ``probe_until`` of the state that :func:`ask` gave for this call. While
    half-open, the end of a call with another lease is late news and changes nothing; without
    one, the call is taken for the prober.
    """
    if state.circuit is Circuit.CLOSED:
        return _closed(state, event, policy, now)
    if state.circuit is Circuit.OPEN or lease not in (None, state.probe_until):
        return state
    if event is BreakerEvent.SUCCESS:
        return BreakerState()
    if event is BreakerEvent.FAILURE:
        return _opened(now)
    return replace(state, probe_until=0.0)


def retry_after(state: BreakerState, policy: BreakerPolicy, now: float) -> float:
    """Seconds until :func:`ask` may say yes; 0 if it does now. Never above ``recovery_timeout``."""
    rest = policy.recovery_timeout
    if state.circuit is Circuit.OPEN:
        return max(rest - age(state.opened, now, rest), 0.0)
    if state.circuit is Circuit.HALF_OPEN:
        return max(rest - age(state.probe_until - rest, now, rest), 0.0)
    return 0.0


def _closed(state: BreakerState, event: BreakerEvent, policy: BreakerPolicy, now: float) -> BreakerState:
    recent = tuple(moment for moment in state.failures if age(moment, now, policy.window) < policy.window)
    if event is not BreakerEvent.FAILURE:
        return replace(state, failures=recent)
    recent = (*recent, now)
    return _opened(now) if len(recent) >= policy.failure_threshold else replace(state, failures=recent)


def _opened(now: float) -> BreakerState:
    return BreakerState(Circuit.OPEN, opened=now)
