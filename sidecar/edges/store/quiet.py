"""Silences, and what people are told once they are over. Each change carries its audit row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sidecar.edges.store import notices
from sidecar.edges.store.audit import Transaction
from sidecar.edges.store.shelf import Access
from sidecar.model.notice import ENDS, Matter, Notice
from sidecar.model.quiet import Silence, SilenceRequest
from sidecar.model.record import Action

_KEPT_SECONDS = 30 * 86_400.0
_MOST_WITHHELD = 1_000


class QuietShelf:
    """Implements :class:`sidecar.flow.ports.QuietBook` on SQLite."""

    def __init__(self, read: Access, write: Access, wall: Callable[[], float]) -> None:
        self._read = read
        self._write = write
        self._wall = wall

    async def silences(self) -> tuple[Silence, ...]:
        """Those that nobody has ended, oldest first."""
        rows = await self._read(lambda tx: tx.all("SELECT * FROM silences WHERE ended IS NULL ORDER BY id"))
        return tuple(
            Silence(
                row["id"],
                row["target"],
                row["begun"],
                row["until"],
                bool(row["hold"]),
                row["reason"],
                row["actor"],
            )
            for row in rows
        )

    async def add_silence(self, asked: SilenceRequest, actor: str) -> Silence:
        """Begin one."""
        return await self._write(lambda tx: _add(tx, asked, actor, self._wall()))

    async def end_silence(self, silence: Silence, why: str, actor: str) -> bool:
        """End it. False: it has ended already."""
        return await self._write(lambda tx: _end(tx, silence, why, actor, self._wall()))

    async def withhold(self, notice: Notice) -> None:
        """Keep it until it may be told; good news take away what they end."""
        await self._write(lambda tx: _withhold(tx, notice))

    async def withheld(self) -> tuple[Notice, ...]:
        """Oldest first."""
        rows = await self._read(lambda tx: tx.all("SELECT * FROM withheld ORDER BY rowid"))
        return tuple(map(notices.read_notice, rows))

    async def release(self, over: Sequence[Notice], told: Mapping[str, Sequence[Notice]]) -> None:
        """Forget what was withheld, and queue some of it, by channel, as it is to be told; all or nothing."""
        await self._write(lambda tx: _release(tx, over, told, self._wall()))


def _add(tx: Transaction, asked: SilenceRequest, actor: str, now: float) -> Silence:
    tx.run("DELETE FROM silences WHERE ended < ?", now - _KEPT_SECONDS)
    until = now + asked.seconds
    number = tx.run(
        "INSERT INTO silences (target, begun, until, hold, reason, actor) VALUES (?, ?, ?, ?, ?, ?)",
        asked.target, now, until, asked.hold, asked.reason, actor,
    ).lastrowid  # fmt: skip
    assert number is not None
    silence = Silence(number, asked.target, now, until, asked.hold, asked.reason, actor)
    detail = {"silence": number, "until": until, "hold": asked.hold}
    tx.audit(Action.SILENCED, now, session=asked.target, actor=actor, reason=asked.reason, detail=detail)
    return silence


def _end(tx: Transaction, silence: Silence, why: str, actor: str, now: float) -> bool:
    done = tx.run("UPDATE silences SET ended = ? WHERE id = ? AND ended IS NULL", now, silence.id).rowcount
    if done:
        detail = {"silence": silence.id, "until": silence.until}
        tx.audit(Action.SILENCE_ENDED, now, session=silence.target, actor=actor, reason=why, detail=detail)
    return bool(done)


def _withhold(tx: Transaction, notice: Notice) -> None:
    for matter in (notice.matter, *ENDS.get(notice.matter, ())):
        _forget(tx, notice, matter)
    if notice.matter in ENDS:
        return
    tx.run(
        "INSERT INTO withheld (session, check_name, matter, text, trace, at) VALUES (?, ?, ?, ?, ?, ?)",
        notice.session, notice.check, notice.matter.value, notice.text, notice.trace, notice.at,
    )  # fmt: skip
    tx.run(
        "DELETE FROM withheld WHERE rowid <= (SELECT MAX(rowid) FROM withheld) - ?",
        _MOST_WITHHELD,
    )


def _forget(tx: Transaction, notice: Notice, matter: Matter) -> None:
    tx.run(
        "DELETE FROM withheld WHERE session = ? AND check_name = ? AND matter = ?",
        notice.session, notice.check, matter.value,
    )  # fmt: skip


def _release(
    tx: Transaction, over: Sequence[Notice], told: Mapping[str, Sequence[Notice]], now: float
) -> None:
    for notice in over:
        # What was withheld again meanwhile is another notice.
        tx.run(
            "DELETE FROM withheld WHERE session = ? AND check_name = ? AND matter = ? AND at = ?",
            notice.session, notice.check, notice.matter.value, notice.at,
        )  # fmt: skip
    for channel, some in told.items():
        for notice in some:
            notices.add(tx, notice, [channel], now)
    tx.audit(
        Action.NOTICES_RELEASED,
        now,
        detail={
            "over": [[one.subject, one.matter] for one in over],
            "told": {channel: len(some) for channel, some in told.items()},
        },
    )
