"""What is over and of which the trail tells nothing any more: incidents, their recoveries, alerts, answers.

They go once the audit rows of their time have gone. What waits, runs or is pending stays, whatever its
age. What counters count of them is added up first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sidecar.edges.store import counters
from sidecar.edges.store.audit import Transaction
from sidecar.edges.store.chain import start_of
from sidecar.model.audit import Cleared
from sidecar.model.record import Action

_MOST = 1_000
"""Rows of a kind that are removed in one transaction, so that no other write waits long."""
_LEAST = 30 * 86_400.0
"""Seconds; no limit looks back further at what was tried."""

_ALERTS = "SELECT id FROM alerts WHERE state != 'pending' AND received < ?1 ORDER BY id LIMIT ?2"
_INCIDENTS = (
    "SELECT id FROM incidents WHERE closed < ?1 AND id NOT IN (SELECT incident FROM recoveries"
    " WHERE id IN (SELECT recovery FROM alerts)) ORDER BY id LIMIT ?2"
)
_RECOVERIES = "SELECT id FROM recoveries WHERE incident IN (SELECT value FROM json_each(?1)) ORDER BY id"
_ANSWERS = "DELETE FROM answers WHERE key IN (SELECT key FROM answers WHERE kept < ?1 ORDER BY kept LIMIT ?2)"


def clear(tx: Transaction, now: float, most: int = _MOST) -> Cleared:
    """Remove it, oldest first, at most so many of a kind; a row tells how many, and the last of each."""
    before = _horizon(tx, now)
    gone = {"alerts": _ids(tx, _ALERTS, before, most)}
    _remove(tx, "alerts", "id", gone["alerts"])
    gone["incidents"] = _ids(tx, _INCIDENTS, before, most)
    gone["recoveries"] = _ids(tx, _RECOVERIES, json.dumps(gone["incidents"]))
    if gone["incidents"]:
        counters.keeping(tx, lambda: _remove_incidents(tx, gone["incidents"], gone["recoveries"]))
    answers = tx.run(_ANSWERS, before, most).rowcount
    counts = {kind: len(ids) for kind, ids in gone.items()} | {"answers": answers}
    if any(counts.values()):
        last = {kind: max(ids) for kind, ids in gone.items() if ids}
        tx.audit(Action.HISTORY_PRUNED, now, detail={**counts, "last": last, "before": before})
    full = answers, len(gone["alerts"]), len(gone["incidents"])
    return Cleared(sum(counts.values()), more=max(full) == most)


def _horizon(tx: Transaction, now: float) -> float:
    """Wall seconds before which the trail tells nothing. A clock that was ahead once must not move it on."""
    oldest = tx.one("SELECT at FROM audit ORDER BY id LIMIT 1")
    pruned = start_of(tx).newest > 0
    return min(oldest["at"], now - _LEAST) if oldest is not None and pruned else 0.0


def _remove_incidents(tx: Transaction, incidents: Sequence[int], recoveries: Sequence[int]) -> None:
    _remove(tx, "steps", "recovery", recoveries)
    _remove(tx, "recoveries", "id", recoveries)
    _remove(tx, "diagnostics", "incident", incidents)
    _remove(tx, "incidents", "id", incidents)


def _ids(tx: Transaction, sql: str, *values: object) -> list[int]:
    return [row["id"] for row in tx.all(sql, *values)]


def _remove(tx: Transaction, table: str, column: str, ids: Sequence[int]) -> None:
    tx.run(f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", json.dumps(ids))
