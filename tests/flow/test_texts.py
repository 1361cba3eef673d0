"""Checkpoints of a session that prints: nothing twice, nothing lost, and nothing that is not there."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sidecar.clock import SystemClock
from sidecar.config import Settings, TmuxSettings
from sidecar.decide import retain
from sidecar.edges.logs import JsonLog
from sidecar.edges.metrics import Metrics
from sidecar.edges.store import Store
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.ward import Ward
from sidecar.model.session import Checkpoint, Operation
from sidecar.model.status import Status
from sidecar.model.stress import CheckpointMode, Stress
from tests.box import TmuxBox, eventually
from tests.door import open_door


class Shop:
    """A checkpointer between a real server and a real store."""

    def __init__(self, tmux: TmuxBox) -> None:
        clock = SystemClock()
        self.state = tmux.folder / "state"
        self.ward = Ward(Settings())
        self.door = open_door(tmux, TmuxRunner(TmuxSettings(socket_name=tmux.name), tmux.environment))
        self.store = Store(
            self.state, clock, retain.keep,
            on_corrupt=lambda count: None, on_write=lambda seconds: None, on_audit=lambda rows: None,
        )  # fmt: skip
        meter = Metrics(CollectorRegistry(), Status, version="", python="")
        log = JsonLog(clock, descriptor=-1)
        self.checkpointer = Checkpointer(self.ward, self.door, self.store, clock, meter, log, lambda: None)

    async def save(self) -> Checkpoint:
        self.ward.look = await self.door.look()
        session = self.ward.look.find("web")
        assert session is not None
        saved = await self.checkpointer.save(session, Operation.INTERVAL)
        assert saved is not None
        return saved

    async def text(self, checkpoint: Checkpoint) -> str:
        stored = await self.store.scrollback(checkpoint.image.windows[0].panes[0].scrollback)
        assert not stored.lost
        return stored.text.decode()

    def sql(self, sql: str) -> list[tuple[object, ...]]:
        with contextlib.closing(sqlite3.connect(self.state / "sidecar.db", isolation_level=None)) as file:
            return file.execute(sql).fetchall()


@pytest.fixture
def shop(tmux: TmuxBox) -> Iterator[Shop]:
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "20", "seq 1 900; exec cat")
    eventually(lambda: "900" in tmux.run("capture-pane", "-p", "-t", "=web:"), "the text")
    eventually(lambda: tmux.show("=web:", "#{pane_current_command} #{window_name}") == "cat cat", "its end")
    shop = Shop(tmux)
    yield shop
    shop.store.close()


def say(tmux: TmuxBox, word: str) -> None:
    Path(tmux.show("=web:", "#{pane_tty}")).write_text(f"{word}\n")
    eventually(lambda: word in tmux.run("capture-pane", "-p", "-t", "=web:"), word)


async def test_an_unchanged_session_makes_no_new_generation(tmux: TmuxBox, shop: Shop) -> None:
    first = await shop.save()
    assert (await shop.save()).id == first.id
    say(tmux, "more")
    second = await shop.save()
    assert second.id != first.id
    assert (await shop.save()).id == second.id
    assert (await shop.text(second)).splitlines() == [*map(str, range(1, 901)), "more"]
    assert (await shop.text(first)).splitlines() == [*map(str, range(1, 901))]


async def test_what_the_store_has_lost_is_captured_anew(tmux: TmuxBox, shop: Shop) -> None:
    await shop.save()
    shop.sql("DELETE FROM checkpoint_scrollbacks")
    shop.sql("DELETE FROM scrollbacks")
    say(tmux, "more")
    assert (await shop.text(await shop.save())).splitlines() == [*map(str, range(1, 901)), "more"]


async def test_while_room_is_short_the_text_that_is_stored_stays(tmux: TmuxBox, shop: Shop) -> None:
    first = await shop.save()
    shop.ward.stress = Stress(disk="little is free", checkpoints=CheckpointMode.STRUCTURE)
    say(tmux, "new-words")
    tmux.run("rename-window", "-t", "=web:", "renamed")
    second = await shop.save()
    assert second.image.windows[0].name == "renamed"
    assert await shop.text(second) == await shop.text(first)
    shop.ward.stress = Stress()
    third = await shop.save()
    assert "new-words" in await shop.text(third)
    assert "\n1\n" in "\n" + await shop.text(third)


async def test_a_pane_that_came_while_room_is_short_has_no_text_yet(tmux: TmuxBox, shop: Shop) -> None:
    await shop.save()
    shop.ward.stress = Stress(disk="little is free", checkpoints=CheckpointMode.STRUCTURE)
    tmux.run("split-window", "-t", "=web:", "seq 5; exec cat")
    eventually(lambda: tmux.panes("#{pane_dead}") == ["0", "0"], "the second pane")
    saved = await shop.save()
    texts = [bool(pane.scrollback) for pane in saved.image.windows[0].panes]
    assert texts == [True, False]
