"""Incidents, recoveries and their steps."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sidecar.edges.store import checks, footings, journal, mandates, supervise
from sidecar.edges.store.audit import Transaction, decision
from sidecar.errors import StoreUnavailable
from sidecar.model import lifecycle
from sidecar.model.incident import Asker, Cause, Evidence, FailureKind, Finding, IncidentState, Intent
from sidecar.model.plan import Manner, Plan, Refusal, Resort, Strategy
from sidecar.model.record import Action, Ending, IncidentRow, RecoveryRow, StepRow, Unfinished
from sidecar.model.saga import Mandate

_AFTER = {"verified": IncidentState.RECOVERED, "stopped": IncidentState.DISMISSED}


def open_incident(tx: Transaction, finding: Finding, first_sign: float, now: float) -> IncidentRow:
    failure = finding.failure
    evidence = json.dumps([asdict(fact) for fact in finding.evidence])
    facts = (
        failure.kind.value,
        failure.unit.value,
        finding.cause.value,
        finding.intent.value,
        finding.origin,
        evidence,
    )
    known = tx.one(
        "SELECT id, trace FROM incidents WHERE session = ? AND closed IS NULL ORDER BY id DESC LIMIT 1",
        failure.session,
    )
    if known is not None:
        tx.run(
            "UPDATE incidents SET failure = ?, unit = ?, cause = ?, intent = ?, origin = ?, evidence = ?"
            " WHERE id = ?",
            *facts, known["id"],
        )  # fmt: skip
        number, trace = known["id"], known["trace"]
    else:
        trace = secrets.token_hex(8)
        number = tx.run(
            "INSERT INTO incidents (trace, session, failure, unit, cause, intent, origin, evidence, state,"
            " first_sign, opened) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            trace, failure.session, *facts, IncidentState.OPEN.value, first_sign, now,
        ).lastrowid  # fmt: skip
    tx.audit(
        Action.INCIDENT_OPENED,
        now,
        session=failure.session,
        reason=finding.cause,
        trace=trace,
        detail={
            "incident": number,
            "failure": failure.kind,
            "unit": failure.unit,
            "intent": finding.intent,
            "evidence": json.loads(evidence),
        },
    )
    row = tx.one("SELECT * FROM incidents WHERE id = ?", number)
    assert row is not None
    return read_incident(row)


def add_evidence(tx: Transaction, session: str, facts: Sequence[Evidence], now: float) -> None:
    """Put it beside what was known when the newest incident of this session was opened."""
    row = tx.one("SELECT * FROM incidents WHERE session = ? ORDER BY id DESC LIMIT 1", session)
    if row is None:
        return
    known = json.loads(row["evidence"])
    fresh = [fact for fact in map(asdict, facts) if fact not in known]
    if not fresh:
        return
    tx.run("UPDATE incidents SET evidence = ? WHERE id = ?", json.dumps([*known, *fresh]), row["id"])
    tx.audit(
        Action.EVIDENCE_ADDED,
        now,
        session=session,
        reason=row["cause"],
        trace=row["trace"],
        detail={"incident": row["id"], "evidence": fresh},
    )


def move(
    tx: Transaction, incident: int, state: IncidentState, now: float, reason: str = "", sentence: str = ""
) -> None:
    row = tx.one("SELECT * FROM incidents WHERE id = ?", incident)
    if row is None or row["state"] == state:
        return
    lifecycle.move(IncidentState(row["state"]), state)
    tx.run(
        "UPDATE incidents SET state = ?, closed = ?, reason = ?, sentence = ? WHERE id = ?",
        state.value, now if state in lifecycle.CLOSED else None, reason, sentence, incident,
    )  # fmt: skip
    tx.audit(
        Action.INCIDENT_MOVED,
        now,
        session=row["session"],
        reason=reason or state,
        trace=row["trace"],
        detail={"incident": incident, "from": row["state"], "to": state, "sentence": sentence},
    )


def dismiss(tx: Transaction, session: str, now: float, sentence: str) -> None:
    """What waits of this session is over: nobody will do anything about it."""
    rows = tx.all(
        "SELECT id FROM incidents WHERE session = ? AND closed IS NULL AND state != ?",
        session, IncidentState.RECOVERING.value,
    )  # fmt: skip
    for row in rows:
        move(tx, row["id"], IncidentState.DISMISSED, now, sentence=sentence)


def refuse(
    tx: Transaction,
    session: str,
    refusal: Refusal,
    asker: Asker,
    now: float,
    incident: int | None,
    state: IncidentState | None,
) -> None:
    row = tx.one("SELECT trace FROM incidents WHERE id = ?", incident) if incident else None
    tx.audit(
        Action.REFUSED,
        now,
        session=session,
        actor=asker,
        reason=refusal.reason,
        trace=row["trace"] if row else "",
        detail={
            "incident": incident,
            "sentence": refusal.sentence,
            "hint": refusal.hint,
            **(_decided(refusal.plan) if refusal.plan is not None else {}),
        },
    )
    if incident is not None and state is not None:
        move(tx, incident, state, now, refusal.reason, refusal.sentence)


def _decided(plan: Plan) -> dict[str, Any]:
    """A plan that is not carried out, and what it rests on."""
    return {
        "strategy": plan.strategy,
        "steps": [step.describe() for step in plan.steps],
        "checkpoint": plan.checkpoint.id if plan.checkpoint else None,
        "fallback": [str(each) for each in plan.fallback],
        "cause": plan.finding.cause,
        "evidence": [asdict(fact) for fact in plan.finding.evidence],
    }


def begin_recovery(tx: Transaction, incident: int, mandate: Mandate, now: float) -> RecoveryRow:
    plan, asker = mandate.plan, mandate.asker
    row = tx.one("SELECT * FROM incidents WHERE id = ?", incident)
    assert row is not None
    if tx.one("SELECT 1 FROM recoveries WHERE session = ? AND state = 'running'", plan.session) is not None:
        raise StoreUnavailable(
            f"a recovery of {plan.session} that is on record already has not ended",
            hint="Its beginning was written late; it is gone on with by itself.",
        )
    number = tx.run(
        "INSERT INTO recoveries (incident, trace, session, failure, cause, origin, strategy, asker,"
        " checkpoint, state, begun, evidence, plan, undo,"
        " attempt, manner)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?, ?, ?, ?)",
        incident, row["trace"], plan.session, plan.finding.failure.kind.value, plan.finding.cause.value,
        plan.finding.origin, plan.strategy.value, asker.value,
        plan.checkpoint.id if plan.checkpoint else None, now, row["evidence"], mandates.encode(mandate),
        plan.undo.checkpoint.id if plan.undo else 0, plan.attempt, plan.manner.value,
    ).lastrowid  # fmt: skip
    supervise.started(tx, int(number or 0), plan, asker, now)
    move(tx, incident, IncidentState.RECOVERING, now)
    tx.audit(
        Action.RECOVERY_BEGUN,
        now,
        session=plan.session,
        actor=asker,
        reason=plan.strategy,
        trace=row["trace"],
        detail={"recovery": number, "incident": incident, **decision(plan)},
    )
    begun = recovery(tx, int(number or 0))
    assert begun is not None
    return begun


def end_recovery(tx: Transaction, ending: Ending) -> None:
    row = tx.one(
        "SELECT session, trace, plan, failure FROM recoveries WHERE id = ? AND state = 'running'",
        ending.recovery,
    )
    if row is None:
        # It was written, though too late for whoever waited for that.
        return
    tx.run(
        "UPDATE recoveries SET state = ?, ended = ?, duration = ?, time_to_recovery = ?, verdict = ?,"
        " differences = ?, compared = ?, transaction_outcome = ?, commands = ?, plan = ? WHERE id = ?",
        ending.outcome.value, ending.at, ending.duration, ending.time_to_recovery, ending.verdict,
        json.dumps(list(ending.differences)), json.dumps(dict(ending.compared), sort_keys=True),
        ending.transaction.value, json.dumps(list(ending.commands)), mandates.without_images(row["plan"]),
        ending.recovery,
    )  # fmt: skip
    tx.audit(
        Action.RECOVERY_ENDED,
        ending.at,
        session=row["session"],
        reason=ending.outcome,
        trace=row["trace"],
        detail={
            "recovery": ending.recovery,
            "verdict": ending.verdict,
            "seconds": ending.time_to_recovery,
            "transaction": ending.transaction,
            "commands": list(ending.commands),
        },
    )
    if ending.footing is not None:
        footings.save(tx, row["session"], row["failure"], ending.footing)
    if ending.check is not None:
        checks.keep(tx, ending.check)
    failed = IncidentState.GIVEN_UP if ending.given_up else IncidentState.FAILED
    failed = IncidentState.OPEN if ending.goes_on else failed
    state = _AFTER.get(ending.outcome, failed)
    move(tx, ending.incident, state, ending.at, ending.outcome, ending.verdict)


def given_up_since(tx: Transaction, session: str, since: float) -> bool:
    """A recovery that a person asked for and that was verified, or an incident that ended without us,
    closes the chapter."""
    row = tx.one(
        "SELECT at, reason FROM audit WHERE session = ?1 AND action = ?2"
        " AND reason IN ('given_up', 'dismissed') ORDER BY id DESC LIMIT 1",
        session, Action.INCIDENT_MOVED.value,
    )  # fmt: skip
    if row is None or row["reason"] != IncidentState.GIVEN_UP or row["at"] < since:
        return False
    healed = tx.one(
        "SELECT id FROM recoveries WHERE session = ? AND asker = ? AND state = 'verified' AND begun >= ?",
        session, Asker.OPERATOR.value, row["at"],
    )  # fmt: skip
    return healed is None


def unfinished(tx: Transaction, only: int | None = None) -> tuple[Unfinished, ...]:
    """Recoveries that nobody has ended, oldest first."""
    rows = tx.all(
        "SELECT * FROM recoveries WHERE state = 'running' AND (?1 IS NULL OR id = ?1) ORDER BY id", only
    )
    return tuple(_unfinished(tx, row) for row in rows)


def _unfinished(tx: Transaction, row: sqlite3.Row) -> Unfinished:
    found = journal.cut_off(tx, row)
    incident = tx.one("SELECT * FROM incidents WHERE id = ?", row["incident"])
    assert incident is not None
    return Unfinished(
        recovery=_read_recovery(row, journal.step_rows(tx, row["id"])),
        incident=read_incident(incident),
        journal=found.journal,
        mandate=found.mandate,
        wanted=found.wanted,
        tried=tried(tx, row["incident"]),
    )


def tried(tx: Transaction, incident: int) -> tuple[Resort, ...]:
    """What has failed at the incident since the attempt that was its first; a later first one begins anew."""
    rows = tx.all(
        "SELECT strategy, manner FROM recoveries WHERE incident = ?1 AND state IN ('failed', 'compensated')"
        " AND id >= (SELECT MAX(id) FROM recoveries WHERE incident = ?1 AND attempt = 1) ORDER BY id",
        incident,
    )
    return tuple(Resort(Strategy(row["strategy"]), Manner(row["manner"])) for row in rows)


def recovery(tx: Transaction, number: int) -> RecoveryRow | None:
    row = tx.one("SELECT * FROM recoveries WHERE id = ?", number)
    if row is None:
        return None
    return _read_recovery(row, journal.step_rows(tx, number))


def recoveries(
    tx: Transaction, limit: int, before: int | None, session: str | None
) -> tuple[RecoveryRow, ...]:
    rows = tx.all(
        "SELECT * FROM recoveries WHERE (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR session = ?2)"
        " ORDER BY id DESC LIMIT ?3",
        before, session, limit,
    )  # fmt: skip
    return tuple(_read_recovery(row, ()) for row in rows)


def page(
    tx: Transaction, limit: int, before: int | None, session: str | None, waiting: bool
) -> tuple[IncidentRow, ...]:
    rows = tx.all(
        "SELECT * FROM incidents WHERE (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR session = ?2)"
        " AND (?3 = 0 OR closed IS NULL) ORDER BY id DESC LIMIT ?4",
        before, session, waiting, limit,
    )  # fmt: skip
    return tuple(read_incident(row) for row in rows)


def one(tx: Transaction, number: int) -> tuple[IncidentRow, tuple[RecoveryRow, ...]] | None:
    row = tx.one("SELECT * FROM incidents WHERE id = ?", number)
    if row is None:
        return None
    tried = tx.all("SELECT * FROM recoveries WHERE incident = ? ORDER BY id", number)
    return read_incident(row), tuple(_read_recovery(each, ()) for each in tried)


def read_incident(row: sqlite3.Row) -> IncidentRow:
    return IncidentRow(
        id=row["id"],
        trace=row["trace"],
        session=row["session"],
        failure=FailureKind(row["failure"]),
        unit=row["unit"],
        cause=Cause(row["cause"]),
        intent=Intent(row["intent"]),
        origin=row["origin"],
        state=IncidentState(row["state"]),
        evidence=tuple(json.loads(row["evidence"])),
        first_sign=row["first_sign"],
        opened=row["opened"],
        closed=row["closed"],
        reason=row["reason"],
        sentence=row["sentence"],
    )


def _read_recovery(row: sqlite3.Row, steps: tuple[StepRow, ...]) -> RecoveryRow:
    return RecoveryRow(
        id=row["id"],
        incident=row["incident"],
        trace=row["trace"],
        session=row["session"],
        failure=FailureKind(row["failure"]),
        cause=Cause(row["cause"]),
        strategy=Strategy(row["strategy"]),
        asker=Asker(row["asker"]),
        checkpoint=row["checkpoint"],
        state=row["state"],
        begun=row["begun"],
        ended=row["ended"],
        duration=row["duration"],
        time_to_recovery=row["time_to_recovery"],
        verdict=row["verdict"],
        differences=tuple(json.loads(row["differences"])),
        steps=steps,
        evidence=tuple(json.loads(row["evidence"])),
        compared=json.loads(row["compared"]),
        transaction_outcome=row["transaction_outcome"],
        commands=tuple(json.loads(row["commands"])),
        resumed=row["resumed"],
        stopped=row["stopped"],
        undo=row["undo"],
        attempt=row["attempt"],
        manner=Manner(row["manner"]),
    )
