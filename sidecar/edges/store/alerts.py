"""Accepted alerts: committed before they are acknowledged, acted on once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from sidecar.edges.store.audit import Transaction
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Strategy
from sidecar.model.record import Action, AlertIntake, AlertRow, Receipt, Settlement, SkipReason


def accept(tx: Transaction, alerts: Sequence[AlertIntake], now: float) -> tuple[Receipt, ...]:
    receipts = tuple(_accept_one(tx, alert, now) for alert in alerts)
    fresh = [receipt for receipt in receipts if receipt.skip is None]
    tx.audit(
        Action.ALERT_ACCEPTED,
        now,
        actor="alert",
        detail={"alerts": len(alerts), "fresh": [receipt.fingerprint for receipt in fresh[:100]]},
    )
    return receipts


def _accept_one(tx: Transaction, alert: AlertIntake, now: float) -> Receipt:
    known = tx.one(
        "SELECT * FROM alerts WHERE fingerprint = ? AND starts_at = ?", alert.fingerprint, alert.starts_at
    )
    if alert.status == "resolved":
        tx.run(
            "UPDATE alerts SET resolved = ? WHERE fingerprint = ? AND starts_at = ? AND resolved IS NULL",
            now, alert.fingerprint, alert.starts_at,
        )  # fmt: skip
        return Receipt(alert.fingerprint, SkipReason.RESOLVED, read_alert(known) if known else None)
    if known is not None:
        # Pending, it may be in nobody's hand: who sent it first was told that it had not been taken.
        pending = read_alert(known) if known["state"] == "pending" else None
        return Receipt(alert.fingerprint, SkipReason.DUPLICATE, pending)
    state = "skipped" if alert.skip else "pending"
    number = tx.run(
        "INSERT INTO alerts (fingerprint, starts_at, session, failure, strategy, labels, state, reason,"
        " received)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        alert.fingerprint, alert.starts_at, alert.session, alert.failure.value,
        alert.strategy.value if alert.strategy else None, json.dumps(dict(alert.labels)), state,
        alert.skip.value if alert.skip else "", now,
    ).lastrowid  # fmt: skip
    if alert.skip is not None:
        return Receipt(alert.fingerprint, alert.skip, None)
    row = tx.one("SELECT * FROM alerts WHERE id = ?", number)
    assert row is not None
    return Receipt(alert.fingerprint, None, read_alert(row))


def settle(tx: Transaction, settlements: Sequence[Settlement], now: float) -> None:
    for one in settlements:
        _settle_one(tx, one, now)


def _settle_one(tx: Transaction, one: Settlement, now: float) -> None:
    row = tx.one("SELECT * FROM alerts WHERE id = ? AND state = 'pending'", one.alert)
    if row is None:
        return
    tx.run(
        "UPDATE alerts SET state = 'settled', reason = ?, recovery = ? WHERE id = ?",
        one.reason, one.recovery, one.alert,
    )  # fmt: skip
    tx.audit(
        Action.ALERT_SETTLED,
        now,
        session=row["session"],
        actor="alert",
        reason=one.reason,
        detail={"alert": one.alert, "recovery": one.recovery, "by": dict(read_alert(row).sender)},
    )


def read_alert(row: sqlite3.Row) -> AlertRow:
    return AlertRow(
        id=row["id"],
        fingerprint=row["fingerprint"],
        starts_at=row["starts_at"],
        session=row["session"],
        failure=FailureKind(row["failure"]),
        strategy=Strategy(row["strategy"]) if row["strategy"] else None,
        state=row["state"],
        reason=row["reason"],
        received=row["received"],
        recovery=row["recovery"],
        labels=json.loads(row["labels"]),
        resolved=row["resolved"],
    )
