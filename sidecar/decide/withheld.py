"""Where nothing is done although something is broken: a rule only reports, or the fault lies elsewhere."""

from __future__ import annotations

from sidecar.decide.check import unhealable
from sidecar.decide.situation import Situation
from sidecar.model.incident import Asker, Cause
from sidecar.model.plan import Refusal, RefusalReason

_WAITS = frozenset({Cause.HEARTBEAT_MISSED, Cause.COMMAND_FAILED})
"""What may be so only because something else is down."""


def withheld(situation: Situation) -> Refusal | None:
    """The reason why nothing is done, if there is one; what a person asks for is done."""
    finding = situation.finding
    if finding.cause is Cause.CHECK_FAILED:
        return unhealable(situation)
    facts = "; ".join(fact.fact for fact in finding.evidence)
    if finding.cause is Cause.DEPENDENCY_DOWN:
        return Refusal(
            RefusalReason.DEPENDENCY_DOWN, facts, hint="It is asked again by itself; nothing is restarted."
        )
    if finding.cause is Cause.NETWORK_OUTAGE:
        return Refusal(
            RefusalReason.NETWORK_DOWN,
            f"no restart mends the network: {facts}",
            hint="It is asked again by itself, ever more slowly.",
        )
    if finding.cause is Cause.PROCESS_MISSING:
        return Refusal(
            RefusalReason.REPORT_ONLY,
            facts,
            hint="See for yourself; a rule in programs keeps a process running, and critical_processes names "
            "those that have to.",
        )
    if situation.asker is Asker.OPERATOR:
        return None
    if situation.waits_for and finding.cause in _WAITS:
        return Refusal(
            RefusalReason.DEPENDENCY_DOWN,
            f"{finding.failure.session} waits for {', '.join(sorted(situation.waits_for))}, which is down",
            hint="It is healed when that answers again and it is still broken.",
        )
    if finding.cause is Cause.HEARTBEAT_MISSED and not finding.may:
        return Refusal(
            RefusalReason.REPORT_ONLY,
            f"a heartbeat is missed, and its rule lets nothing be done: {facts}",
            hint="See for yourself, or write what the rule lets be done: may: [interrupt, respawn].",
        )
    return None
