"""The book: one database, one writer thread, one transaction for each public write.

A write that its caller gave up on still ends as a whole. Every error leaves nothing half written.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sidecar import errand
from sidecar.clock import Clock
from sidecar.edges.store import (
    alerts,
    checkpoints,
    checks,
    circuits,
    clearing,
    codec,
    counters,
    diagnostics,
    footings,
    incidents,
    journal,
    links,
    notices,
    rehearsals,
    renaming,
    retention,
    rows,
    scrollbacks,
    supervise,
    trail,
    trim,
)
from sidecar.edges.store.audit import Transaction, read_audit
from sidecar.edges.store.chain import read_head
from sidecar.edges.store.database import (
    Opened,
    lock_state,
    look_through,
    open_database,
    prepare_folder,
    unavailable,
)
from sidecar.edges.store.quiet import QuietShelf
from sidecar.edges.store.reserve import Reserve, is_full
from sidecar.edges.store.salvage import UNREADABLE
from sidecar.edges.store.shelf import Shelf
from sidecar.errand import OUR_OWN, Errand
from sidecar.errors import StoreUnavailable
from sidecar.model.archive import Doomed
from sidecar.model.audit import AuditFilter, Cleared, Head, Pruned, TrailLimits
from sidecar.model.check import CheckRow
from sidecar.model.diagnostics import Diagnostics
from sidecar.model.incident import Asker, Evidence, FailureKind, Finding, IncidentState
from sidecar.model.ladder import Footing
from sidecar.model.notice import Delivery, Notice, QueuedNotice
from sidecar.model.plan import Refusal, Resort, Step
from sidecar.model.policy import BreakerState, Retention
from sidecar.model.record import (
    Action,
    AlertIntake,
    AlertRow,
    AuditRow,
    Capture,
    Ending,
    IncidentRow,
    KnownSession,
    ProgramRow,
    Receipt,
    RecoveryRow,
    Rehearsal,
    Settlement,
    Standing,
    StoredTotals,
    Trimmed,
    Unfinished,
)
from sidecar.model.saga import Attempt, Mandate
from sidecar.model.scrollback import StoredText
from sidecar.model.session import Checkpoint, Operation

T = TypeVar("T")

_SECONDS = 10.0


class Store:
    """Implements :class:`sidecar.flow.ports.Book` on SQLite."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        chooser: retention.Chooser,
        *,
        on_corrupt: Callable[[int], None],
        on_write: Callable[[float], None],
        on_audit: Callable[[int], None],
        on_reserve: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Open it; blocks, so it belongs before the event loop's work begins.

        Raises:
            AlreadyRunning, UnsafeState, Permanent, StoreUnavailable: see ``database``.
        """
        prepare_folder(folder)
        self._lock = lock_state(folder)
        self._reserve = Reserve(folder)
        try:
            opened = self._open(folder, clock)
        except BaseException:
            os.close(self._lock)
            raise
        self._clock = clock
        self._chooser = chooser
        self._on_corrupt = on_corrupt
        self._on_write = on_write
        self._on_audit = on_audit
        self._on_reserve = on_reserve
        self.set_aside = opened.set_aside
        self.is_fresh = opened.fresh
        """It was made just now, or nothing was in it."""
        self.cut_off = opened.cut_off
        """What was written last before the last end is gone."""
        self._connection: sqlite3.Connection = opened.connection
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._path = folder / "sidecar.db"
        self._file = _identity(self._path)
        self._damaged: set[str] = set()
        """Digests of stored scrollback that was found damaged, until it is stored anew."""
        self._inspect(opened.cut_off)
        self.shelf = Shelf(self._read, self._write, chooser, clock.wall, on_corrupt)
        self.quiet = QuietShelf(self._read, self._write, clock.wall)

    def _open(self, folder: Path, clock: Clock) -> Opened:
        try:
            return open_database(folder, clock.wall())
        except StoreUnavailable:
            # A full disk must not keep the service from starting.
            if not self._reserve.give_up():
                raise
            return open_database(folder, clock.wall())

    def _inspect(self, cut_off: bool) -> None:
        def work(tx: Transaction) -> int:
            if cut_off:
                tx.audit(Action.DATABASE_LOG_DAMAGED, self._clock.wall())
            now = self._clock.wall()
            return rows.mend(tx, now) + checkpoints.inspect(tx, now) + links.mend(tx, now) + cut_off

        try:
            bad = self._transact(work)
        except UNREADABLE as error:
            self.close()
            raise unavailable(error) from error
        if bad:
            self._on_corrupt(bad)

    def close(self) -> None:
        """Finish what is under way, fold the log into the file, let go of the lock."""
        self._thread.shutdown(wait=True)
        self._connection.close()
        os.close(self._lock)

    def is_on_disk(self) -> bool:
        """Whether the file that we write is still the one that the next start will find."""
        return _identity(self._path) == self._file

    def size_bytes(self) -> int:
        """What the database and its log take on disk."""
        return sum(
            path.stat().st_size
            for ending in ("", "-wal")
            if (path := self._path.with_name(self._path.name + ending)).exists()
        )

    async def known_sessions(self) -> tuple[KnownSession, ...]:
        rows = await self._read(lambda tx: tx.all("SELECT * FROM sessions ORDER BY name"))
        return tuple(
            KnownSession(
                row["name"],
                Standing(row["standing"]),
                row["instance"],
                bool(row["declared"]),
                row["last_seen"],
            )
            for row in rows
        )

    async def remember(
        self,
        session: KnownSession,
        action: Action | None = None,
        reason: str = "",
        actor: str = "sidecar",
    ) -> None:
        await self._write(lambda tx: _remember(tx, session, action, reason, actor))

    async def forget(self, name: str, action: Action, reason: str, actor: str = "sidecar") -> None:
        def write(tx: Transaction) -> None:
            moved = {"before": _standing(tx, name), "after": ""}
            tx.run("DELETE FROM sessions WHERE name = ?", name)
            now = self._clock.wall()
            tx.audit(action, now, session=name, reason=reason, actor=actor, detail=moved)
            incidents.dismiss(tx, name, now, f"it is not looked after any more: {reason}")

        await self._write(write)

    async def rename(self, old: str, new: KnownSession) -> None:
        def write(tx: Transaction) -> int:
            tx.run("DELETE FROM sessions WHERE name = ?", old)
            _remember(tx, new)
            moved, bad = renaming.rename(tx, old, new.name, new.last_seen)
            footings.rename(tx, old, new.name)
            supervise.rename(tx, old, new.name)
            detail = {"old": old, "checkpoints": moved}
            tx.audit(Action.SESSION_RENAMED, new.last_seen, session=new.name, detail=detail)
            return bad

        bad = await self._write(write)
        if bad:
            self._on_corrupt(bad)

    async def add_checkpoint(self, capture: Capture, operation: Operation) -> Checkpoint:
        body, packed = await asyncio.to_thread(
            lambda: (codec.encode(capture.image), scrollbacks.pack(capture))
        )
        stored = await self._write(
            lambda tx: checkpoints.add(tx, capture, operation, body, packed, self._damaged),
            # What is stored before a recovery belongs to the record of it; any other comes again.
            reserved=operation is Operation.BEFORE_RECOVERY,
        )
        self._damaged -= packed.keys()
        return stored

    async def newest_checkpoint(self, session: str, before: int | None = None) -> Checkpoint | None:
        now = self._clock.wall()
        found, bad = await self._write(lambda tx: checkpoints.newest(tx, session, now, before))
        if bad:
            self._on_corrupt(bad)
        return found

    async def newest_with_windows(
        self, session: str, instance: str, windows: Mapping[int, int]
    ) -> Checkpoint | None:
        now = self._clock.wall()
        found, bad = await self._write(
            lambda tx: checkpoints.newest_with_windows(tx, session, instance, windows, now)
        )
        if bad:
            self._on_corrupt(bad)
        return found

    async def damaged_since(self, session: str, number: int) -> tuple[int, ...]:
        rows = await self._read(
            lambda tx: tx.all(
                "SELECT id FROM checkpoints WHERE session = ? AND id > ? AND quarantined != '' ORDER BY id",
                session, number,
            )
        )  # fmt: skip
        return tuple(row["id"] for row in rows)

    async def scrollback(self, digest: str) -> StoredText:
        text, bad = await self._read(lambda tx: scrollbacks.read(tx, digest))
        news = bad - self._damaged
        if news:
            self._damaged |= news
            self._on_corrupt(len(news))
            await self.audit(
                Action.SCROLLBACK_DAMAGED,
                self._clock.wall(),
                reason=text.lost,
                detail={"text": digest, "damaged": sorted(news)},
            )
        return text

    async def totals(self) -> tuple[StoredTotals, ...]:
        return await self._read(checkpoints.totals)

    async def prune(self, limits: Retention, now: float) -> tuple[Doomed, ...]:
        return await self._write(lambda tx: retention.prune(tx, self._chooser, limits, now))

    async def rehearsals(self) -> tuple[Rehearsal, ...]:
        return await self._read(rehearsals.read_all)

    async def keep_rehearsal(self, rehearsal: Rehearsal, action: Action | None) -> None:
        await self._write(lambda tx: rehearsals.keep(tx, rehearsal, action))

    async def checks(self) -> tuple[CheckRow, ...]:
        return await self._read(checks.read_all)

    async def check_turned(self, row: CheckRow, subject: str, fact: str) -> None:
        await self._write(lambda tx: checks.turned(tx, row, subject, fact))

    async def open_incident(self, finding: Finding, first_sign: float, now: float) -> IncidentRow:
        return await self._write(lambda tx: incidents.open_incident(tx, finding, first_sign, now))

    async def add_evidence(self, session: str, facts: Sequence[Evidence], now: float) -> None:
        await self._write(lambda tx: incidents.add_evidence(tx, session, facts, now))

    async def keep_diagnostics(self, incident: int, found: Diagnostics, now: float) -> None:
        packed = await asyncio.to_thread(diagnostics.pack, found)
        await self._write(lambda tx: diagnostics.keep(tx, incident, found, packed, now))

    async def diagnostics(self, incident: int) -> Diagnostics | None:
        row = await self._read(lambda tx: diagnostics.read(tx, incident))
        return await asyncio.to_thread(diagnostics.unpack, row) if row is not None else None

    async def open_incidents(self) -> tuple[IncidentRow, ...]:
        rows = await self._read(lambda tx: tx.all("SELECT * FROM incidents WHERE closed IS NULL ORDER BY id"))
        return tuple(incidents.read_incident(row) for row in rows)

    async def incidents(
        self,
        limit: int,
        before: int | None = None,
        session: str | None = None,
        waiting: bool = False,
    ) -> tuple[IncidentRow, ...]:
        return await self._read(lambda tx: incidents.page(tx, limit, before, session, waiting))

    async def incident(self, number: int) -> tuple[IncidentRow, tuple[RecoveryRow, ...]] | None:
        return await self._read(lambda tx: incidents.one(tx, number))

    async def move_incident(
        self, incident: int, state: IncidentState, now: float, reason: str = "", sentence: str = ""
    ) -> None:
        await self._write(lambda tx: incidents.move(tx, incident, state, now, reason, sentence))

    async def refuse(
        self,
        session: str,
        refusal: Refusal,
        asker: Asker,
        now: float,
        incident: int | None,
        state: IncidentState | None,
    ) -> None:
        await self._write(lambda tx: incidents.refuse(tx, session, refusal, asker, now, incident, state))

    async def begin_recovery(self, incident: int, mandate: Mandate, now: float) -> RecoveryRow:
        return await self._write(lambda tx: incidents.begin_recovery(tx, incident, mandate, now))

    async def step_begun(self, recovery: int, attempt: Attempt, step: Step) -> None:
        await self._write(lambda tx: journal.begun(tx, recovery, attempt, step))

    async def step_ended(
        self, recovery: int, attempt: Attempt, step: Step, again: Attempt | None = None
    ) -> None:
        await self._write(lambda tx: journal.ended(tx, recovery, attempt, step, again))

    async def unfinished(self, recovery: int | None = None) -> tuple[Unfinished, ...]:
        return await self._read(lambda tx: incidents.unfinished(tx, recovery))

    async def tried(self, incident: int) -> tuple[Resort, ...]:
        return await self._read(lambda tx: incidents.tried(tx, incident))

    async def take_up(self, recovery: int, now: float) -> int:
        return await self._write(lambda tx: journal.take_up(tx, recovery, now))

    async def lay_down(self, now: float) -> tuple[int, ...]:
        return await self._write(lambda tx: journal.lay_down(tx, now))

    async def stop_recovery(self, recovery: int, reason: str, now: float) -> None:
        await self._write(lambda tx: journal.stop(tx, recovery, reason, now))

    async def join_recovery(self, recovery: int, asker: Asker, now: float) -> None:
        await self._write(lambda tx: journal.join(tx, recovery, asker, now))

    async def end_recovery(self, ending: Ending) -> None:
        def write(tx: Transaction) -> None:
            incidents.end_recovery(tx, ending)
            if ending.there is not None:
                _remember(tx, ending.there, Action.SESSION_ADOPTED)

        await self._write(write)

    async def recovery(self, recovery: int) -> RecoveryRow | None:
        return await self._read(lambda tx: incidents.recovery(tx, recovery))

    async def recoveries(
        self, limit: int, before: int | None = None, session: str | None = None
    ) -> tuple[RecoveryRow, ...]:
        return await self._read(lambda tx: incidents.recoveries(tx, limit, before, session))

    async def recoveries_since(self, session: str, since: float) -> tuple[float, ...]:
        rows = await self._read(
            lambda tx: tx.all(
                "SELECT begun FROM recoveries WHERE session = ? AND begun >= ? AND attempt = 1"
                f" AND {supervise.FREE} ORDER BY begun",
                session,
                since,
            )
        )
        return tuple(row["begun"] for row in rows)

    async def given_up_since(self, session: str, since: float) -> bool:
        return await self._read(lambda tx: incidents.given_up_since(tx, session, since))

    async def origins_since(self, since: float) -> Mapping[str, float]:
        rows = await self._read(
            lambda tx: tx.all(
                f"SELECT origin, MIN(begun) AS first FROM recoveries WHERE begun >= ? AND {supervise.FREE}"
                " GROUP BY origin",
                since,
            )
        )
        return {row["origin"]: row["first"] for row in rows}

    async def queue_notice(self, notice: Notice, channels: Sequence[str]) -> int:
        return await self._write(lambda tx: notices.add(tx, notice, channels, self._clock.wall()))

    async def queued_notices(self, channel: str) -> tuple[QueuedNotice, ...]:
        return await self._read(lambda tx: notices.queued(tx, channel))

    async def notices_sent_since(self, channel: str, since: float) -> tuple[float, ...]:
        return await self._read(lambda tx: notices.sent_since(tx, channel, since))

    async def settle_notices(
        self, channel: str, numbers: Sequence[int], outcome: Delivery, error: str = ""
    ) -> None:
        await self._write(lambda tx: notices.settle(tx, channel, numbers, outcome, self._clock.wall(), error))

    async def postpone_notices(self, numbers: Sequence[int], due: float, error: str) -> None:
        await self._write(lambda tx: notices.postpone(tx, numbers, due, error))

    async def circuits(self) -> Mapping[str, BreakerState]:
        return await self._read(circuits.read)

    async def save_circuits(
        self, states: Mapping[str, BreakerState], gone: Sequence[str], now: float, actor: str = "sidecar"
    ) -> tuple[str, ...]:
        return await self._write(lambda tx: circuits.save(tx, states, gone, now, actor))

    async def footings(self) -> Mapping[tuple[str, FailureKind], Footing]:
        return await self._read(footings.read)

    async def programs(self, server: str) -> tuple[ProgramRow, ...]:
        return await self._read(lambda tx: supervise.read(tx, server))

    async def keep_programs(self, rows: Sequence[ProgramRow]) -> None:
        now = self._clock.wall()
        await self._write(lambda tx: supervise.keep(tx, rows, now))

    async def program_starts(self, session: str, pane: str, since: float) -> tuple[float, ...]:
        return await self._read(lambda tx: supervise.starts(tx, session, pane, since))

    async def accept_alerts(self, batch: Sequence[AlertIntake], now: float) -> tuple[Receipt, ...]:
        return await self._write(lambda tx: alerts.accept(tx, batch, now))

    async def pending_alerts(self) -> tuple[AlertRow, ...]:
        rows = await self._read(lambda tx: tx.all("SELECT * FROM alerts WHERE state = 'pending' ORDER BY id"))
        return tuple(alerts.read_alert(row) for row in rows)

    async def settle_alerts(self, settlements: Sequence[Settlement], now: float) -> None:
        await self._write(lambda tx: alerts.settle(tx, settlements, now))

    async def recall(self, key: str) -> Mapping[str, Any] | None:
        row = await self._read(lambda tx: tx.one("SELECT answer FROM answers WHERE key = ?", key))
        return None if row is None else _object(row["answer"])

    async def keep_answer(self, key: str, answer: Mapping[str, Any], now: float) -> None:
        text = json.dumps(answer)
        await self._write(
            lambda tx: tx.run(
                "INSERT OR IGNORE INTO answers (key, answer, kept) VALUES (?, ?, ?)", key, text, now
            )
        )

    async def audit(
        self,
        action: Action,
        now: float,
        session: str = "",
        actor: str = "sidecar",
        reason: str = "",
        trace: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        await self._write(
            lambda tx: tx.audit(
                action, now, session=session, actor=actor, reason=reason, trace=trace, detail=detail
            )
        )

    async def spare_bytes(self) -> int:
        def work(tx: Transaction) -> int:
            (pages,), (size,) = tx.all("PRAGMA freelist_count")[0], tx.all("PRAGMA page_size")[0]
            return int(pages) * int(size)

        return await self._read(work)

    async def trim(self) -> Trimmed:
        """Give back the space that holds nothing; see :mod:`trim`."""
        return await trim.trim(self._connection, self._path, self._in_thread, self._clock)

    async def drop_caches(self) -> None:
        """Give back the pages that SQLite keeps in memory."""
        await self._in_thread(lambda: self._connection.execute("PRAGMA shrink_memory").fetchall())

    async def ready_to_write(self) -> None:
        def work() -> None:
            tx = Transaction(self._connection)
            tx.run("BEGIN IMMEDIATE")
            tx.run("ROLLBACK")

        await self._in_thread(work)

    async def damage(self, *, deep: bool) -> str:
        if not await asyncio.to_thread(self.is_on_disk):
            return f"{self._path} is not the file any more that is written"
        await self.audit_head()
        # Nobody who writes has to wait for a connection of its own.
        return await asyncio.to_thread(look_through, self._path) if deep else ""

    async def audit_rows(
        self,
        limit: int,
        before: int | None = None,
        session: str | None = None,
        action: Action | None = None,
    ) -> tuple[AuditRow, ...]:
        rows = await self._read(
            lambda tx: tx.all(
                "SELECT * FROM audit WHERE (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR session = ?2)"
                " AND (?3 IS NULL OR action = ?3) ORDER BY id DESC LIMIT ?4",
                before, session, action, limit,
            )
        )  # fmt: skip
        return tuple(read_audit(row) for row in rows)

    async def audit_page(self, after: int, limit: int, wanted: AuditFilter) -> tuple[AuditRow, ...]:
        return await self._read(lambda tx: trail.page(tx, after, limit, wanted))

    async def prune_audit(self, limits: TrailLimits, now: float) -> Pruned:
        """Remove audit rows beyond the limits; see :mod:`trail`."""
        return await self._write(lambda tx: trail.prune(tx, limits, now))

    async def clear(self, now: float) -> Cleared:
        """Remove what is over and older than the trail; see :mod:`clearing`."""
        return await self._write(lambda tx: clearing.clear(tx, now))

    async def counts(self) -> counters.Counts:
        """What the counters have to say, by the rows."""
        return await self._read(counters.count)

    async def audit_head(self) -> Head | None:
        """The newest audit row, for a note of it elsewhere."""
        return await self._read(read_head)

    async def _read(self, work: Callable[[Transaction], T]) -> T:
        return await self._in_thread(lambda: work(Transaction(self._connection)))

    async def tend_reserve(self) -> None:
        """Make the reserved space again, once the disk has room for it."""
        if await self._in_thread(self._reserve.make):
            self._on_reserve(self._reserve.size)
            await self.audit(Action.RESERVE_MADE, self._clock.wall(), detail={"bytes": self._reserve.size})

    @property
    def reserve_bytes(self) -> int:
        """The space that is kept for the record; 0 when it was given up."""
        return self._reserve.size

    async def _write(self, work: Callable[[Transaction], T], *, reserved: bool = True) -> T:
        """``reserved``: on a full disk it may take the reserved space."""
        began = self._clock.monotonic()
        sent = errand.current()
        transact = self._transact_on_full_disk if reserved else self._transact
        result = await self._in_thread(lambda: transact(work, sent))
        self._on_write(self._clock.monotonic() - began)
        return result

    def _transact(self, work: Callable[[Transaction], T], sent: Errand = OUR_OWN) -> T:
        tx = Transaction(self._connection, sent)
        tx.run("BEGIN IMMEDIATE")
        try:
            result = work(tx)
            tx.run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                tx.run("ROLLBACK")
            raise
        # Here and not where it was asked for: whoever has given up waiting does not count.
        self._on_audit(tx.audited)
        return result

    def _transact_on_full_disk(self, work: Callable[[Transaction], T], sent: Errand) -> T:
        """The same; where there is no room, once more with the reserved space."""
        try:
            return self._transact(work, sent)
        except sqlite3.OperationalError as error:
            if not is_full(error):
                raise
        given_up = self._reserve.give_up()
        with contextlib.suppress(sqlite3.Error):
            # What the log holds goes into the file, so that the log's own space can be used again.
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        if not given_up:
            return self._transact(work, sent)
        self._on_reserve(0)

        def told(tx: Transaction) -> T:
            tx.audit(Action.RESERVE_GIVEN_UP, self._clock.wall(), reason="disk_full")
            return work(tx)

        return self._transact(told, sent)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        job = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            async with asyncio.timeout(_SECONDS):
                return await asyncio.shield(job)
        except TimeoutError as error:
            raise StoreUnavailable(
                f"the database did not answer within {_SECONDS:g} s",
                hint="Check the disk under the state folder.",
            ) from error
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise unavailable(error) from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _object(text: str) -> Mapping[str, Any]:
    """A stored JSON object; an empty one if it is damaged."""
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _standing(tx: Transaction, name: str) -> str:
    """What the book says of a session; empty if nothing."""
    row = tx.one("SELECT standing FROM sessions WHERE name = ?", name)
    return row["standing"] if row else ""


def _remember(
    tx: Transaction,
    session: KnownSession,
    action: Action | None = None,
    reason: str = "",
    actor: str = "sidecar",
) -> None:
    moved = {"before": _standing(tx, session.name), "after": session.standing}
    if action is not None:
        tx.audit(action, session.last_seen, session=session.name, reason=reason, actor=actor, detail=moved)
    tx.run(
        "INSERT OR REPLACE INTO sessions (name, standing, instance, declared, last_seen)"
        " VALUES (?, ?, ?, ?, ?)",
        session.name, session.standing.value, session.instance, session.declared, session.last_seen,
    )  # fmt: skip
