"""A real database that has grown gives its space back, in portions, and without holding up writers."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.edges.store.database import FILE
from sidecar.model.policy import Retention
from sidecar.model.record import Action
from sidecar.model.session import Operation
from tests.edges.test_store import Bench, with_text

TIGHT = Retention(latest=1, hourly_for=0.0, max_age=1e12, days=False)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "state")
    yield bench
    bench.store.close()


async def grow(bench: Bench, count: int = 40) -> None:
    """Generations of 256 KiB each, of text that cannot be compressed."""
    for number in range(count):
        await bench.store.add_checkpoint(
            with_text(os.urandom(256 << 10), taken=float(number + 1)), Operation.INTERVAL
        )


async def test_what_pruning_has_left_empty_goes_back_to_the_disk(bench: Bench) -> None:
    await grow(bench)
    await bench.store.trim()
    full = (bench.folder / FILE).stat().st_size
    assert full > 10 << 20
    assert len(await bench.store.prune(TIGHT, 50.0)) == 39
    assert (bench.folder / FILE).stat().st_size == full
    assert await bench.store.spare_bytes() > 9 << 20
    done = await bench.store.trim()
    assert done.able
    assert done.before >= full
    assert done.after < 2 << 20
    assert done.after == bench.store.size_bytes()
    assert await bench.store.spare_bytes() == 0
    newest = await bench.store.newest_checkpoint("web")
    assert newest is not None
    assert newest.taken == 40.0
    assert bench.corrupt == 0


async def test_whoever_writes_meanwhile_comes_in_between_the_portions(bench: Bench) -> None:
    await grow(bench)
    await bench.store.prune(TIGHT, 50.0)
    trimming = asyncio.create_task(bench.store.trim())
    written = 0
    while not trimming.done():
        await bench.store.audit(Action.DRY_RUN, 1.0)
        written += 1
    assert (await trimming).after < 4 << 20
    assert written > 3


async def test_another_program_that_reads_is_waited_for_only_for_a_moment(bench: Bench) -> None:
    await grow(bench, 4)
    with closing(sqlite3.connect(bench.folder / FILE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM audit").fetchone()
        await bench.store.prune(TIGHT, 50.0)
        log = (bench.folder / f"{FILE}-wal").stat().st_size
        assert log > 0
        async with asyncio.timeout(5):
            done = await bench.store.trim()
        assert done.after >= log
    assert (await bench.store.trim()).after < done.after
    assert (bench.folder / f"{FILE}-wal").stat().st_size == 0


async def test_one_that_an_earlier_release_has_made_stays_as_large(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE)) as earlier:
        earlier.execute("PRAGMA journal_mode = WAL")
    bench = Bench(folder)
    try:
        await grow(bench, 8)
        await bench.store.prune(TIGHT, 50.0)
        done = await bench.store.trim()
        assert not done.able
        assert (folder / f"{FILE}-wal").stat().st_size == 0
        assert await bench.store.spare_bytes() > 1 << 20
    finally:
        bench.store.close()


async def test_the_pages_in_memory_go(bench: Bench) -> None:
    await grow(bench, 4)
    await bench.store.drop_caches()
    assert await bench.store.newest_checkpoint("web") is not None


async def test_damaged_ones_stay_for_a_person_to_look_into(bench: Bench) -> None:
    await grow(bench, 3)
    bench.tamper("UPDATE checkpoints SET checksum = 'x' WHERE id = 2")
    bench.tamper("UPDATE checkpoints SET quarantined = 'damaged' WHERE id = 2")
    assert [one.id for one in await bench.store.prune(TIGHT, 50.0)] == [1]
