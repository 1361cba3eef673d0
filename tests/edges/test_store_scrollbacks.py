"""Texts in the store: each piece once, gone with its last reader, mended where it can be, and bounded."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.decide import retain
from sidecar.edges.store import Store, codec
from sidecar.edges.store.database import FILE
from sidecar.errors import TextsMissing
from sidecar.model.policy import Retention
from sidecar.model.record import Action, Capture
from sidecar.model.scrollback import StoredText, digest_of
from sidecar.model.session import Operation, SavedPane, SavedWindow, SessionImage
from tests.clocks import SetClock
from tests.edges.texts import Printer, printed

_MEGABYTE = 1_000_000


class Shop:
    """A store in a folder, and how many faults it has found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SetClock()
        self.corrupt = 0
        self.store = self.open()

    def open(self) -> Store:
        def corrupt(count: int) -> None:
            self.corrupt += count

        return Store(
            self.folder, self.clock, retain.keep,
            on_corrupt=corrupt, on_write=lambda seconds: None, on_audit=lambda rows: None,
        )  # fmt: skip

    def reopen(self) -> None:
        self.store.close()
        self.store = self.open()

    def sql(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Ask the file, or change it, behind the store's back."""
        with contextlib.closing(sqlite3.connect(self.folder / FILE, isolation_level=None)) as connection:
            return connection.execute(sql, values).fetchall()

    async def add(self, capture: Capture) -> str:
        """Store it; the digest of the first pane's text."""
        await self.store.add_checkpoint(capture, Operation.INTERVAL)
        return capture.image.windows[0].panes[0].scrollback


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path / "state")
    yield shop
    shop.store.close()


def lines(first: int, count: int) -> list[bytes]:
    return [b"line %d of a pane\n" % number for number in range(first, first + count)]


async def test_a_generation_adds_only_what_is_new(shop: Shop) -> None:
    printer = Printer(2000)
    printer.print(lines(0, 1500))
    await shop.add(printed([printer], 1.0))
    before = dict(shop.sql("SELECT digest, size FROM scrollbacks"))
    printer.print(lines(1500, 20))
    digest = await shop.add(printed([printer], 2.0))
    new = set(shop.sql("SELECT digest, size FROM scrollbacks")) - set(before.items())
    # The open end and the list of pieces.
    assert len(new) == 2
    assert sum(int(str(size)) for _, size in new) < 10_000
    assert await shop.store.scrollback(digest) == StoredText(b"".join(lines(0, 1520)))


async def test_texts_go_with_the_last_generation_that_needs_them(shop: Shop) -> None:
    printer = Printer(500)
    for number in range(30):
        printer.print(lines(number * 100, 100))
        digest = await shop.add(printed([printer], float(number)))
    await shop.store.prune(Retention(latest=1), 1e9)
    manifest_and_pieces = shop.sql("SELECT COUNT(*) FROM scrollbacks")[0][0]
    assert manifest_and_pieces == 1 + 3
    assert (await shop.store.scrollback(digest)).lost == ""
    assert shop.corrupt == 0


async def test_what_should_be_there_and_is_not_is_asked_for_again(shop: Shop) -> None:
    printer = Printer(2000)
    printer.print(lines(0, 600))
    first = printed([printer], 1.0)
    await shop.add(first)
    printer.print(lines(600, 10))
    shop.sql("DELETE FROM scrollbacks WHERE digest = ?", first.manifests[_text_of(first)].pieces[0].digest)
    with pytest.raises(TextsMissing):
        await shop.add(printed([printer], 2.0))
    # Nothing of it was stored.
    assert shop.sql("SELECT COUNT(*) FROM checkpoints") == [(1,)]


async def test_a_damaged_piece_is_told_counted_once_and_mended_when_it_comes_again(shop: Shop) -> None:
    printer = Printer(2000)
    printer.print(lines(0, 600))
    first = printed([printer], 1.0)
    digest = await shop.add(first)
    bad = first.manifests[digest].pieces[1].digest
    shop.sql("UPDATE scrollbacks SET packed = ? WHERE digest = ?", zlib.compress(b"other"), bad)
    for _ in range(2):
        found = await shop.store.scrollback(digest)
        assert found.lost == "256 lines"
        assert found.text.startswith(b"".join(lines(0, 256)) + b"-- sidecar: 256 lines are missing here")
        assert found.text.endswith(b"".join(lines(512, 88)))
    assert shop.corrupt == 1
    (row, *_) = await shop.store.audit_rows(1)
    assert (row.action, row.detail["damaged"]) == (Action.SCROLLBACK_DAMAGED, [bad])
    # A capture that counts on it is refused, and one that brings it mends it.
    printer.print(lines(600, 10))
    with pytest.raises(TextsMissing):
        await shop.add(printed([printer], 2.0))
    again = Printer(2000)
    again.print(lines(0, 610))
    await shop.add(printed([again], 3.0))
    assert (await shop.store.scrollback(digest)).text == b"".join(lines(0, 600))


@pytest.mark.parametrize(
    "damage",
    [
        "session = 'wec'", "taken = taken + 1", "operation = 'requested'", "instance = 'boot/1/1/$2'",
        "id = 9", "size = size + 1", "checksum = 'x'", "seal = ''", "body = replace(body, 'srv', 'etc')",
        "session = x'77ff'", "body = x'ff'", "taken = 'soon'", "seal = NULL",
    ],
)  # fmt: skip
async def test_whatever_is_changed_in_a_row_it_is_not_used(shop: Shop, damage: str) -> None:
    printer = Printer(100)
    printer.print(lines(0, 10))
    await shop.add(printed([printer], 1.0))
    good = await shop.store.newest_checkpoint("web")
    printer.print(lines(10, 10))
    await shop.add(printed([printer], 2.0))
    try:
        shop.sql(f"UPDATE checkpoints SET {damage} WHERE id = 2")
    except sqlite3.IntegrityError:
        return
    shop.reopen()
    assert await shop.store.newest_checkpoint("web") == good
    assert shop.corrupt == 1


async def test_a_good_row_that_is_marked_as_bad_is_used_again(shop: Shop) -> None:
    printer = Printer(100)
    printer.print(lines(0, 10))
    await shop.add(printed([printer], 1.0))
    good = await shop.store.newest_checkpoint("web")
    shop.sql("UPDATE checkpoints SET quarantined = 1")
    shop.reopen()
    assert await shop.store.newest_checkpoint("web") == good
    assert shop.corrupt == 1
    # A bad one whose mark is in no audit trail is told, once.
    shop.sql("UPDATE checkpoints SET quarantined = 'seen', size = 1")
    for _ in range(2):
        shop.reopen()
        assert await shop.store.newest_checkpoint("web") is None
        assert shop.corrupt == 2


def damage_page(shop: Shop, page: int) -> None:
    with (shop.folder / FILE).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 8)


async def test_what_can_be_read_of_a_damaged_file_is_not_lost(shop: Shop) -> None:
    printer = Printer(600)
    for number in range(40):
        printer.print(lines(number * 100, 100))
        digest = await shop.add(printed([printer], float(number)))
        await shop.store.audit(Action.STARTED, float(number), reason="x" * 300)
    newest = await shop.store.newest_checkpoint("web")
    ((page,),) = shop.sql("SELECT rootpage FROM sqlite_master WHERE name = 'answers'")
    shop.store.close()
    damage_page(shop, int(str(page)))
    shop.store = shop.open()
    assert shop.store.set_aside is not None
    assert shop.store.set_aside.exists()
    assert await shop.store.newest_checkpoint("web") == newest
    assert (await shop.store.scrollback(digest)).lost == ""
    assert shop.sql("SELECT COUNT(*) FROM checkpoints") == [(40,)]
    printer.print(lines(9000, 10))
    await shop.add(printed([printer], 99.0))


OLD_TEXT = b"\x1b[31mold\n" * 50


def lay_first_release(shop: Shop) -> SessionImage:
    """A file as the first release has left it, with one checkpoint."""
    shop.store.close()
    for ending in ("", "-wal", "-shm"):
        (shop.folder / (FILE + ending)).unlink(missing_ok=True)
    digest = digest_of(OLD_TEXT)
    pane = SavedPane(0, "", "/", "", ("-bash",), (), True, "", digest)
    window = SavedWindow(0, "w", "b25d,80x24,0,0,1", False, True, False, True, (pane,))
    image = SessionImage("web", 80, 24, "/bin/bash", "", (), (window,))
    body = codec.encode(image)
    with contextlib.closing(sqlite3.connect(shop.folder / FILE)) as old:
        old.executescript(Path(codec.__file__).with_name("first.sql").read_text())
        old.execute("CREATE TABLE _sqlite_migrations (migration_set TEXT, name TEXT, applied_at TEXT)")
        old.execute("INSERT INTO _sqlite_migrations VALUES ('sidecar', 'first', '')")
        old.execute(
            "INSERT INTO checkpoints (session, taken, operation, instance, checksum, size, body)"
            " VALUES ('web', 1.0, 'interval', 'boot/1/1/$1', ?, ?, ?)",
            (codec.checksum(body), len(body), body),
        )
        packed = zlib.compress(OLD_TEXT, 1)
        old.execute("INSERT INTO scrollbacks VALUES (?, ?, ?)", (digest, len(OLD_TEXT), packed))
        old.execute("INSERT INTO checkpoint_scrollbacks VALUES (1, ?)", (digest,))
        old.commit()
    return image


async def test_a_database_of_the_first_release_keeps_its_texts(shop: Shop) -> None:
    image = lay_first_release(shop)
    shop.store = shop.open()
    assert shop.store.set_aside is None
    found = await shop.store.newest_checkpoint("web")
    assert found is not None
    assert found.image == image
    digest = image.windows[0].panes[0].scrollback
    assert await shop.store.scrollback(digest) == StoredText(OLD_TEXT)
    # It goes as others do.
    printer = Printer(100)
    printer.print(lines(0, 10))
    await shop.add(printed([printer], 2.0))
    await shop.store.prune(Retention(latest=1), 1e9)
    assert (await shop.store.scrollback(digest)).lost == "the whole text"
    assert shop.corrupt == 1


async def test_a_damaged_file_of_the_first_release_is_salvaged(shop: Shop) -> None:
    image = lay_first_release(shop)
    ((page,),) = shop.sql("SELECT rootpage FROM sqlite_master WHERE name = 'answers'")
    damage_page(shop, int(str(page)))
    shop.store = shop.open()
    assert shop.store.set_aside is not None
    found = await shop.store.newest_checkpoint("web")
    assert found is not None
    assert found.image == image
    assert (await shop.store.scrollback(image.windows[0].panes[0].scrollback)).text == OLD_TEXT
    assert shop.corrupt == 0


async def test_a_session_that_never_stops_printing_stays_small(shop: Shop) -> None:
    """An hour and a half at 15 s of 10 lines/s in each of 12 panes; a day of it is measured elsewhere."""
    panes = [Printer(2000) for _ in range(12)]
    most = 0
    for number in range(360):
        shop.clock.now += 15.0
        for place, printer in enumerate(panes):
            printer.print(lines((place * 1000 + number) * 150, 150))
        await shop.add(printed(panes, shop.clock.now))
        if number % 20 == 19:
            (total,) = await shop.store.totals()
            most = max(most, total.size)
            await shop.store.prune(Retention(), shop.clock.now)
    # Of a day's 44 generations and more, 22 are there.
    assert most < 20 * _MEGABYTE
    assert shop.store.size_bytes() < 40 * _MEGABYTE


def _text_of(capture: Capture) -> str:
    return capture.image.windows[0].panes[0].scrollback
