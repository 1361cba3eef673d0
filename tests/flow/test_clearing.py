"""A year of running: what is over goes with the trail that told of it, and no counter falls."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sidecar.config import SessionSettings, Settings
from sidecar.edges.store import clearing
from sidecar.edges.store.audit import Transaction
from sidecar.edges.store.database import FILE
from sidecar.edges.store.migrations import schema
from sidecar.flow.keeper import Keeper
from sidecar.model.policy import Restore
from sidecar.model.record import Action, AlertIntake
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor

_DAY = 86_400.0
_TABLES = ("incidents", "recoveries", "steps", "alerts", "answers")
ALERT = AlertIntake("old", "2026-01-01T00:00:00Z", "firing", {"session": "web"}, "web")


async def lived(world: Corridor) -> None:
    """A pane that came back, an alert about it, and a kept answer."""
    await world.adopt(session(pane(command="make")))
    world.kill_pane_process()
    await world.recovered()
    await world.desk.accept_alerts([ALERT])
    await world.store.keep_answer("key", {"status": 202}, world.clock.wall())
    await world.pass_time(10.0)


async def prune(world: Corridor) -> None:
    await Keeper(world.ward, world.store, world.clock, world.log).prune()


def sizes(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "state" / FILE)) as connection:
        return {name: connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in _TABLES}


async def test_what_is_over_goes_with_its_trail_and_counters_stay(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await lived(world)
        before = await world.store.counts()
        world.clock.wall_ahead += 100 * _DAY
        await prune(world)
        after = await world.store.counts()
        for name in ("recoveries", "transactions", "retries", "failures"):
            assert after[name] == before[name], name
        assert not any(sizes(tmp_path).values())
        (row,) = await world.store.audit_rows(1)
        assert (row.action, row.detail["incidents"], row.detail["answers"]) == (Action.HISTORY_PRUNED, 1, 1)
        world.kill_pane_process()
        await world.recovered()


async def test_what_waits_or_is_told_of_yet_stays(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await lived(world)
        before = sizes(tmp_path)
        world.clock.wall_ahead += 89 * _DAY
        await prune(world)
        assert sizes(tmp_path) == before
        world.ward.settings = Settings(sessions=SessionSettings(restore=Restore.NEVER))
        world.kill_pane_process()
        await world.until(lambda: "web" in world.ward.standstills, "held")
        await world.quiet()
        world.clock.wall_ahead += 300 * _DAY
        await prune(world)
        assert [row.state for row in await world.store.incidents(10)] == ["held"]


def test_at_most_so_many_of_a_kind_at_once(tmp_path: Path) -> None:
    """And never by a clock that was ahead once."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.executescript(schema())
        tx = Transaction(connection)
        tx.audit(Action.AUDIT_PRUNED, 1e12, detail={"to": 0, "hash": ""})
        connection.execute("DELETE FROM audit")
        tx.audit(Action.AUDIT_PRUNED, 1e12, detail={"to": 1, "hash": "x"})
        for number in range(5):
            tx.run(
                "INSERT INTO answers (key, answer, kept) VALUES (?, '{}', ?)", str(number), number * 30 * _DAY
            )
        first = clearing.clear(tx, 100 * _DAY, most=2)
        assert (first.count, first.more) == (2, True)
        assert [row["key"] for row in tx.all("SELECT key FROM answers ORDER BY kept")] == ["2", "3", "4"]
        second = clearing.clear(tx, 100 * _DAY, most=2)
        assert (second.count, second.more) == (1, False)
