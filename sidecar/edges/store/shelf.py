"""The stored generations for whoever asks about them: listed, looked up, thinned out.

Every body that is read is checked against its checksum. One that fails is quarantined, audited and
counted on the spot, and is never shown as good.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from sidecar.edges.store import checkpoints, retention
from sidecar.edges.store.audit import Transaction
from sidecar.errors import CheckpointUnusable
from sidecar.model.archive import Doomed, GenerationFilter, GenerationRow
from sidecar.model.policy import Retention
from sidecar.model.session import Checkpoint

T = TypeVar("T")

_SLICE = 20
"""Bodies held at once, however long the page: each may have a hundred kilobytes."""


class Access(Protocol):
    """How work reaches the database: in its thread, with its time limit and errors."""

    def __call__(self, work: Callable[[Transaction], T]) -> Awaitable[T]: ...


class Shelf:
    """Implements :class:`sidecar.flow.ports.Shelf` on SQLite."""

    def __init__(
        self,
        read: Access,
        write: Access,
        chooser: retention.Chooser,
        wall: Callable[[], float],
        on_corrupt: Callable[[int], None],
    ) -> None:
        self._read = read
        self._write = write
        self._chooser = chooser
        self._wall = wall
        self._on_corrupt = on_corrupt

    async def page(self, wanted: GenerationFilter) -> tuple[GenerationRow, ...]:
        """Newest first; quarantined ones are named as such, unless only good ones are wanted."""
        rows: list[GenerationRow] = []
        rest = wanted
        while rest.limit > 0:
            raw = await self._read(_slice(rest))
            if not raw:
                break
            shown = await self._checked(raw)
            rows.extend(row for row in shown if not (wanted.good and row.quarantined))
            rest = replace(rest, before=raw[-1]["id"], limit=wanted.limit - len(rows))
        return tuple(rows)

    async def find(self, number: int) -> Checkpoint | GenerationRow | None:
        """One by its id; the bare row if it is in quarantine, None if there is none."""
        row = await self._read(lambda tx: tx.one("SELECT * FROM checkpoints WHERE id = ?", number))
        if row is None:
            return None
        (shown,) = await self._checked([row])
        return shown if shown.quarantined else await asyncio.to_thread(checkpoints.read, row)

    async def newest(self, session: str, until: float | None = None) -> Checkpoint | None:
        """The newest good one, taken at ``until`` (wall seconds) or before."""
        for row in await self.page(GenerationFilter(session, until=until, good=True, limit=1)):
            found = await self.find(row.id)
            if isinstance(found, Checkpoint):
                return found
        return None

    async def doomed(self, limits: Retention) -> tuple[Doomed, ...]:
        """What :meth:`prune` would remove, session by session, oldest first."""
        return await self._read(lambda tx: retention.doomed(tx, self._chooser, limits, self._wall()))

    async def prune(self, limits: Retention) -> tuple[Doomed, ...]:
        """Remove what retention does not keep; never a session's newest good one."""
        return await self._write(lambda tx: retention.prune(tx, self._chooser, limits, self._wall()))

    async def _checked(self, raw: list[sqlite3.Row]) -> list[GenerationRow]:
        shown = await asyncio.to_thread(lambda: [_shown(row) for row in raw])
        fresh = [
            row
            for row, before in zip(shown, raw, strict=True)
            if row.quarantined and not before["quarantined"]
        ]
        if fresh:
            now = self._wall()
            bad = await self._write(
                lambda tx: sum(
                    checkpoints.quarantine(tx, row.id, row.session, row.quarantined, now) for row in fresh
                )
            )
            self._on_corrupt(bad)
        return shown


def _slice(wanted: GenerationFilter) -> Callable[[Transaction], list[sqlite3.Row]]:
    values: tuple[Any, ...] = (
        wanted.session, wanted.operation, wanted.until, wanted.good, wanted.before, min(wanted.limit, _SLICE)
    )  # fmt: skip
    return lambda tx: tx.all(
        "SELECT * FROM checkpoints WHERE (?1 IS NULL OR session = ?1) AND (?2 IS NULL OR operation = ?2)"
        " AND (?3 IS NULL OR taken <= ?3) AND (?4 = 0 OR quarantined = '') AND (?5 IS NULL OR id < ?5)"
        " ORDER BY id DESC LIMIT ?6",
        *values,
    )


def _shown(row: sqlite3.Row) -> GenerationRow:
    windows = panes = 0
    quarantined = row["quarantined"]
    if not quarantined:
        try:
            image = checkpoints.read(row).image
            windows, panes = len(image.windows), image.pane_count
        except CheckpointUnusable as error:
            quarantined = str(error)
    return GenerationRow(
        id=row["id"],
        session=str(row["session"]),
        taken=row["taken"],
        operation=str(row["operation"]),
        instance=str(row["instance"]),
        checksum=str(row["checksum"]),
        size=row["size"],
        windows=windows,
        panes=panes,
        quarantined=quarantined,
    )
