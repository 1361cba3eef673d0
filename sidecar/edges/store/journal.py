"""The journal of recoveries: each attempt at a step, before and after its effect, and what was cut off."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass

from sidecar.edges.store import mandates
from sidecar.edges.store.audit import Transaction
from sidecar.errors import PlanUnreadable
from sidecar.model.incident import Asker
from sidecar.model.plan import Step
from sidecar.model.record import Action, StepRow
from sidecar.model.saga import Attempt, AttemptState, Journal, Mandate, Phase, wish_of_alert

_ROWS = (
    "SELECT * FROM steps WHERE recovery = ?"
    " ORDER BY phase, CASE phase WHEN 'do' THEN seq ELSE -seq END, attempt"
)
_KEY = "recovery = ? AND seq = ? AND phase = ? AND attempt = ?"


@dataclass(frozen=True, slots=True)
class CutOff:
    """What the recovery's own row and its journal hold."""

    journal: Journal
    mandate: Mandate | None
    wanted: tuple[str, ...]


def begun(tx: Transaction, recovery: int, attempt: Attempt, step: Step) -> None:
    """Write an attempt before its effect."""
    tx.run(f"DELETE FROM steps WHERE {_KEY}", *_key(recovery, attempt))
    _insert(tx, recovery, attempt, step)
    _audit(tx, Action.STEP_BEGUN, recovery, attempt, attempt.begun or attempt.due, step.describe())


def ended(tx: Transaction, recovery: int, attempt: Attempt, step: Step, again: Attempt | None) -> None:
    """Write what came of it, and when it is tried again, in one; once, however often it is told."""
    changed = tx.run(
        f"UPDATE steps SET state = ?, ended = ?, error = ?, said = ? WHERE {_KEY} AND ended IS NULL",
        attempt.state.value, attempt.ended, attempt.error, attempt.said, *_key(recovery, attempt),
    ).rowcount  # fmt: skip
    if not changed:
        return
    words = attempt.error or attempt.said
    _audit(tx, Action.STEP_ENDED, recovery, attempt, attempt.ended or attempt.due, words)
    if again is not None:
        _insert(tx, recovery, again, step)


def step_rows(tx: Transaction, recovery: int) -> tuple[StepRow, ...]:
    """The journal for people, in order."""
    return tuple(
        StepRow(
            row["seq"], row["kind"], row["description"], row["phase"], row["attempt"], row["state"],
            row["due"], row["begun"], row["ended"], row["error"], row["said"],
        )
        for row in tx.all(_ROWS, recovery)
    )  # fmt: skip


def cut_off(tx: Transaction, row: sqlite3.Row) -> CutOff:
    """What there is to go on with, of a row of the recoveries."""
    attempts: tuple[Attempt, ...] = ()
    mandate: Mandate | None = None
    wanted: tuple[str, ...] = ()
    with contextlib.suppress(PlanUnreadable, ValueError):
        attempts = tuple(map(_attempt, tx.all(_ROWS, row["id"])))
        wanted = (*json.loads(row["wanted"]), *_unresolved(tx, row["id"]))
        mandate = mandates.decode(row["plan"])
    return CutOff(Journal(attempts, row["stopped"]), mandate, wanted)


def _unresolved(tx: Transaction, recovery: int) -> tuple[str, ...]:
    rows = tx.all("SELECT id FROM alerts WHERE recovery = ? AND resolved IS NULL ORDER BY id", recovery)
    return tuple(wish_of_alert(row["id"]) for row in rows)


def take_up(tx: Transaction, recovery: int, now: float) -> int:
    """Count one more run that goes on with it, before it does. How many that makes; 0 if it has ended."""
    changed = tx.run(
        "UPDATE recoveries SET resumed = resumed + 1 WHERE id = ? AND state = 'running'", recovery
    ).rowcount
    if not changed:
        return 0
    count = int(_row(tx, recovery)["resumed"])
    _tell(tx, Action.RECOVERY_RESUMED, recovery, now, {"resumed": count})
    return count


def lay_down(tx: Transaction, now: float) -> tuple[int, ...]:
    """At an orderly end: what still runs is taken up by the next start, and it was no crash."""
    rows = tx.all("SELECT id FROM recoveries WHERE state = 'running' ORDER BY id")
    for row in rows:
        tx.run("UPDATE recoveries SET resumed = MAX(resumed - 1, 0) WHERE id = ?", row["id"])
        _tell(tx, Action.RECOVERY_INTERRUPTED, row["id"], now, {})
    return tuple(row["id"] for row in rows)


def stop(tx: Transaction, recovery: int, reason: str, now: float) -> None:
    """Nothing new of it is to be begun."""
    changed = tx.run(
        "UPDATE recoveries SET stopped = ? WHERE id = ? AND state = 'running' AND stopped = ''",
        reason, recovery,
    ).rowcount  # fmt: skip
    if changed:
        _tell(tx, Action.RECOVERY_STOPPED, recovery, now, {"why": reason})


def join(tx: Transaction, recovery: int, asker: Asker, now: float) -> None:
    """Somebody else wants it too."""
    wanted = json.loads(_row(tx, recovery)["wanted"])
    if asker not in wanted:
        tx.run("UPDATE recoveries SET wanted = ? WHERE id = ?", json.dumps([*wanted, asker]), recovery)
        _tell(tx, Action.RECOVERY_JOINED, recovery, now, {"asker": asker})


def _insert(tx: Transaction, recovery: int, attempt: Attempt, step: Step) -> None:
    tx.run(
        "INSERT INTO steps (recovery, seq, phase, attempt, kind, description, state, due, begun, ended,"
        " error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *_key(recovery, attempt), step.kind.value, step.describe(), attempt.state.value, attempt.due,
        attempt.begun, attempt.ended, attempt.error,
    )  # fmt: skip


def _key(recovery: int, attempt: Attempt) -> tuple[object, ...]:
    return recovery, attempt.seq, attempt.phase.value, attempt.number


def _attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        seq=row["seq"],
        phase=Phase(row["phase"]),
        number=row["attempt"],
        state=AttemptState(row["state"]),
        due=row["due"],
        begun=row["begun"],
        ended=row["ended"],
        error=row["error"],
        said=row["said"],
    )


def _row(tx: Transaction, recovery: int) -> sqlite3.Row:
    row = tx.one("SELECT * FROM recoveries WHERE id = ?", recovery)
    assert row is not None
    return row


def _tell(tx: Transaction, action: Action, recovery: int, now: float, detail: dict[str, object]) -> None:
    row = _row(tx, recovery)
    tx.audit(
        action,
        now,
        session=row["session"],
        reason=str(detail.get("why", "")),
        trace=row["trace"],
        detail={"recovery": recovery, **detail},
    )


def _audit(tx: Transaction, action: Action, recovery: int, attempt: Attempt, now: float, words: str) -> None:
    row = _row(tx, recovery)
    tx.audit(
        action,
        now,
        session=row["session"],
        trace=row["trace"],
        detail={
            "recovery": recovery,
            "step": attempt.seq,
            "phase": attempt.phase,
            "attempt": attempt.number,
            "words": words,
        },
    )
