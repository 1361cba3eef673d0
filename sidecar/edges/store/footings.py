"""Where sessions stand on their ladders: one row for each session and failure."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.edges.store.audit import Transaction
from sidecar.model.incident import Cause, FailureKind, Unit
from sidecar.model.ladder import Footing
from sidecar.model.plan import Strategy

_KEPT = 8 * 86_400.0
"""Seconds; no stable period is longer."""


def read(tx: Transaction) -> Mapping[tuple[str, FailureKind], Footing]:
    return {
        (row["session"], FailureKind(row["failure"])): Footing(
            Strategy(row["strategy"]), bool(row["held"]), Cause(row["cause"]), Unit(row["unit"]),
            row["pane"], row["alert"], row["at"],
        )
        for row in tx.all("SELECT * FROM footings")
    }  # fmt: skip


def rename(tx: Transaction, old: str, new: str) -> None:
    """They follow the session; what stood under the new name was another's."""
    if old != new:
        tx.run("DELETE FROM footings WHERE session = ?", new)
        tx.run("UPDATE footings SET session = ? WHERE session = ?", new, old)


def save(tx: Transaction, session: str, failure: str, footing: Footing) -> None:
    tx.run("DELETE FROM footings WHERE at < ?", footing.at - _KEPT)
    tx.run(
        "INSERT OR REPLACE INTO footings (session, failure, strategy, held, cause, unit, pane, alert, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        session, failure, footing.strategy.value, footing.held, footing.cause.value, footing.unit.value,
        footing.pane, footing.alert, footing.at,
    )  # fmt: skip
