"""What protects against loops: the budgets, and the circuit of each strategy."""

from __future__ import annotations

from sidecar.decide import breaker, budget
from sidecar.decide.by_hand import asking
from sidecar.decide.situation import Situation
from sidecar.decide.wall import age
from sidecar.model.circuits import for_session
from sidecar.model.incident import Asker, IncidentState
from sidecar.model.ladder import rung_of
from sidecar.model.plan import Refusal, RefusalReason, Strategy
from sidecar.model.policy import BreakerState


def exceeded(situation: Situation, strategy: Strategy) -> Refusal | None:
    """The limit that forbids it now. A person who asks passes the budgets, but not the circuit.

    A further attempt at the same incident has paid with the first one. A program that a rule restarts is
    bounded by its own intensity, which has been asked: one that ends again and again would use up what its
    session needs when it breaks as a whole.
    """
    free = situation.asker is Asker.OPERATOR or situation.tried or situation.member is not None
    if not free:
        refusal = _given_up(situation) or _overspent(situation)
        if refusal is not None:
            return refusal
    return resting(situation, strategy)


def resting(situation: Situation, strategy: Strategy) -> Refusal | None:
    """Whether this strategy has failed too often lately, as a whole or for this session."""
    common, session = situation.limits.circuit, situation.finding.failure.session
    own = rung_of(situation.ladder, strategy).circuit or common
    for name, policy in ((strategy.value, common), (for_session(strategy, session), own)):
        state = situation.circuits.get(name, BreakerState())
        wait = breaker.retry_after(state, policy, situation.now)
        if wait != 0.0:
            return rests(name, wait)
    return None


def rests(circuit: str, wait: float | None) -> Refusal:
    """The refusal of a circuit that rests for ``wait`` seconds; None: until a person closes it."""
    if wait is None:
        words, hint = "was opened by a person", f"`sidecar circuits reset {circuit}` closes it."
    else:
        words, hint = "has failed too often lately and rests", "It is tried again by itself."
    return Refusal(RefusalReason.CIRCUIT_OPEN, f"{circuit} {words}", hint=hint, retry_after=wait)


def _given_up(situation: Situation) -> Refusal | None:
    limit, pace = situation.limits.per_session, situation.limits.slow_retry
    waited = min((age(moment, situation.now, pace) for moment in situation.recent), default=pace)
    given_up = situation.relapsed or situation.incident is IncidentState.GIVEN_UP
    if waited >= pace if given_up else not budget.spent(situation.recent, limit, situation.now):
        return None
    name = situation.finding.failure.session
    return Refusal(
        RefusalReason.GIVEN_UP,
        f"{limit.count} recoveries of {name} in {limit.period:g} s did not last: given up",
        hint=f"Find out why it keeps failing, then `{asking('recover', name)}`.",
        retry_after=max(pace - waited, 1.0),
    )


def _overspent(situation: Situation) -> Refusal | None:
    limit = situation.limits.overall
    times = sorted(situation.origins.values())
    if situation.finding.origin in situation.origins or not budget.spent(times, limit, situation.now):
        return None
    return Refusal(
        RefusalReason.BUDGET_EXHAUSTED,
        f"{limit.count} incidents in {limit.period:g} s: the budget for all sessions is spent",
        hint="Something larger is wrong; `sidecar recover NAME` passes this limit.",
        retry_after=max(budget.next_free(times, limit, situation.now), 1.0),
    )
