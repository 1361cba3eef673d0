"""A byte that was flipped anywhere in the store: told, or without effect, and never a wrong restore."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sidecar.clock import SystemClock
from sidecar.decide import retain
from sidecar.edges.store import Store, codec
from sidecar.edges.store.database import FILE
from sidecar.errors import SidecarError
from sidecar.model.policy import Retention
from sidecar.model.record import Action, Capture
from sidecar.model.scrollback import StoredText
from sidecar.model.session import Operation, SessionImage
from tests.edges.texts import Printer, printed

_SESSIONS = ("api", "web")
_PAGE = 4096


Place = tuple[str, int, int]
"""A class of positions, an offset, and a bit."""


@dataclass
class Restored:
    """What a store gives after damage, and what it says of it."""

    images: dict[str, SessionImage | None] = field(default_factory=dict)
    texts: dict[str, StoredText] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)


def open_store(folder: Path, told: list[str]) -> Store:
    return Store(
        folder, SystemClock(), retain.keep,
        on_corrupt=lambda count: told.append(f"{count} corrupt"),
        on_write=lambda seconds: None, on_audit=lambda rows: None,
    )  # fmt: skip


async def fill(store: Store) -> None:
    """Some generations of two sessions. Their texts do not compress, so that they fill many pages."""
    printers = {name: [Printer(600), Printer(600)] for name in _SESSIONS}
    for number in range(8):
        for name, panes in printers.items():
            for place, printer in enumerate(panes):
                words = (hashlib.sha256(f"{name} {place} {number} {line}".encode()) for line in range(150))
                printer.print([b"\x1b[31m%s\n" % word.hexdigest().encode() for word in words])
            await store.add_checkpoint(printed(panes, float(number), name=name), Operation.INTERVAL)
            await store.audit(Action.STARTED, float(number), reason="x" * 200)


async def read_all(folder: Path) -> Restored:
    """Every session as a recovery would find it, by a store that is opened anew."""
    found = Restored()
    try:
        store = open_store(folder, found.told)
    except SidecarError as error:
        found.told.append(str(error))
        return found
    try:
        if store.set_aside is not None:
            found.told.append("set aside")
        for name in _SESSIONS:
            checkpoint = await store.newest_checkpoint(name)
            found.images[name] = checkpoint.image if checkpoint else None
            for window in checkpoint.image.windows if checkpoint else ():
                digest = window.panes[0].scrollback
                found.texts[digest] = await store.scrollback(digest)
    except SidecarError as error:
        found.told.append(str(error))
    finally:
        store.close()
    return found


@dataclass
class Ground:
    """A store as it should be, and all images that were ever stored."""

    folder: Path
    whole: Restored
    ever: list[SessionImage]
    texts: dict[str, bytes]


async def lay(folder: Path) -> Ground:
    store = open_store(folder, [])
    await fill(store)
    images, texts = await everything(folder, store)
    # Leaves free pages behind.
    assert await store.prune(Retention(latest=4), 1e9)
    store.close()
    whole = await read_all(folder)
    assert not whole.told
    return Ground(folder, whole, images, texts)


async def lay_with_log(folder: Path, copy: Path) -> Ground:
    """As a sidecar that was killed leaves it: the last writes are in the log alone."""
    store = open_store(folder, [])
    await fill(store)
    store.close()
    store = open_store(folder, [])
    # Some of the old log is left behind the new one.
    for _ in range(2):
        await fill(store)
        with contextlib.closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
    await store.audit(Action.STARTED, 1.0)
    await store.add_checkpoint(last("web"), Operation.INTERVAL)
    await store.add_checkpoint(last("api"), Operation.INTERVAL)
    images, texts = await everything(folder, store)
    copy.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(folder / (FILE + ending), copy / (FILE + ending))
    store.close()
    whole = await read_all(shutil.copytree(copy, folder.with_name("third")))
    assert not whole.told
    assert whole.images["web"] == images[-2]
    return Ground(copy, whole, images, texts)


def last(name: str) -> Capture:
    printer = Printer(600)
    printer.print([b"last\n"] * 10)
    return printed([printer], 100.0, name=name)


async def everything(folder: Path, store: Store) -> tuple[list[SessionImage], dict[str, bytes]]:
    with contextlib.closing(sqlite3.connect(folder / FILE)) as connection:
        bodies = connection.execute("SELECT body FROM checkpoints ORDER BY id").fetchall()
    images = [codec.decode(body) for (body,) in bodies]
    digests = {window.panes[0].scrollback for image in images for window in image.windows}
    return images, {digest: (await store.scrollback(digest)).text for digest in digests}


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder where a thousand databases can be opened without waiting for a disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


def page_kinds(file: bytes) -> dict[str, list[int]]:
    """The pages of a database by what they are: tables, indexes, overflow, free."""
    kinds: dict[str, list[int]] = {"header": [0]}
    free = _free_pages(file)
    names = {13: "table leaf", 5: "table inner", 10: "index leaf", 2: "index inner"}
    for start in range(_PAGE, len(file), _PAGE):
        kind = "free" if start // _PAGE + 1 in free else names.get(file[start], "overflow")
        kinds.setdefault(kind, []).append(start)
    return kinds


def _free_pages(file: bytes) -> set[int]:
    found: set[int] = set()
    trunk = int.from_bytes(file[32:36], "big")
    while trunk:
        start = (trunk - 1) * _PAGE
        count = int.from_bytes(file[start + 4 : start + 8], "big")
        leaves = (file[start + 8 + 4 * number : start + 12 + 4 * number] for number in range(count))
        found |= {trunk, *(int.from_bytes(leaf, "big") for leaf in leaves)}
        trunk = int.from_bytes(file[start : start + 4], "big")
    return found


def samples(file: bytes) -> Iterator[tuple[str, int, int]]:
    """(class, offset, bit): deterministic, some of every class, headers more densely than content."""
    for offset in range(100):
        yield "file header", offset, offset % 8
    for kind, pages in page_kinds(file).items():
        chosen = pages[:: max(len(pages) // 6, 1)]
        for number, start in enumerate(chosen):
            for place in range(0, 12, 2):
                yield f"{kind}, page header", start + (100 if not start else 0) + place, (place + number) % 8
            for place in range(number * 37 % 600 + 12, _PAGE, 601):
                yield kind, start + place, (place + number) % 8
    # Rows of checkpoints, whose columns stand one after the other, and the names in their index.
    for number, match in enumerate(re.finditer(b"interval", file)):
        for offset in range(match.start() - 30 + number % 9, match.end() + 20, 9):
            yield "checkpoint row", offset, (offset + number) % 8
    for start in page_kinds(file)["index leaf"]:
        for number, match in enumerate(re.finditer(b"web|api", file[start : start + _PAGE])):
            yield "name in an index", start + match.start() + number % 4, number % 8


def judge(found: Restored, ground: Ground) -> str:
    """What is wrong with it; empty if nothing is."""
    for name, image in found.images.items():
        if image == ground.whole.images[name]:
            continue
        if image is not None and image not in ground.ever:
            return f"{name} came back as it never was"
        if not found.told:
            return f"{name} came back older, or not at all, and nobody was told"
    for digest, text in found.texts.items():
        if text.text != ground.texts[digest] and not text.lost:
            return f"another text was given for {digest}"
        if text.lost and not found.told:
            return "a text was not whole, and nobody was told"
    return ""


def flip(folder: Path, ending: str, offset: int, bit: int) -> None:
    path = folder / (FILE + ending)
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


async def verdicts(
    ground: Ground, ending: str, places: Iterable[tuple[str, int, int]], work: Path
) -> list[str]:
    """What went wrong, with the class, the offset and the bit that was flipped."""
    wrong = []
    for number, (kind, offset, bit) in enumerate(places):
        folder = shutil.copytree(ground.folder, work / str(number))
        flip(folder, ending, offset, bit)
        verdict = judge(await read_all(folder), ground)
        if verdict:
            wrong.append(f"{kind}, offset {offset}, bit {bit}: {verdict}")
        shutil.rmtree(folder)
    return wrong


async def test_a_flipped_byte_is_told_or_harmless(memory: Path) -> None:
    ground = await lay(memory / "ground")
    file = (ground.folder / FILE).read_bytes()
    places = list(samples(file))
    assert {"file header", "table leaf", "index leaf", "overflow", "free"} <= {kind for kind, _, _ in places}
    assert await verdicts(ground, "", places, memory / "work") == []


async def test_a_flipped_byte_of_the_log_is_told_or_harmless(memory: Path) -> None:
    ground = await lay_with_log(memory / "first", memory / "second")
    log = (ground.folder / f"{FILE}-wal").read_bytes()
    frame = 24 + _PAGE
    frames = range(32, len(log), frame)
    live = [start for start in frames if log[start + 8 : start + 16] == log[16:24]]
    assert 12 < len(live) < len(frames)
    chosen = [*live[:3], *live[-3:]]
    places = [("log header", offset, offset % 8) for offset in range(32)]
    places += [("frame header", start + at, (start + at) % 8) for start in chosen for at in range(0, 24, 2)]
    places += [("page", start + 24 + start % 509 * 8, start % 8) for start in chosen]
    places += [("old frame", frames[-1] + at, at % 8) for at in range(0, 200, 40)]
    assert await verdicts(ground, "-wal", places, memory / "work") == []
