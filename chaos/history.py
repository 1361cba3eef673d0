"""What a database of the sidecar holds, read as one moment of it, for whoever checks its history."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sidecar.edges.store import chain, counters
from sidecar.edges.store.audit import Transaction
from sidecar.edges.store.inspect import opened
from sidecar.model.audit import Break
from sidecar.model.record import Action

Row = Mapping[str, Any]


@dataclass(frozen=True)
class History:
    """Every row that tells of what was done, oldest first."""

    incidents: tuple[Row, ...]
    recoveries: tuple[Row, ...]
    steps: tuple[Row, ...]
    restarts: frozenset[int]
    """The ids of recoveries that were restarts of programs by their own rules."""
    alerts: tuple[Row, ...]
    audit: tuple[Row, ...]
    """With ``detail`` as an object."""
    broken: Break | None
    """Where the chain of the trail breaks."""
    pruned: bool
    """Retention has removed the oldest audit rows."""
    counts: counters.Counts

    @property
    def horizon(self) -> float:
        """Wall seconds from which on the trail is complete."""
        if not self.pruned:
            return float("-inf")
        return self.audit[0]["at"] if self.audit else float("inf")

    @cached_property
    def mended(self) -> frozenset[tuple[str, int]]:
        """Rows that were damaged, and do not say any more what was written."""
        return frozenset(
            (row["detail"].get("table", ""), row["detail"].get("row", 0))
            for row in self.told(Action.ROW_MENDED)
        )

    def removed(self, table: str) -> int:
        """The highest id that retention has removed of a table."""
        told = [row["detail"].get("last", {}).get(table, 0) for row in self.told(Action.HISTORY_PRUNED)]
        return max(told, default=0)

    def told(self, *actions: Action) -> Iterator[Row]:
        """The audit rows of these actions."""
        wanted = {action.value for action in actions}
        return (row for row in self.audit if row["action"] in wanted)

    def of(self, key: str, *actions: Action) -> dict[Any, list[Row]]:
        """The audit rows of these actions, by what stands under this key of their detail."""
        found: dict[Any, list[Row]] = {}
        for row in self.told(*actions):
            found.setdefault(row["detail"].get(key), []).append(row)
        return found


def read(folder: Path) -> History:
    """Read the database in a state folder, beside a running service or after its end; writes nothing.

    Raises:
        Permanent: there is none, or it cannot be read.
    """
    with opened(folder) as tx:
        return History(
            incidents=_rows(tx, "incidents", "id"),
            recoveries=_rows(tx, "recoveries", "id"),
            steps=tuple(map(_step, _rows(tx, "steps", "recovery, seq"))),
            restarts=_restarts(tx),
            alerts=_rows(tx, "alerts", "id"),
            audit=tuple({**row, "detail": _object(row["detail"])} for row in _rows(tx, "audit", "id")),
            broken=chain.verify(tx).broken,
            pruned=chain.start_of(tx).newest > 0,
            counts=counters.count(tx),
        )


def _restarts(tx: Transaction) -> frozenset[int]:
    """None of a release that knew no programs."""
    if not tx.all("SELECT 1 FROM sqlite_master WHERE name = 'program_starts'"):
        return frozenset()
    return frozenset(row["recovery"] for row in tx.all("SELECT recovery FROM program_starts"))


def _rows(tx: Transaction, table: str, order: str) -> tuple[Row, ...]:
    return tuple(dict(row) for row in tx.all(f"SELECT * FROM {table} ORDER BY {order}"))


def _step(row: Row) -> Row:
    """A row of a release whose journal knew neither phases nor attempts has the first of each."""
    return {"phase": "do", "attempt": 1, **row}


def _object(text: Any) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, TypeError):
        return {}
    return body if isinstance(body, dict) else {}
