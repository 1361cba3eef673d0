"""What was seen of broken sessions, in the book: never too large, without secrets, gone with its incident."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import zlib
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.decide import retain
from sidecar.edges.store import Store, diagnostics
from sidecar.edges.store.database import FILE
from sidecar.model.diagnostics import (
    LARGEST,
    MOST_PANES,
    MOST_PROCESSES,
    Descriptors,
    Diagnostics,
    Ending,
    Machine,
    PaneFacts,
    ProcessFacts,
    PythonStack,
    PythonThread,
    ServerFacts,
    Tail,
    Threads,
    Tree,
)
from sidecar.model.incident import Broken, Cause, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.record import Action, Capture, Pressure
from sidecar.model.session import Operation, SessionImage
from sidecar.model.stress import Room
from sidecar.model.surroundings import MemoryGroup
from tests.clocks import SetClock

FINDING = Finding(
    Failure("web", FailureKind.CRASHED, (Broken(Unit.PANE, "%1", 5),), 1.0),
    Cause.PROCESS_KILLED,
    Intent.FAILURE,
    (),
    "origin",
)
PROCESS = ProcessFacts(
    pid=5, parent=1, name="python", state="S", started=9, age=3.0, cpu_seconds=0.5, memory_bytes=4096,
    threads=2, command="python x.py", waits_in="futex", system_call="202", stack=("futex_wait", "syscall"),
    threads_in=(Threads("S", "futex", 2),), shared_out_bytes=None, python=True,
    descriptors=Descriptors(3, None, {"file": 3}, 3),
)  # fmt: skip
WHOLE = Diagnostics(
    taken=10.0,
    seconds=0.002,
    panes=(
        PaneFacts(
            "%1",
            5,
            ending=Ending(5, -9, "was ended by SIGKILL", "zombie", "/sys/fs/cgroup"),
            tail=Tail(("one", "two"), ("beneath",), True),
            tree=Tree((PROCESS,), 2, MemoryGroup("/sys/fs/cgroup", 1, 2, 3, 4)),
            stacks=(PythonStack(5, "3.11", (PythonThread("MainThread", "idle", ("f (x.py:1)",)),)),),
        ),
    ),
    panes_left_out=1,
    server=ServerFacts(7, None, PROCESS),
    machine=Machine(Pressure(0.5, 1.0), 1 << 30, {"/srv": Room(1, 2, 3)}, (MemoryGroup("/g"),)),
    missing=("the machine: too late",),
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(
        tmp_path, SetClock(), retain.keep,
        on_corrupt=lambda count: None, on_write=lambda seconds: None, on_audit=lambda rows: None,
    )  # fmt: skip
    yield opened
    await asyncio.to_thread(opened.close)


async def incident(store: Store, session: str = "web") -> int:
    finding = replace(FINDING, failure=replace(FINDING.failure, session=session))
    return (await store.open_incident(finding, 1.0, 2.0)).id


async def test_it_comes_back_as_it_was(store: Store) -> None:
    number = await incident(store)
    assert await store.diagnostics(number) is None
    await store.keep_diagnostics(number, WHOLE, 11.0)
    assert await store.diagnostics(number) == WHOLE
    later = replace(WHOLE, taken=20.0, panes=())
    await store.keep_diagnostics(number, later, 21.0)
    assert await store.diagnostics(number) == later


async def test_the_trail_tells_that_it_was_taken_and_nothing_of_what_was_seen(store: Store) -> None:
    number = await incident(store)
    await store.keep_diagnostics(number, WHOLE, 11.0)
    (row,) = await store.audit_rows(10, action=Action.DIAGNOSTICS_TAKEN)
    assert (row.session, row.reason, row.at) == ("web", "process_killed", 11.0)
    told = {**row.detail, "bytes": 0}
    assert told == {
        "incident": number, "panes": 1, "processes": 1, "stacks": 1, "missing": 1, "bytes": 0,
        "waited": 0.002,
    }  # fmt: skip


async def test_it_names_the_newest_checkpoint_of_that_moment(store: Store) -> None:
    number = await incident(store)
    image = SessionImage("web", 80, 24, "/bin/sh", "", (), ())
    for taken in (5.0, 9.0, 15.0):
        await store.add_checkpoint(Capture(image, "life", taken), Operation.INTERVAL)
    await store.keep_diagnostics(number, WHOLE, 16.0)
    found = await store.diagnostics(number)
    assert found is not None
    assert (found.checkpoint, found.checkpoint_taken) == (2, 9.0)


async def test_no_secret_of_a_text_is_stored(store: Store, tmp_path: Path) -> None:
    number = await incident(store)
    key = ("-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBg", "-----END PRIVATE KEY-----", "password=abcdefgh")
    pane = replace(WHOLE.panes[0], tail=Tail(key, key))
    await store.keep_diagnostics(number, replace(WHOLE, panes=(pane,)), 11.0)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        (body,) = connection.execute("SELECT packed FROM diagnostics").fetchone()
    text = zlib.decompress(body).decode()
    assert "***" in text
    assert "abcdefgh" not in text
    assert "MIIE" not in text


async def test_of_an_incident_that_is_not_there_nothing_is_kept(store: Store) -> None:
    await store.keep_diagnostics(99, WHOLE, 11.0)
    assert await store.diagnostics(99) is None


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"no zlib", zlib.compress(b"{}"), zlib.compress(b"[1, 2]"), zlib.compress(b"\xff"), "text", 5,
        zlib.compress(b"[" * 10_000_000),
    ],
)  # fmt: skip
async def test_what_is_damaged_is_not_shown(store: Store, tmp_path: Path, damage: object) -> None:
    number = await incident(store)
    await store.keep_diagnostics(number, WHOLE, 11.0)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE diagnostics SET packed = ?", (damage,))
    assert await store.diagnostics(number) is None


def large(text: str) -> Diagnostics:
    """As much of everything as there may be, of this text."""
    process = replace(PROCESS, command=text[:400], stack=(text[:60],) * 16)
    calls = tuple(text[:300] for _ in range(200))
    stack = PythonStack(5, "3.11", tuple(PythonThread(f"t{n}", "idle", calls) for n in range(64)))
    pane = PaneFacts(
        "%1", 5, tail=Tail((text,) * 1000, (text,) * 1000, True),
        tree=Tree((process,) * (MOST_PROCESSES // MOST_PANES)), stacks=(stack,),
    )  # fmt: skip
    return replace(WHOLE, panes=(pane,) * MOST_PANES, missing=(text,) * 100)


@pytest.mark.parametrize("letters", ["a", "€", "\U0001f600", '\\"', "\x01"])
def test_however_much_there_is_it_fits(letters: str) -> None:
    rng = random.Random(1)
    text = "".join(rng.choice(letters) for _ in range(1000))
    size, packed = diagnostics.pack(large(text))
    body = zlib.decompress(packed)
    assert size == len(body) <= LARGEST
    found = msgspec.json.decode(body, type=Diagnostics)
    assert len(found.panes) == MOST_PANES
    assert any("64 KiB" in line for line in found.missing)
    assert all(pane.tail is not None and pane.tail.lines for pane in found.panes)
    assert all(pane.tree.processes and pane.stacks[0].threads for pane in found.panes)


@settings(max_examples=20)
@given(st.builds(Diagnostics, taken=st.floats(0, 1e9), panes=st.lists(st.builds(
    PaneFacts,
    pane=st.text(max_size=5), pid=st.integers(0, 2**22),
    tail=st.none() | st.builds(Tail, st.lists(st.text(max_size=900), max_size=60).map(tuple)),
    stacks=st.lists(st.builds(
        PythonStack, st.integers(1, 9), threads=st.lists(st.builds(
            PythonThread, st.text(max_size=200), st.text(max_size=9),
            st.lists(st.text(max_size=500), max_size=9).map(tuple),
        ), max_size=5).map(tuple),
    ), max_size=4).map(tuple),
), max_size=MOST_PANES).map(tuple)))  # fmt: skip
def test_whatever_was_seen_can_be_stored_and_read(found: Diagnostics) -> None:
    size, packed = diagnostics.pack(found)
    assert size <= LARGEST
    again = msgspec.json.decode(zlib.decompress(packed), type=Diagnostics)
    assert [pane.pane for pane in again.panes] == [pane.pane for pane in found.panes]
