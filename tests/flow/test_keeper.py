"""The keeper of the record: what is old goes and is signed off, and the log tells where the trail ends."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.config import AuditSettings, CheckpointSettings, Settings
from sidecar.decide import retain
from sidecar.edges.store import Store
from sidecar.edges.store.database import FILE
from sidecar.flow.keeper import Keeper
from sidecar.flow.ward import Ward
from sidecar.model.record import Action
from tests.clocks import SetClock
from tests.theatre import Said

_DAY = 86_400.0


class Desk:
    """A keeper at a store of its own, with a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock, self.log = SetClock(), Said()
        self.store = Store(
            folder, self.clock, retain.keep,
            on_corrupt=lambda count: None, on_write=lambda seconds: None, on_audit=lambda rows: None,
        )  # fmt: skip
        settings = Settings(audit=AuditSettings(2 * _DAY), checkpoints=CheckpointSettings(max_age=_DAY))
        self.ward = Ward(settings)
        self.keeper = Keeper(self.ward, self.store, self.clock, self.log)

    def said(self, action: Action) -> list[dict[str, object]]:
        return [detail for word, _, detail in self.log.lines if word is action]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    now = desk.clock.wall()
    for age in (3.0, 2.5, 1.0, 0.0):
        await desk.store.audit(Action.STARTED, now - age * _DAY)
    yield desk
    desk.store.close()


async def test_what_is_old_goes_and_is_signed_off(desk: Desk) -> None:
    await desk.keeper.prune()
    rows = await desk.store.audit_rows(10)
    assert [(row.id, row.action) for row in rows] == [(5, "audit_pruned"), (4, "started"), (3, "started")]
    assert rows[0].detail.items() >= {"from": 1, "to": 2, "count": 2}.items()
    assert desk.said(Action.AUDIT_PRUNED) == [{"removed": 2}]


async def test_nothing_goes_before_the_checkpoints_that_it_tells_of(desk: Desk) -> None:
    desk.ward.settings = Settings(audit=AuditSettings(_DAY), checkpoints=CheckpointSettings(max_age=9 * _DAY))
    await desk.keeper.prune()
    assert len(await desk.store.audit_rows(10)) == 4
    assert desk.said(Action.AUDIT_PRUNED) == []


async def test_a_broken_trail_is_kept_and_told(desk: Desk) -> None:
    with closing(sqlite3.connect(desk.folder / FILE, isolation_level=None)) as connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE id = 2")
    await desk.keeper.prune()
    assert len(await desk.store.audit_rows(10)) == 4
    (told,) = desk.said(Action.AUDIT_BROKEN)
    assert told["record"] == 2


async def test_the_log_tells_where_the_trail_ends(desk: Desk) -> None:
    await desk.keeper.note_head()
    head = await desk.store.audit_head()
    assert desk.said(Action.AUDIT_HEAD) == [{"head": str(head)}]
    assert str(head).startswith("4:")
