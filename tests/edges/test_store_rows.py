"""Rows that nobody of ours has written, links that are lost, names that change: nothing is lost of it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.edges.store import rows
from sidecar.edges.store.database import FILE
from sidecar.edges.store.inspect import inspect
from sidecar.model.incident import Asker, FailureKind
from sidecar.model.plan import Strategy
from sidecar.model.policy import BreakerState, Call, Circuit, Retention
from sidecar.model.record import Action, AlertIntake, KnownSession, Rehearsal, Standing
from sidecar.model.saga import Mandate
from sidecar.model.session import Checkpoint, Operation
from tests.edges.test_store import FINDING, PLAN, Bench, capture, with_text

_GARBAGE = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.text(max_size=20),
    st.floats(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(["[" * 5000, "{}", "[]", "null", "running", "9e999"]),
)
_PLACES = sorted((table, column) for table, columns in rows.SOUND.items() for column in columns)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "state")
    yield bench
    bench.store.close()


async def fill(bench: Bench) -> None:
    """A row in every table."""
    store = bench.store
    await store.add_checkpoint(capture(), Operation.INTERVAL)
    await store.remember(KnownSession("web", Standing.RELEASED, "i", False, 1.0), Action.SESSION_RELEASED)
    incident = await store.open_incident(FINDING, 1.0, 2.0)
    await store.begin_recovery(incident.id, Mandate(PLAN, Asker.WATCHER), 3.0)
    intake = AlertIntake("f", "2026", "firing", {"a": "b"}, "web", FailureKind.CRASHED, Strategy.RESPAWN_PANE)
    await store.accept_alerts([intake], 1.0)
    open_one = BreakerState(Circuit.OPEN, (Call(1.0, True),), 1.0)
    await store.save_circuits({"respawn_pane": open_one}, (), 1.0)
    await store.keep_rehearsal(Rehearsal("web", 1, "c", True, 1.0), None)
    await store.keep_answer("k", {"a": 1}, 1.0)


async def read_everything(bench: Bench) -> None:
    store = bench.store
    await store.known_sessions()
    await store.open_incidents()
    await store.incidents(10)
    await store.recoveries(10)
    await store.pending_alerts()
    await store.circuits()
    await store.rehearsals()
    await store.recall("k")
    await store.audit_rows(100)
    await store.unfinished()


def forced(bench: Bench, table: str, column: str, value: object) -> None:
    """Put a value there that no constraint would have let through."""
    with contextlib.closing(sqlite3.connect(bench.folder / FILE, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        with contextlib.suppress(sqlite3.IntegrityError):
            connection.execute(f"UPDATE {table} SET {column} = ?", (value,))


@settings(max_examples=60)
@given(place=st.sampled_from(_PLACES), value=_GARBAGE)
async def test_garbage_in_a_row_keeps_nobody_from_starting(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str, str], value: object
) -> None:
    bench = Bench(tmp_path_factory.mktemp("rows") / "state")
    try:
        await fill(bench)
        bench.store.close()
        forced(bench, *place, value)
        bench.store = bench.open()
        await read_everything(bench)
        # The second start finds nothing any more.
        told = [row for row in await bench.store.audit_rows(100) if row.action is Action.ROW_MENDED]
        bench.store.close()
        bench.store = bench.open()
        again = [row for row in await bench.store.audit_rows(100) if row.action is Action.ROW_MENDED]
        assert again == told
        assert not inspect(bench.folder).faults
    finally:
        bench.store.close()


async def test_what_a_row_said_goes_on_record(bench: Bench) -> None:
    await fill(bench)
    bench.store.close()
    forced(bench, "circuits", "calls", "[1.0, garb")
    forced(bench, "incidents", "state", "asleep")
    bench.store = bench.open()
    assert bench.corrupt == 2
    found = [row.detail for row in await bench.store.audit_rows(9) if row.action is Action.ROW_MENDED]
    assert {(one["table"], one["column"], one["was"], one["is"]) for one in found} == {
        ("circuits", "calls", "'[1.0, garb'", "[]"),
        ("incidents", "state", "'asleep'", "dismissed"),
    }
    assert await bench.store.open_incidents() == ()


async def test_who_was_released_stays_so(bench: Bench) -> None:
    await fill(bench)
    bench.store.close()
    forced(bench, "sessions", "standing", "\x00")
    bench.store = bench.open()
    (known,) = await bench.store.known_sessions()
    assert known.standing is Standing.RELEASED


async def test_a_damaged_answer_is_not_taken_for_none(bench: Bench) -> None:
    await bench.store.keep_answer("k", {"a": 1}, 1.0)
    forced(bench, "answers", "answer", "garbage")
    assert await bench.store.recall("k") == {}
    assert await bench.store.recall("other") is None


async def test_lost_links_are_told_and_come_back_before_anything_is_swept(bench: Bench) -> None:
    await bench.store.add_checkpoint(with_text(b"old\n", taken=1.0), Operation.INTERVAL)
    kept = await bench.store.add_checkpoint(with_text(b"a\n", b"b\n", taken=2.0), Operation.INTERVAL)
    bench.tamper("DELETE FROM checkpoint_scrollbacks WHERE checkpoint = 2")
    (fault,) = inspect(bench.folder).faults
    assert (fault.where, fault.sentence[:24]) == ("checkpoint 2 of web", "3 of its texts are not o")
    # The first one goes, and would take along what nobody names any more.
    assert await bench.store.prune(Retention(latest=1, hourly_for=0.0, max_age=0.0), 1e9)
    assert (await bench.store.scrollback(kept.image.windows[0].panes[0].scrollback)).text == b"a\nb\n"
    assert not inspect(bench.folder).faults
    (row,) = [row for row in await bench.store.audit_rows(9) if row.action is Action.SCROLLBACK_RELINKED]
    assert row.detail == {"checkpoint": 2, "texts": 3}


async def test_a_start_mends_lost_links(bench: Bench) -> None:
    await bench.store.add_checkpoint(with_text(b"a\n"), Operation.INTERVAL)
    bench.tamper("DELETE FROM checkpoint_scrollbacks")
    bench.store.close()
    bench.store = bench.open()
    assert bench.corrupt == 1
    assert not inspect(bench.folder).faults


async def test_the_checkpoints_of_a_renamed_session_follow(bench: Bench) -> None:
    for number in range(3):
        await bench.store.add_checkpoint(capture("web", str(number), float(number)), Operation.INTERVAL)
    await bench.store.keep_rehearsal(Rehearsal("web", 3, "c", True, 1.0), None)
    bench.tamper("UPDATE checkpoints SET body = replace(body, 'prog', 'bad') WHERE id = 2")
    before = await bench.store.newest_checkpoint("web")
    assert before is not None
    await bench.store.rename("web", KnownSession("api", Standing.LIVE, "i", False, 9.0))
    assert await bench.store.newest_checkpoint("web") is None
    after = await bench.store.newest_checkpoint("api")
    assert after is not None
    assert (after.id, after.image.name, after.image.windows) == (before.id, "api", before.image.windows)
    assert isinstance(await bench.store.shelf.find(1), Checkpoint)
    assert bench.corrupt == 1
    assert await bench.store.rehearsals() == ()
    newest = (await bench.store.audit_rows(1))[0]
    assert (newest.action, newest.detail) == (Action.SESSION_RENAMED, {"old": "web", "checkpoints": 2})
    damaged = [fault.where for fault in inspect(bench.folder).faults]
    assert damaged == ["checkpoint 2 of web"]
