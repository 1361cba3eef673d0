"""The circuits as rows: one for each that was ever used, until it says nothing more."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from sidecar.edges.store.audit import Transaction
from sidecar.model.policy import BreakerState, Call, Circuit, Lease
from sidecar.model.record import Action


def read(tx: Transaction) -> Mapping[str, BreakerState]:
    return {row["name"]: _state(row) for row in tx.all("SELECT * FROM circuits")}


def save(
    tx: Transaction, states: Mapping[str, BreakerState], gone: Sequence[str], now: float, actor: str
) -> tuple[str, ...]:
    """Write these, and remove those. Returns which have moved, which goes on record."""
    for name in gone:
        tx.run("DELETE FROM circuits WHERE name = ?", name)
    return tuple(name for name, state in states.items() if _save(tx, name, state, now, actor))


def _save(tx: Transaction, name: str, state: BreakerState, now: float, actor: str) -> bool:
    row = tx.one("SELECT * FROM circuits WHERE name = ?", name)
    old = _state(row) if row is not None else BreakerState()
    tx.run(
        "INSERT OR REPLACE INTO circuits (name, state, calls, opened, forced, leases, proven, used)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        name, state.circuit.value,
        json.dumps([[call.at, call.failed, call.slow, call.target] for call in state.calls]),
        state.opened, state.forced, json.dumps([[lease.holder, lease.until] for lease in state.leases]),
        state.proven, state.used,
    )  # fmt: skip
    if (old.circuit, old.forced) == (state.circuit, state.forced):
        return False
    detail = {"from": old.circuit, "to": state.circuit, "forced": state.forced}
    tx.audit(Action.CIRCUIT_MOVED, now, reason=name, actor=actor, detail=detail)
    return True


def _whole(text: str, kinds: tuple[type, ...]) -> list[list[Any]]:
    """The entries of a list that are of this form; what else stands there tells nothing."""
    return [
        facts
        for facts in json.loads(text)
        if isinstance(facts, list) and tuple(type(fact) for fact in facts) == kinds
    ]


def _state(row: sqlite3.Row) -> BreakerState:
    return BreakerState(
        circuit=Circuit(row["state"]),
        calls=tuple(Call(*facts) for facts in _whole(row["calls"], (float, bool, bool, str))),
        opened=row["opened"],
        forced=bool(row["forced"]),
        leases=tuple(Lease(*facts) for facts in _whole(row["leases"], (str, float))),
        proven=row["proven"],
        used=row["used"],
    )
