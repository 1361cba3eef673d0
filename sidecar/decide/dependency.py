"""Something that several sessions need, and that does not answer: one finding about it, not one for each.

A session that alone may be acted on for the sake of an address is the one that answers there; the others
wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit


@dataclass(frozen=True, slots=True)
class Waiter:
    """A session that needs the address, by one rule."""

    session: str
    may: bool
    """Whether the rule lets something be done about the session."""
    failed: bool
    """The last try failed."""
    settled: bool
    """So many tries failed that it is no chance."""
    since: float | None = None
    """Monotonic seconds of the first failure in a row."""
    fact: str = ""
    """What the last try found."""


def is_down(waiters: Sequence[Waiter]) -> bool:
    """Whether it is the address that is down, and not one session."""
    failed = {one.session for one in waiters if one.failed}
    return len(failed) > 1 and any(one.settled for one in waiters)


def keeps_waiting(waiters: Sequence[Waiter]) -> frozenset[str]:
    """The sessions that nothing is done about while the address is down."""
    able = {one.session for one in waiters if one.may}
    everybody = {one.session for one in waiters}
    return frozenset(everybody - able if len(able) == 1 else everybody)


def finding(
    name: str, address: str, waiters: Sequence[Waiter], now: float, *, forced: bool = False
) -> Finding:
    """The one finding. ``name`` is that of the circuit, which stands for the session.

    ``forced``: a person holds the circuit open.
    """
    sessions = ", ".join(sorted({one.session for one in waiters}))
    facts = dict.fromkeys(one.fact for one in waiters if one.failed)
    evidence = (
        Evidence("probes", f"{sessions} wait for {address}"),
        *((Evidence("operator", "its circuit is held open by hand"),) if forced else ()),
        *(Evidence("probe", fact) for fact in facts),
    )
    since = min((one.since for one in waiters if one.since is not None), default=now)
    failure = Failure(name, FailureKind.UNHEALTHY, (Broken(Unit.SESSION),), since)
    return Finding(failure, Cause.DEPENDENCY_DOWN, Intent.FAILURE, evidence, name)
