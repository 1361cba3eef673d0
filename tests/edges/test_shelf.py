"""Stored generations as people ask for them: on real files, good ones and damaged ones."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from sidecar.edges.store.inspect import inspect
from sidecar.errors import Permanent
from sidecar.model.archive import GenerationFilter, PruneReason
from sidecar.model.policy import Retention
from sidecar.model.record import Action, Capture
from sidecar.model.session import Checkpoint, Operation
from tests.edges import test_store
from tests.edges.test_store import Bench, capture, image

DAY = 86_400.0


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "state")
    yield bench
    bench.store.close()


async def fill(bench: Bench, count: int = 5) -> None:
    """So many of ``web`` at 1, 2, ... seconds, and one of ``api``."""
    for number in range(1, count + 1):
        operation = Operation.STRUCTURE if number % 2 else Operation.INTERVAL
        await bench.store.add_checkpoint(capture("web", str(number), float(number)), operation)
    await bench.store.add_checkpoint(capture("api", "x", 1.0), Operation.REQUESTED)


def with_text(text: bytes, words: str, taken: float) -> Capture:
    """A capture of one pane with this text, and a program that tells it from others."""
    held = test_store.with_text(text)
    (window,) = held.image.windows
    panes = tuple(replace(pane, program=("prog", words)) for pane in window.panes)
    whole = replace(held.image, windows=(replace(window, panes=panes),))
    return replace(held, image=whole, taken=taken)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (GenerationFilter(), [6, 5, 4, 3, 2, 1]),
        (GenerationFilter("web"), [5, 4, 3, 2, 1]),
        (GenerationFilter("we"), []),
        (GenerationFilter("web", limit=2), [5, 4]),
        (GenerationFilter("web", limit=2, before=4), [3, 2]),
        (GenerationFilter("web", operation="interval"), [4, 2]),
        (GenerationFilter("web", until=3.0), [3, 2, 1]),
        (GenerationFilter("web", until=0.5), []),
        (GenerationFilter("web", good=True), [5, 4, 2, 1]),
        (GenerationFilter("web", good=True, limit=3), [5, 4, 2]),
        (GenerationFilter("web", good=True, until=3.0, limit=1), [2]),
    ],
)
async def test_pages(bench: Bench, wanted: GenerationFilter, ids: list[int]) -> None:
    await fill(bench)
    if wanted.good:
        bench.tamper("UPDATE checkpoints SET body = replace(body, 'prog', 'bad') WHERE id = 3")
    assert [row.id for row in await bench.store.shelf.page(wanted)] == ids


async def test_a_long_page_is_whole(bench: Bench) -> None:
    await fill(bench, 45)
    rows = await bench.store.shelf.page(GenerationFilter("web", limit=43))
    assert [row.id for row in rows] == list(range(45, 2, -1))
    assert {(row.windows, row.panes) for row in rows} == {(1, 1)}


async def test_what_is_damaged_is_quarantined_once_whoever_reads_it(bench: Bench) -> None:
    await fill(bench)
    bench.tamper("UPDATE checkpoints SET body = replace(body, 'prog', 'bad') WHERE id = 5")
    (first, *_) = await bench.store.shelf.page(GenerationFilter("web"))
    assert (first.quarantined, first.windows) == ("the checksum does not match", 0)
    assert (await bench.store.audit_rows(1))[0].action is Action.CHECKPOINT_QUARANTINED
    (again, *_) = await bench.store.shelf.page(GenerationFilter("web"))
    assert again == first
    assert await bench.store.shelf.find(5) == first
    assert bench.corrupt == 1
    newest = await bench.store.shelf.newest("web")
    assert newest is not None
    assert newest.id == 4
    assert await bench.store.newest_checkpoint("web") == newest


async def test_find(bench: Bench) -> None:
    await fill(bench)
    found = await bench.store.shelf.find(2)
    assert isinstance(found, Checkpoint)
    assert (found.id, found.image) == (2, image("web", "2"))
    assert await bench.store.shelf.find(99) is None


async def test_the_newest_of_then(bench: Bench) -> None:
    await fill(bench)
    shelf = bench.store.shelf
    for until, wanted in ((None, 5), (3.5, 3), (0.0, None)):
        found = await shelf.newest("web", until)
        assert (found.id if found else None) == wanted


async def spoil(bench: Bench, number: int) -> None:
    """Damage one that is then found out."""
    bench.tamper("UPDATE checkpoints SET body = replace(body, 'prog', 'bad') WHERE id = ?", number)
    assert not isinstance(await bench.store.shelf.find(number), Checkpoint)


async def test_what_goes_is_told_before_it_goes(bench: Bench) -> None:
    await fill(bench)
    await spoil(bench, 4)
    limits = Retention(latest=2, max_age=0.0)
    doomed = await bench.store.shelf.doomed(limits)
    assert [(one.id, one.reason) for one in doomed] == [
        (1, PruneReason.THINNED),
        (2, PruneReason.THINNED),
        (4, PruneReason.QUARANTINED),
    ]
    assert len(await bench.store.shelf.page(GenerationFilter())) == 6
    assert await bench.store.shelf.prune(limits) == doomed
    assert [row.id for row in await bench.store.shelf.page(GenerationFilter())] == [6, 5, 3]


async def test_damaged_ones_are_kept_for_their_time(bench: Bench) -> None:
    """However old they are themselves: it runs from when the damage was seen."""
    await fill(bench, 1)
    await spoil(bench, 1)
    await spoil(bench, 2)
    assert await bench.store.shelf.prune(Retention(max_age=DAY)) == ()
    bench.tamper("UPDATE audit SET at = at - ? WHERE action = 'checkpoint_quarantined'", DAY)
    assert await bench.store.shelf.doomed(Retention(max_age=DAY + 60)) == ()
    assert {one.id for one in await bench.store.shelf.doomed(Retention(max_age=DAY - 60))} == {1, 2}


async def test_bytes_count_a_shared_text_once_and_never_take_the_newest_good_one(bench: Bench) -> None:
    text = bytes(range(256)) * 400
    for number in range(1, 5):
        await bench.store.add_checkpoint(with_text(text, str(number), float(number)), Operation.INTERVAL)
    (total,) = await bench.store.totals()
    assert await bench.store.shelf.doomed(Retention(max_bytes=total.size)) == ()
    doomed = await bench.store.shelf.doomed(Retention(max_bytes=total.size - 1))
    assert [(one.id, one.reason) for one in doomed] == [(1, PruneReason.BYTES)]
    await spoil(bench, 4)
    assert [one.id for one in await bench.store.shelf.prune(Retention(max_bytes=1))] == [1, 2]
    newest = await bench.store.shelf.newest("web")
    assert newest is not None
    assert newest.id == 3


async def test_inspect_beside_a_running_service_and_without_one(bench: Bench) -> None:
    await fill(bench)
    await bench.store.add_checkpoint(with_text(b"text\n", "t", 9.0), Operation.INTERVAL)
    report = inspect(bench.folder)
    assert (report.checkpoints, report.texts, report.faults) == (7, 1, ())
    bench.store.close()
    before = {path.name: path.read_bytes() for path in bench.folder.iterdir()}
    assert inspect(bench.folder) == report
    assert {path.name: path.read_bytes() for path in bench.folder.iterdir()} == before
    bench.store = bench.open()


async def test_inspect_of_what_a_killed_service_has_left(bench: Bench, tmp_path: Path) -> None:
    """Its log is not folded into the file, and stays as it is."""
    await fill(bench)
    left = tmp_path / "left"
    shutil.copytree(bench.folder, left)
    before = {name: (left / name).read_bytes() for name in ("sidecar.db", "sidecar.db-wal")}
    report = inspect(left)
    assert (report.checkpoints, report.faults) == (6, ())
    assert {name: (left / name).read_bytes() for name in before} == before


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        ("UPDATE checkpoints SET body = replace(body, 'prog', 'bad') WHERE id = 2", "checkpoint 2 of web"),
        ("UPDATE checkpoints SET quarantined = 'bad' WHERE id = 2", "checkpoint 2 of web"),
        ("UPDATE scrollbacks SET packed = x'00'", "checkpoint 4 of web"),
        ("DELETE FROM checkpoint_scrollbacks", "checkpoint 4 of web"),
        ("UPDATE audit SET reason = 'x' WHERE id = 2", "audit record 2"),
        ("UPDATE checkpoints SET body = CAST(x'ff41' AS TEXT) WHERE id = 2", "checkpoint 2 of web"),
    ],
)
async def test_inspect_names_what_is_wrong(bench: Bench, damage: str, where: str) -> None:
    await fill(bench, 2)
    await bench.store.add_checkpoint(with_text(b"text\n", "t", 9.0), Operation.INTERVAL)
    bench.tamper(damage)
    report = inspect(bench.folder)
    assert [fault.where for fault in report.faults] == [where]
    assert bench.corrupt == 0


async def test_inspect_tells_of_a_log_that_is_cut_off(bench: Bench, tmp_path: Path) -> None:
    """SQLite leaves out what is behind the damage and says nothing."""
    await fill(bench)
    left = tmp_path / "left"
    shutil.copytree(bench.folder, left)
    log = left / "sidecar.db-wal"
    raw = bytearray(log.read_bytes())
    # Behind what has made the tables, and before what was written last.
    raw[-len(raw) // 8] ^= 1
    log.write_bytes(raw)
    (left / "sidecar.db-shm").unlink()
    first, *_ = inspect(left).faults
    assert first.sentence == "its write-ahead log is damaged: what was written last is lost"
    assert not inspect(bench.folder).faults


async def test_inspect_of_an_earlier_release(bench: Bench, tmp_path: Path) -> None:
    """Its rows have no seal, and are checked by all that they have."""
    await fill(bench)
    old = sqlite3.connect(tmp_path / "sidecar.db")
    old.executescript(resources.files("sidecar.edges.store").joinpath("first.sql").read_text())
    columns = [row[1] for row in old.execute("PRAGMA table_info(checkpoints)")]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    with contextlib.closing(sqlite3.connect(bench.folder / "sidecar.db")) as stored:
        rows = stored.execute(f"SELECT {names} FROM checkpoints").fetchall()
    old.executemany(f"INSERT INTO checkpoints ({names}) VALUES ({marks})", rows)
    old.commit()
    report = inspect(tmp_path)
    assert (report.checkpoints, report.faults) == (6, ())
    old.execute("UPDATE checkpoints SET body = replace(body, 'prog', 'bad') WHERE id = 2")
    old.commit()
    assert [fault.where for fault in inspect(tmp_path).faults] == ["checkpoint 2 of web"]
    old.close()


async def test_inspect_of_a_file_that_is_no_database(bench: Bench) -> None:
    bench.store.close()
    file = bench.folder / "sidecar.db"
    whole = file.read_bytes()
    file.write_bytes(b"junk" * 5000)
    (fault,) = inspect(bench.folder).faults
    assert (fault.where, fault.sentence) == ("database", "it cannot be read: file is not a database")
    file.write_bytes(whole)
    bench.store = bench.open()


def test_inspect_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="there is no database"):
        inspect(tmp_path)
