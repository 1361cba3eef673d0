"""Counters that equal their rows: what the database holds, counted by named statements.

Retention takes rows away, never from a counter: what it removes is added up in the table ``counted``
first. A counter is its rows that are left and what stands there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidecar.edges.store.audit import Transaction
from sidecar.model.plan import Outcome, Strategy
from sidecar.model.record import Action

Counts = Mapping[str, Mapping[tuple[str, ...], int]]
"""By the counter's name without prefix and suffix, then by the values of its labels, in order."""

_EVERY_ROW = 2**62


@dataclass(frozen=True, slots=True)
class Named:
    """One statement: the label values and the count, of audit rows up to ``?1``."""

    sql: str
    of_audit: bool = True
    """Retention of the audit trail takes from it."""
    needs: tuple[str, str] | None = None
    """A table and a column of it, which files of earlier releases do not have."""


def _audit(labels: str, action: Action) -> Named:
    groups = "1, 2" if labels.startswith("session") else "1"
    return Named(
        f"SELECT {labels}, COUNT(*) FROM audit WHERE id <= ?1 AND action = '{action.value}' GROUP BY {groups}"
    )


_FAILURE = "CASE WHEN json_valid(detail) THEN COALESCE(json_extract(detail, '$.failure'), '') ELSE '' END"
_OUTCOMES = ", ".join(f"'{outcome.value}'" for outcome in Outcome)
_FAMILY = f"CASE WHEN strategy LIKE '{Strategy.CUSTOM}:%' THEN '{Strategy.CUSTOM}' ELSE strategy END"
NAMED: Mapping[str, Named] = {
    "failures": _audit(f"session, {_FAILURE}", Action.INCIDENT_OPENED),
    "findings": _audit("reason", Action.INCIDENT_OPENED),
    "refusals": _audit("reason", Action.REFUSED),
    "audit_records": Named("SELECT COUNT(*) FROM audit WHERE id <= ?1"),
    "recoveries": Named(
        f"SELECT failure, {_FAMILY}, state, COUNT(*) FROM recoveries"
        f" WHERE state IN ({_OUTCOMES}) AND ?1 GROUP BY 1, 2, 3",
        of_audit=False,
    ),
    "retries": Named(
        "SELECT kind, COUNT(*) FROM steps WHERE attempt > 1 AND ?1 GROUP BY 1",
        of_audit=False,
        needs=("steps", "attempt"),
    ),
    "transactions": Named(
        "SELECT transaction_outcome, COUNT(*) FROM recoveries"
        " WHERE transaction_outcome != '' AND ?1 GROUP BY 1",
        of_audit=False,
        needs=("recoveries", "transaction_outcome"),
    ),
}


def count(tx: Transaction) -> Counts:
    """Every counter as the database has it; without those that it knows nothing of."""
    counts = {name: _counted(tx, name) for name, named in NAMED.items() if _is_known(tx, named)}
    for name, sums in counts.items():
        for labels, number in _rows(tx, NAMED[name], _EVERY_ROW):
            sums[labels] = sums.get(labels, 0) + number
    return counts


def keep(tx: Transaction, last: int) -> None:
    """Before the audit rows up to this id are removed: add them up."""
    for name, named in NAMED.items():
        for labels, number in _rows(tx, named, last) if named.of_audit else ():
            _add(tx, name, labels, number)


def keeping(tx: Transaction, removal: Callable[[], None]) -> None:
    """Remove rows of other tables, and add up what the counters would lose by it."""
    others = {name: named for name, named in NAMED.items() if not named.of_audit}
    before = {name: _rows(tx, named, _EVERY_ROW) for name, named in others.items()}
    removal()
    for name, named in others.items():
        left = dict(_rows(tx, named, _EVERY_ROW))
        for labels, number in before[name]:
            _add(tx, name, labels, number - left.get(labels, 0))


def _add(tx: Transaction, name: str, labels: tuple[str, ...], number: int) -> None:
    if number:
        tx.run(
            "INSERT INTO counted (counter, labels, count) VALUES (?1, ?2, ?3)"
            " ON CONFLICT (counter, labels) DO UPDATE SET count = count + ?3",
            name, json.dumps(labels), number,
        )  # fmt: skip


def _is_known(tx: Transaction, named: Named) -> bool:
    if named.needs is None:
        return True
    table, column = named.needs
    return tx.one("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", table, column) is not None


def _rows(tx: Transaction, named: Named, last: int) -> list[tuple[tuple[str, ...], int]]:
    rows = map(tuple, tx.all(named.sql, last))
    return [(tuple(map(str, labels)), number) for *labels, number in rows if number]


def _counted(tx: Transaction, name: str) -> dict[tuple[str, ...], int]:
    if not tx.all("SELECT 1 FROM sqlite_master WHERE name = 'counted'"):
        return {}
    rows = tx.all("SELECT labels, count FROM counted WHERE counter = ?", name)
    return {tuple(json.loads(row["labels"])): row["count"] for row in rows}
