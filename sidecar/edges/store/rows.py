"""Rows that say what no release of ours writes: told, put on record as they were, and made readable.

One such row must not keep the service from starting, or a page of others from being shown. What stands
in its place is the word that does least: an incident is over, a circuit is closed, an alert is settled.
Checkpoints and texts are not looked at here; they carry seals and digests of their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sidecar import redact
from sidecar.edges.store.audit import Transaction
from sidecar.model.incident import Asker, Cause, FailureKind, IncidentState, Intent, Unit
from sidecar.model.plan import Strategy
from sidecar.model.policy import Circuit
from sidecar.model.record import Action, Standing

_LONGEST = 500
"""Characters of a damaged value that go on record."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What a column may hold, as an SQL condition, and what takes the place of anything else."""

    condition: str
    instead: object


def _word(words: type[StrEnum], instead: StrEnum) -> Sound:
    return Sound(f"{{}} IN ({_quoted(words)})", instead.value)


def _quoted(words: Iterable[StrEnum]) -> str:
    return ", ".join(f"'{word.value}'" for word in words)


def _json(kind: str, instead: str) -> Sound:
    return Sound(f"typeof({{0}}) = 'text' AND json_valid({{0}}) AND json_type({{0}}) = '{kind}'", instead)


_NUMBER = Sound("typeof({}) IN ('real', 'integer')", 0.0)
_FAILURE, _CAUSE = _word(FailureKind, FailureKind.REQUESTED), _word(Cause, Cause.UNKNOWN)
_OWN = f"{Strategy.CUSTOM}:"
# The same as OWN_NAME in model/plan.py.
_STRATEGY = (
    f"({{0}} IN ({_quoted(Strategy)}) OR {{0}} GLOB '{_OWN}[a-z]*'"
    f" AND {{0}} NOT GLOB '{_OWN}*[^a-z0-9_-]*' AND length({{0}}) <= {len(_OWN) + 40})"
)

SOUND: Mapping[str, Mapping[str, Sound]] = {
    "sessions": {"standing": _word(Standing, Standing.LIVE), "last_seen": _NUMBER},
    "incidents": {
        "failure": _FAILURE,
        "cause": _CAUSE,
        "intent": _word(Intent, Intent.UNKNOWN),
        "state": _word(IncidentState, IncidentState.DISMISSED),
        "evidence": _json("array", "[]"),
        "first_sign": _NUMBER,
        "opened": _NUMBER,
    },
    "recoveries": {
        "failure": _FAILURE,
        "cause": _CAUSE,
        "strategy": Sound(_STRATEGY, Strategy.CUSTOM.value),
        "asker": _word(Asker, Asker.OPERATOR),
        "begun": _NUMBER,
        "differences": _json("array", "[]"),
        "evidence": _json("array", "[]"),
        "compared": _json("object", "{}"),
        "wanted": _json("array", "[]"),
        "commands": _json("array", "[]"),
        "resumed": Sound("typeof({}) = 'integer'", 0),
        "undo": Sound("typeof({}) = 'integer'", 0),
    },
    "alerts": {
        "failure": _FAILURE,
        "strategy": Sound(f"{{0}} IS NULL OR {_STRATEGY}", None),
        "labels": _json("object", "{}"),
        "state": Sound("{} IN ('pending', 'settled', 'skipped')", "settled"),
        "received": _NUMBER,
    },
    "circuits": {
        "state": _word(Circuit, Circuit.CLOSED),
        "calls": _json("array", "[]"),
        "opened": _NUMBER,
        "forced": _NUMBER,
        "leases": _json("array", "[]"),
        "proven": _NUMBER,
        "used": _NUMBER,
    },
    "footings": {
        "failure": _FAILURE,
        "strategy": Sound(_STRATEGY, Strategy.CUSTOM.value),
        "cause": _CAUSE,
        "unit": _word(Unit, Unit.SESSION),
        "at": _NUMBER,
    },
    "checks": {
        "failing": _NUMBER,
        "vain": Sound("typeof({}) = 'integer'", 0),
        "at": _NUMBER,
    },
    "rehearsals": {"differences": _json("array", "[]"), "at": _NUMBER},
    "silences": {"begun": _NUMBER, "until": _NUMBER, "hold": _NUMBER},
    "programs": {"life": _json("object", "{}"), "at": _NUMBER},
    "program_starts": {"asker": _word(Asker, Asker.OPERATOR), "at": _NUMBER},
}
"""By table and column. A column that is not named holds text of any kind, or is checked elsewhere."""

_CLOSE_UNREADABLE = "UPDATE incidents SET closed = opened WHERE closed IS NULL AND state = 'dismissed'"


def mend(tx: Transaction, now: float) -> int:
    """Make every unreadable value readable, each put on record as it was. Returns how many there were."""
    found = 0
    for table, columns in SOUND.items():
        for column, sound in columns.items():
            for number, value in list(_unsound(tx, table, column, sound)):
                instead = _standing(tx, table, column, number) or sound.instead
                tx.run(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", instead, number)
                was = {
                    "table": table,
                    "row": number,
                    "column": column,
                    "was": redact.text(repr(value))[:_LONGEST],
                }
                tx.audit(Action.ROW_MENDED, now, reason=table, detail={**was, "is": instead})
                found += 1
    if found:
        tx.run(_CLOSE_UNREADABLE)
    return found


def _unsound(tx: Transaction, table: str, column: str, sound: Sound) -> Iterator[tuple[int, object]]:
    condition = sound.condition.format(column)
    try:
        # The condition of a damaged value may be NULL.
        rows = tx.all(f"SELECT rowid, {column} FROM {table} WHERE ({condition}) IS NOT 1")
    except sqlite3.OperationalError:
        # JSON of an impossible depth ends the statement: then one row after the other.
        rows = [row for row in tx.all(f"SELECT rowid, {column} FROM {table}") if _bad(tx, row[1], sound)]
    yield from ((row[0], row[1]) for row in rows)


def _bad(tx: Transaction, value: object, sound: Sound) -> bool:
    try:
        return bool(tx.all(f"SELECT ({sound.condition.format('?1')}) IS NOT 1", value)[0][0])
    except sqlite3.OperationalError:
        return True


def _standing(tx: Transaction, table: str, column: str, number: int) -> str | None:
    """Whether a person has released the session is told by the audit trail too."""
    if (table, column) != ("sessions", "standing"):
        return None
    told = tx.one(
        "SELECT action FROM audit WHERE session = (SELECT name FROM sessions WHERE rowid = ?)"
        f" AND action IN ('{Action.SESSION_RELEASED.value}', '{Action.SESSION_ADOPTED.value}')"
        " ORDER BY id DESC LIMIT 1",
        number,
    )
    released = told is not None and told["action"] == Action.SESSION_RELEASED
    return Standing.RELEASED.value if released else None
