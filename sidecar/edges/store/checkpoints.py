"""Checkpoints and their scrollback. What does not match its checksum is quarantined, never used."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Collection, Mapping

from sidecar.edges.store import codec, scrollbacks
from sidecar.edges.store.audit import Transaction
from sidecar.edges.store.seal import SEALED, seal
from sidecar.errors import CheckpointUnusable
from sidecar.model.record import Action, Capture, StoredTotals
from sidecar.model.session import Checkpoint, Operation

_LOOKED_THROUGH = 50
"""Generations; a window is lost between two looks, and only what was stored since does without it."""


def add(
    tx: Transaction,
    capture: Capture,
    operation: Operation,
    body: str,
    packed: Mapping[str, tuple[int, bytes]],
    damaged: Collection[str],
) -> Checkpoint:
    """Store one generation. See :func:`scrollbacks.add` for the texts.

    Raises:
        TextsMissing: the capture counts on a text that is not here.
    """
    digest = codec.checksum(body)
    number = _next_id(tx)
    name, taken = capture.image.name, float(capture.taken)
    values = (number, name, taken, operation.value, capture.instance, digest, len(body))
    tx.run(
        f"INSERT INTO checkpoints ({', '.join(SEALED)}, body, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *values, body, seal(values),
    )  # fmt: skip
    scrollbacks.add(tx, number, capture, packed, damaged)
    tx.audit(
        Action.CHECKPOINT_CREATED,
        capture.taken,
        session=capture.image.name,
        reason=operation,
        detail={"checkpoint": number, "panes": capture.image.pane_count, "bytes": len(body)},
    )
    return Checkpoint(
        number,
        capture.image.name,
        capture.taken,
        operation,
        capture.instance,
        digest,
        len(body),
        capture.image,
    )


def _next_id(tx: Transaction) -> int:
    """One that no generation ever had, so that the row can be sealed with it."""
    row = tx.one(
        "SELECT MAX(COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'checkpoints'), 0),"
        " COALESCE((SELECT MAX(id) FROM checkpoints), 0)) + 1"
    )
    assert row is not None
    return int(row[0])


def newest(
    tx: Transaction, session: str, now: float, before: int | None = None
) -> tuple[Checkpoint | None, int]:
    """The newest good one, and how many were quarantined on the way to it."""
    bad = 0
    for row in tx.all(
        "SELECT * FROM checkpoints WHERE session = ?1 AND quarantined = '' AND (?2 IS NULL OR id < ?2)"
        " ORDER BY id DESC",
        session, before,
    ):  # fmt: skip
        try:
            return read(row), bad
        except CheckpointUnusable as error:
            bad += quarantine(tx, row["id"], session, str(error), now)
    return None, bad


def newest_with_windows(
    tx: Transaction, session: str, instance: str, windows: Mapping[int, int], now: float
) -> tuple[Checkpoint | None, int]:
    """The newest good one of this life that has all these windows, and how many were quarantined.

    ``windows`` tells by index how many panes each has to have at least.
    """
    bad = 0
    for (number,) in tx.all(
        "SELECT id FROM checkpoints WHERE session = ? AND instance = ? AND quarantined = ''"
        " ORDER BY id DESC LIMIT ?",
        session, instance, _LOOKED_THROUGH,
    ):  # fmt: skip
        (row,) = tx.all("SELECT * FROM checkpoints WHERE id = ?", number)
        try:
            found = read(row)
        except CheckpointUnusable as error:
            bad += quarantine(tx, number, session, str(error), now)
            continue
        panes = {window.index: len(window.panes) for window in found.image.windows}
        if all(panes.get(index, 0) >= least for index, least in windows.items()):
            return found, bad
    return None, bad


def quarantine(tx: Transaction, number: int, session: str, reason: str, now: float) -> bool:
    """Never use it again. False if it was in quarantine already, or is gone."""
    changed = tx.run(
        "UPDATE checkpoints SET quarantined = ? WHERE id = ? AND quarantined = ''", reason, number
    ).rowcount
    if changed:
        tx.audit(
            Action.CHECKPOINT_QUARANTINED, now, session=session, reason=reason, detail={"checkpoint": number}
        )
    return bool(changed)


def inspect(tx: Transaction, now: float) -> int:
    """Check every row's seal, and every mark of quarantine. Returns how many were not as they should be.

    A row that was damaged in its session's name would else be missed where nobody looks for it, and
    a good one passed over for a mark that nobody has set.
    """
    rows = tx.all(f"SELECT {', '.join(SEALED)}, seal FROM checkpoints WHERE quarantined = ''")
    broken = [row for row in rows if not sealed(row)]
    for row in broken:
        quarantine(tx, row["id"], str(row["session"]), "the row does not match its seal", now)
    return len(broken) + _inspect_marks(tx, now)


def _inspect_marks(tx: Transaction, now: float) -> int:
    marked = [row["id"] for row in tx.all("SELECT id FROM checkpoints WHERE quarantined IS NOT ''")]
    told = quarantined_since(tx) if marked else {}
    bad = 0
    for number in marked:
        (row,) = tx.all("SELECT * FROM checkpoints WHERE id = ?", number)
        try:
            good = read(row)
        except CheckpointUnusable as error:
            if number not in told:
                _unmark(tx, number)
                bad += quarantine(tx, number, str(row["session"]), str(error), now)
        else:
            _unmark(tx, number)
            tx.audit(Action.CHECKPOINT_CLEARED, now, session=good.session, detail={"checkpoint": number})
            bad += 1
    return bad


def _unmark(tx: Transaction, number: int) -> None:
    tx.run("UPDATE checkpoints SET quarantined = '' WHERE id = ?", number)


def quarantined_since(tx: Transaction) -> dict[int, float]:
    """The checkpoints whose quarantine is in the audit trail, with the wall seconds of it."""
    found = {}
    for detail, at in tx.all(
        "SELECT detail, at FROM audit WHERE action = ? ORDER BY id", Action.CHECKPOINT_QUARANTINED.value
    ):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found[json.loads(detail)["checkpoint"]] = float(at)
    return found


def totals(tx: Transaction) -> tuple[StoredTotals, ...]:
    rows = tx.all(
        "SELECT c.session, COUNT(*) AS count, MAX(c.taken) AS newest, SUM(c.size) + COALESCE(("
        "  SELECT SUM(LENGTH(s.packed)) FROM scrollbacks s WHERE s.digest IN ("
        "    SELECT l.digest FROM checkpoint_scrollbacks l JOIN checkpoints k ON k.id = l.checkpoint"
        "    WHERE k.session = c.session)), 0) AS size"
        " FROM checkpoints c WHERE c.quarantined = '' GROUP BY c.session"
    )
    return tuple(StoredTotals(row["session"], row["count"], row["size"], row["newest"]) for row in rows)


def sealed(row: sqlite3.Row) -> bool:
    """Whether the row says what was stored, its body aside."""
    return bool(row["seal"] == seal([row[key] for key in SEALED]))


def read(row: sqlite3.Row) -> Checkpoint:
    """The checkpoint of a row.

    Raises:
        CheckpointUnusable: its bytes are not the ones that were stored.
    """
    if not sealed(row):
        raise CheckpointUnusable("the row does not match its seal")
    return read_unsealed(row)


def read_unsealed(row: sqlite3.Row) -> Checkpoint:
    """The same, for a row of a release that knew no seals.

    Raises:
        CheckpointUnusable: its bytes are not the ones that were stored.
    """
    body = row["body"]
    if not isinstance(body, str) or not body.isascii() or codec.checksum(body) != row["checksum"]:
        raise CheckpointUnusable("the checksum does not match")
    try:
        operation = Operation(row["operation"])
    except ValueError as error:
        raise CheckpointUnusable(f"its operation is {row['operation']!r}") from error
    image = codec.decode(body)
    if image.name != row["session"]:
        raise CheckpointUnusable("it is a checkpoint of another session")
    return Checkpoint(
        row["id"],
        row["session"],
        row["taken"],
        operation,
        row["instance"],
        row["checksum"],
        row["size"],
        image,
    )
