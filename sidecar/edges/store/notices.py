"""Notices on their way: written before anybody is told, and kept until somebody was."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sidecar.edges.store.audit import Transaction
from sidecar.model.notice import Delivery, Matter, Notice, QueuedNotice
from sidecar.model.record import Action

_KEPT_SECONDS = 7 * 86_400.0
_MOST_QUEUED = 1_000
"""Of one channel; the oldest go first, and are counted as failed."""


def add(tx: Transaction, notice: Notice, channels: Sequence[str], now: float) -> int:
    """Queue it for each channel. Returns how many older ones had to go for it."""
    for channel in channels:
        tx.run(
            "INSERT INTO notices (channel, matter, session, check_name, text, trace, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            channel, notice.matter.value, notice.session, notice.check, notice.text, notice.trace, notice.at,
        )  # fmt: skip
    tx.run("DELETE FROM notices WHERE state <> 'queued' AND ended < ?", now - _KEPT_SECONDS)
    return sum(_crowd_out(tx, channel, now) for channel in channels)


def _crowd_out(tx: Transaction, channel: str, now: float) -> int:
    older = "SELECT id FROM notices WHERE channel = ? AND state = 'queued' ORDER BY id DESC LIMIT -1 OFFSET ?"
    surplus = [row["id"] for row in tx.all(older, channel, _MOST_QUEUED)]
    if surplus:
        settle(tx, channel, surplus, Delivery.FAILED, now, "too many were waiting")
    return len(surplus)


def queued(tx: Transaction, channel: str) -> tuple[QueuedNotice, ...]:
    """Those that nobody has been told yet, oldest first."""
    return tuple(
        QueuedNotice(
            id=row["id"],
            channel=channel,
            notice=read_notice(row),
            attempts=row["attempts"],
            due=row["due"],
        )
        for row in tx.all("SELECT * FROM notices WHERE channel = ? AND state = 'queued' ORDER BY id", channel)
    )


def read_notice(row: sqlite3.Row) -> Notice:
    """What a row of ours tells."""
    return Notice(
        Matter(row["matter"]), row["session"], row["text"], row["at"], row["trace"], row["check_name"]
    )


def sent_since(tx: Transaction, channel: str, since: float) -> tuple[float, ...]:
    """When messages went through this channel, each once, however many notices it held."""
    rows = tx.all(
        "SELECT DISTINCT ended FROM notices WHERE channel = ? AND state = 'delivered' AND ended >= ?"
        " ORDER BY ended",
        channel, since,
    )  # fmt: skip
    return tuple(row["ended"] for row in rows)


def settle(
    tx: Transaction, channel: str, numbers: Sequence[int], outcome: Delivery, now: float, error: str = ""
) -> None:
    """These have come to an end."""
    tx.many(
        "UPDATE notices SET state = ?, ended = ?, error = ?, attempts = attempts + 1 WHERE id = ?",
        [(outcome.value, now, error, number) for number in numbers],
    )
    detail = {"channel": channel, "notices": list(numbers)} | ({"error": error} if error else {})
    tx.audit(Action.NOTIFIED, now, reason=outcome, detail=detail)


def postpone(tx: Transaction, numbers: Sequence[int], due: float, error: str) -> None:
    """These are tried again."""
    tx.many(
        "UPDATE notices SET due = ?, error = ?, attempts = attempts + 1 WHERE id = ?",
        [(due, error, number) for number in numbers],
    )
