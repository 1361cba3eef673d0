"""The audit trail of a real database: nothing in it can be changed without being found out."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given

from sidecar.clock import SystemClock
from sidecar.decide import retain
from sidecar.edges.store import Store, counters, trail
from sidecar.edges.store.audit import Transaction
from sidecar.edges.store.chain import COLUMNS, verify
from sidecar.edges.store.database import FILE, lenient
from sidecar.model.audit import Chain, Head, TrailLimits
from sidecar.model.record import Action

_ROWS = 12
_PRUNED = 4
_DAY = 86_400.0

Whole = Callable[[], sqlite3.Connection]
"""Gives a copy of the database, in memory."""


def open_store(folder: Path) -> Store:
    return Store(
        folder, SystemClock(), retain.keep,
        on_corrupt=lambda count: None, on_write=lambda seconds: None, on_audit=lambda rows: None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A database of the store's, twelve rows written and the oldest four removed by retention."""
    folder = tmp_path_factory.mktemp("trail")
    asyncio.run(written(folder))
    with closing(connect(folder / FILE)) as connection:
        # A database in memory has no write-ahead log.
        connection.execute("PRAGMA journal_mode = DELETE")
        image = connection.serialize()

    def copy() -> sqlite3.Connection:
        connection = connect(":memory:")
        connection.deserialize(image)
        return connection

    return copy


async def written(folder: Path) -> None:
    store = open_store(folder)
    try:
        for number in range(1, _ROWS + 1):
            detail = {"number": number, "evidence": [f"é {number}"]}
            await store.audit(
                Action.STARTED, number * _DAY, session="web" if number % 2 else "", trace="t", detail=detail
            )
        pruned = await store.prune_audit(limits((_ROWS - _PRUNED) * _DAY - 1), _ROWS * _DAY)
        assert (pruned.count, pruned.broken) == (_PRUNED, None)
    finally:
        store.close()


def limits(max_age: float, max_records: int = 1000) -> TrailLimits:
    return TrailLimits(max_age, max_records)


def connect(where: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(where, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.text_factory = lenient
    return connection


def check(connection: sqlite3.Connection, noted: Head | None = None) -> Chain:
    return verify(Transaction(connection), noted)


def test_a_trail_is_whole_over_its_boundary(whole: Whole) -> None:
    with closing(whole()) as connection:
        chain = check(connection)
        assert (chain.records, chain.first, chain.last.newest, chain.broken) == (9, 5, 13, None)


_OLD = st.integers(_PRUNED + 1, _ROWS + 1)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "at": st.floats(allow_nan=False, allow_infinity=False),
    **dict.fromkeys(COLUMNS[2:], st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
    "hash": st.text("0123456789abcdef", min_size=64, max_size=64),
    "detail": st.one_of(st.text('{}[]":,abc', max_size=20), st.binary(max_size=8)),
}
Edit = Callable[[sqlite3.Connection], None]


@st.composite
def changed(draw: st.DrawFn) -> Edit:
    """One value of one row is another one."""
    row, column = draw(_OLD), draw(st.sampled_from(sorted(_VALUES)))
    value = draw(_VALUES[column])

    def edit(connection: sqlite3.Connection) -> None:
        (before,) = connection.execute(f"SELECT {column} FROM audit WHERE id = ?", (row,)).fetchone()
        assume(before != value)
        connection.execute(f"UPDATE audit SET {column} = ? WHERE id = ?", (value, row))

    return edit


@st.composite
def deleted(draw: st.DrawFn) -> Edit:
    """Any rows are gone, the newest or the head itself among them."""
    rows = draw(st.sets(_OLD, min_size=1))
    head = draw(st.booleans())

    def edit(connection: sqlite3.Connection) -> None:
        connection.executemany("DELETE FROM audit WHERE id = ?", [(row,) for row in rows])
        if head:
            connection.execute("DELETE FROM audit_head")

    return edit


@st.composite
def swapped(draw: st.DrawFn) -> Edit:
    """Two rows stand in each other's place."""
    first, second = draw(st.lists(_OLD, min_size=2, max_size=2, unique=True))

    def edit(connection: sqlite3.Connection) -> None:
        for old, new in ((first, 1000), (second, first), (1000, second)):
            connection.execute("UPDATE audit SET id = ? WHERE id = ?", (new, old))

    return edit


@st.composite
def inserted(draw: st.DrawFn) -> Edit:
    """A row is there that was never written, those behind it moved along."""
    place = draw(st.integers(-2, _ROWS + 2))
    digest = draw(_VALUES["hash"])

    def edit(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE audit SET id = -1000 - id WHERE id >= ?", (place,))
        connection.execute("UPDATE audit SET id = -999 - id WHERE id <= -1000")
        connection.execute(
            "INSERT INTO audit SELECT ?, at, trace, session, action, actor, 'new', detail, ?"
            " FROM audit LIMIT 1",
            (place, digest),
        )

    return edit


@given(edit=st.one_of(changed(), deleted(), swapped(), inserted()), more=st.integers(0, 2))
def test_every_edit_is_found(whole: Whole, edit: Edit, more: int) -> None:
    """Also when the service has gone on writing since."""
    with closing(whole()) as connection:
        edit(connection)
        transaction = Transaction(connection)
        for number in range(more):
            transaction.audit(Action.STOPPED, float(number))
        assert check(connection).broken is not None


@pytest.mark.parametrize("more", [0, 1, 3])
def test_a_head_that_was_moved_back_does_not_hide_what_was_cut_off(whole: Whole, more: int) -> None:
    with closing(whole()) as connection:
        transaction = Transaction(connection)
        for number in range(2):
            transaction.audit(Action.STARTED, float(number))
        connection.executescript(
            "DELETE FROM audit WHERE id > 13;"
            "UPDATE audit_head SET newest = 13, hash = (SELECT hash FROM audit WHERE id = 13)"
        )
        for number in range(more):
            transaction.audit(Action.STOPPED, float(number))
        broken = check(connection).broken
        assert broken is not None
        assert "records 14 to 15 are missing" in broken.sentence


def row_named(whole: Whole, sql: str, noted: Head | None = None) -> tuple[int, str] | None:
    with closing(whole()) as connection:
        connection.executescript(sql)
        broken = check(connection, noted).broken
        return (broken.row, broken.sentence) if broken else None


@pytest.mark.parametrize(
    ("sql", "row", "words"),
    [
        ("UPDATE audit SET reason = 'x' WHERE id = 7", 7, "it was changed"),
        ("DELETE FROM audit WHERE id IN (7, 8)", 9, "records 7 to 8 are missing before it"),
        ("DELETE FROM audit WHERE id = 5", 6, "record 5 is missing before it"),
        ("DELETE FROM audit WHERE id = 13", 5, "records 1 to 4 are missing before it"),
        ("DELETE FROM audit WHERE id > 11", 5, "records 1 to 4 are missing"),
        ("DELETE FROM audit_head", 14, "the head is gone"),
        ("UPDATE audit_head SET newest = 15", 14, "records 14 to 15 are missing, says the head"),
        ("UPDATE audit_head SET newest = 12", 13, "not of the trail: the newest is 12"),
        ("UPDATE audit_head SET hash = 'x'", 13, "not the record that the head names"),
        ("DELETE FROM audit; DELETE FROM audit_head", 1, "records 1 to 13 are missing"),
        ("DROP TABLE audit_head", 14, "the head is gone"),
        ("INSERT INTO audit SELECT 2, at, '', '', '', '', '', '', '' FROM audit LIMIT 1", 2, "begins behind"),
    ],
)  # fmt: skip
def test_the_first_bad_row_is_named(whole: Whole, sql: str, row: int, words: str) -> None:
    found = row_named(whole, sql)
    assert found is not None
    assert found[0] == row
    assert words in found[1]


def test_a_head_that_was_noted_elsewhere(whole: Whole) -> None:
    """It finds what a forger who recomputes everything can hide from the database itself."""
    with closing(whole()) as connection:
        last = check(connection).last
        signed = connection.execute("SELECT json_extract(detail, '$.hash') FROM audit WHERE id = 13")
        before = signed.fetchone()[0]
    assert row_named(whole, "", last) is None
    assert row_named(whole, "", Head(4, before)) is None
    assert row_named(whole, "", Head(4, "another")) == (
        4, "what retention has removed is not the record that was noted",
    )  # fmt: skip
    assert row_named(whole, "", Head(9, "another")) == (9, "it is not the record that was noted")
    assert row_named(whole, "", Head(20, "x")) == (14, "records 14 to 20 are missing: 20 was noted")


def test_an_empty_trail_is_whole(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with closing(connect(tmp_path / FILE)) as connection:
        chain = check(connection)
        assert (chain.records, chain.first, chain.broken) == (0, 0, None)


def test_a_trail_of_a_release_without_heads(whole: Whole) -> None:
    with closing(whole()) as connection:
        connection.execute("DROP TABLE audit_head")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'headed'")
        assert check(connection).broken is None


async def test_an_earlier_trail_gets_its_head(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.audit(Action.STARTED, 1.0)
    store.close()
    with closing(connect(tmp_path / FILE)) as connection:
        connection.executescript(
            "DROP TABLE audit_head; DELETE FROM _sqlite_migrations WHERE name = 'headed'"
        )
    store = open_store(tmp_path)
    await store.audit(Action.STOPPED, 2.0)
    store.close()
    with closing(connect(tmp_path / FILE)) as connection:
        assert (check(connection).records, check(connection).broken) == (2, None)


def test_nothing_is_removed_from_a_broken_trail(whole: Whole) -> None:
    with closing(whole()) as connection:
        connection.execute("UPDATE audit SET actor = 'x' WHERE id = 6")
        pruned = trail.prune(Transaction(connection), limits(1.0), 100 * _DAY)
        assert pruned.count == 0
        assert pruned.broken is not None
        assert pruned.broken.row == 6
        assert check(connection).records == 9


def test_pruning_goes_in_steps_and_passes_over_its_own_boundaries(whole: Whole) -> None:
    with closing(whole()) as connection:
        transaction, counts = Transaction(connection), []
        for _ in range(10):
            done = trail.prune(transaction, limits(1.0), 100 * _DAY, most=4)
            counts.append(done.count)
            assert check(connection).broken is None
            if not done.more:
                break
        assert counts == [4, 4, 1]
        assert trail.prune(transaction, limits(1.0), 100 * _DAY).count == 0
        signed = connection.execute("SELECT detail FROM audit ORDER BY id DESC LIMIT 1").fetchone()[0]
        assert '"count": 1' in signed


def test_what_is_too_much_goes_whatever_its_age(whole: Whole) -> None:
    with closing(whole()) as connection:
        transaction = Transaction(connection)
        assert trail.prune(transaction, limits(1000 * _DAY, max_records=6), 13 * _DAY).count == 3
        assert (check(connection).first, check(connection).broken) == (8, None)
        reason = connection.execute("SELECT reason FROM audit ORDER BY id DESC LIMIT 1").fetchone()[0]
        assert reason == "max_records"


def test_no_counter_loses_what_retention_removes(whole: Whole) -> None:
    with closing(whole()) as connection:
        transaction = Transaction(connection)
        opened = {"failure": "crashed"}
        transaction.audit(Action.INCIDENT_OPENED, _DAY, session="web", reason="process_killed", detail=opened)
        transaction.audit(Action.REFUSED, _DAY, reason="healthy")
        before = counters.count(transaction)
        assert before["audit_records"] == {(): _ROWS + 3}
        assert before["failures"] == {("web", "crashed"): 1}
        for day in (100, 200):
            transaction.audit(Action.REFUSED, _DAY, reason="healthy")
            assert trail.prune(transaction, limits(1.0), day * _DAY).count
        after = counters.count(transaction)
        assert after["failures"] == before["failures"]
        assert after["findings"] == {("process_killed",): 1}
        assert after["refusals"] == {("healthy",): 3}
        # Two of them more, and a row for each pruning.
        assert after["audit_records"] == {(): _ROWS + 3 + 4}
