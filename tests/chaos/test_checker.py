"""The history checker: silent about what really happened, and loud about every promise that is broken."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chaos import checker
from chaos.invariants import Invariant
from sidecar.config import RecoverySettings, Settings
from sidecar.edges.store.audit import Transaction
from sidecar.edges.store.database import FILE, lenient
from sidecar.errors import Permanent
from sidecar.model.policy import Budget
from sidecar.model.record import Action, AlertIntake
from sidecar.model.status import RecoverRequest
from tests.decide.builders import pane, session
from tests.flow.corridor import corridor

RECOVERY = RecoverySettings()


@dataclass(frozen=True)
class Past:
    """A history that really happened, and the metrics at its end."""

    folder: Path
    metrics: str


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    folder = tmp_path_factory.mktemp("past")
    return Past(folder / "state", asyncio.run(lived(folder)))


async def lived(folder: Path) -> str:
    """Two recoveries of one session and one of another, a refused request and a settled alert."""
    async with corridor(folder, Settings(recovery=RECOVERY)) as world:
        await world.adopt(
            session(pane(command="make")), session(pane(2, command="make"), name="api", identity="$2")
        )
        for number in (1, 2):
            world.kill_pane_process()
            await world.recovered(number)
            await world.pass_time(60.0)
        world.kill_pane_process("%2")
        await world.recovered(1, "api")
        await world.desk.request(RecoverRequest("web"))
        alert = AlertIntake("f", "2026-01-01T00:00:00Z", "firing", {"session": "web"}, "web")
        await world.desk.accept_alerts([alert])
        await world.pass_time(10.0)
        world.meter.seed(await world.store.counts())
        return world.meter.render("")[0].decode()


class Copy:
    """A copy of the past, to be damaged."""

    def __init__(self, folder: Path, past: Past) -> None:
        self.folder, self.metrics = folder / "copy", past.metrics
        shutil.copytree(past.folder, self.folder)

    def damage(self, sql: str) -> None:
        with closing(self._connect()) as connection:
            connection.executescript(sql)

    def forge(self, action: Action, **detail: object) -> None:
        """Add a record that the chain takes for a right one."""
        with closing(self._connect()) as connection:
            Transaction(connection).audit(action, 1e12, session="web", detail=detail)

    def found(self) -> list[checker.Violation]:
        return list(checker.check(self.folder, RECOVERY, self.metrics))

    def broken(self) -> set[Invariant]:
        return {violation.invariant for violation in self.found()}

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.folder / FILE, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.text_factory = lenient
        return connection


@pytest.fixture
def copy(tmp_path: Path, past: Past) -> Copy:
    return Copy(tmp_path, past)


def test_what_happened_contradicts_nothing(copy: Copy) -> None:
    assert copy.found() == []


DAMAGES: list[tuple[Invariant, str]] = [
    (Invariant.CHAIN, "UPDATE audit SET actor = 'nobody' WHERE id = 3"),
    (Invariant.CHAIN, "DELETE FROM audit WHERE id = (SELECT MAX(id) FROM audit)"),
    (Invariant.INCIDENT, "UPDATE incidents SET state = 'lost' WHERE id = 1"),
    (Invariant.INCIDENT, "UPDATE incidents SET closed = NULL WHERE id = 1"),
    (Invariant.INCIDENT, "UPDATE incidents SET state = 'recovering', closed = NULL WHERE id = 1"),
    (Invariant.INCIDENT, "UPDATE incidents SET state = 'held', closed = NULL, reason = '' WHERE id = 1"),
    (Invariant.INCIDENT, "UPDATE incidents SET state = 'open', closed = NULL WHERE session = 'web'"),
    (Invariant.MOVE, "UPDATE incidents SET state = 'failed' WHERE id = 1"),
    (Invariant.MOVE, "UPDATE incidents SET trace = 'other' WHERE id = 1"),
    (Invariant.MOVE, "DELETE FROM audit WHERE action = 'incident_opened'"),
    (Invariant.MOVE, "PRAGMA foreign_keys = OFF; DELETE FROM incidents WHERE id = 1"),
    (Invariant.ALERT, "UPDATE alerts SET state = 'gone'"),
    (Invariant.ALERT, "UPDATE alerts SET reason = ''"),
    (Invariant.ALERT, "UPDATE alerts SET state = 'pending'"),
    (Invariant.ALERT, "UPDATE alerts SET recovery = 99"),
    (Invariant.ALERT, "DELETE FROM alerts"),
    (Invariant.OVERLAP, "UPDATE recoveries SET state = 'running', ended = NULL WHERE session = 'web'"),
    (Invariant.OVERLAP, "DELETE FROM audit WHERE action = 'recovery_ended'"),
    (Invariant.TRANSACTION, "UPDATE recoveries SET ended = NULL WHERE id = 1"),
    (Invariant.TRANSACTION, "UPDATE recoveries SET state = 'running' WHERE id = 1"),
    (Invariant.ONCE, "UPDATE steps SET state = 'begun' WHERE recovery = 1 AND seq = 0"),
    (Invariant.ONCE, "UPDATE steps SET ended = NULL WHERE recovery = 1 AND seq = 0"),
    (Invariant.ONCE, "DELETE FROM audit WHERE action = 'step_ended'"),
    (Invariant.ONCE, "UPDATE steps SET recovery = 99 WHERE recovery = 1"),
    (Invariant.RECORD, "DELETE FROM audit WHERE action = 'recovery_begun'"),
    (Invariant.RECORD, "UPDATE recoveries SET trace = 'other' WHERE id = 1"),
    (Invariant.RECORD, "DELETE FROM steps; DELETE FROM recoveries WHERE id = 1"),
    (Invariant.COUNTER, "DELETE FROM audit WHERE action = 'refused'"),
    (Invariant.COUNTER, "UPDATE recoveries SET state = 'failed' WHERE id = 1"),
    (Invariant.COUNTER, "INSERT INTO counted VALUES ('findings', '[\"process_killed\"]', 1)"),
]


@pytest.mark.parametrize(("invariant", "sql"), DAMAGES)
def test_every_promise_can_be_seen_broken(copy: Copy, invariant: Invariant, sql: str) -> None:
    copy.damage(sql)
    assert invariant in copy.broken()


@pytest.mark.parametrize("limit", ["per_session", "overall"])
def test_a_budget_that_was_exceeded_is_seen(copy: Copy, limit: str) -> None:
    found = checker.check(copy.folder, replace(RECOVERY, **{limit: Budget(1, 600.0)}))
    assert {violation.invariant for violation in found} == {Invariant.BUDGET}


FORGED: list[tuple[Invariant, Action, dict[str, object]]] = [
    (Invariant.ORDER, Action.STEP_BEGUN, {"recovery": 1, "step": 0, "words": "again from the start"}),
    (Invariant.ORDER, Action.STEP_BEGUN, {"recovery": 1, "step": 5, "words": "with a gap"}),
    (Invariant.ONCE, Action.STEP_ENDED, {"recovery": 1, "step": 0, "words": "twice"}),
    (Invariant.MOVE, Action.INCIDENT_MOVED, {"incident": 1, "from": "recovered", "to": "open"}),
    (Invariant.MOVE, Action.INCIDENT_MOVED, {"incident": 1, "from": "held", "to": "recovering"}),
    (Invariant.MOVE, Action.INCIDENT_OPENED, {"incident": 99}),
    (Invariant.RECORD, Action.RECOVERY_ENDED, {"recovery": 1}),
    (Invariant.RECORD, Action.RECOVERY_BEGUN, {"recovery": 99}),
    (Invariant.ALERT, Action.ALERT_SETTLED, {"alert": 1}),
    (Invariant.ALERT, Action.ALERT_SETTLED, {"alert": 99}),
]


@pytest.mark.parametrize(("invariant", "action", "detail"), FORGED)
def test_a_record_too_much_is_seen(
    copy: Copy, invariant: Invariant, action: Action, detail: dict[str, object]
) -> None:
    copy.forge(action, **detail)
    assert Invariant.CHAIN not in copy.broken()
    assert invariant in copy.broken()


def test_every_promise_has_a_damage() -> None:
    assert {invariant for invariant, *_ in (*DAMAGES, *FORGED)} == {*Invariant} - {Invariant.BUDGET}


def test_undone_steps_come_in_reverse(copy: Copy) -> None:
    told = {"recovery": 1, "phase": "undo", "words": ""}
    copy.forge(Action.STEP_BEGUN, step=1, **told)
    copy.forge(Action.STEP_BEGUN, step=0, **told)
    assert Invariant.ORDER not in copy.broken()
    copy.forge(Action.STEP_BEGUN, step=1, **told)
    assert Invariant.ORDER in copy.broken()


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Sequence[str]]:
    status = checker.main(words)
    return status, capsys.readouterr().out.splitlines()


def test_the_command(copy: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, config = tmp_path / "page", tmp_path / "config.yml"
    page.write_text(copy.metrics)
    config.write_text("recovery: {budget: {per_session: 1 per 10m}}\n")
    database = str(copy.folder / FILE)
    assert run(capsys, database, "--metrics", str(page)) == (0, ["0 contradictions"])
    status, lines = run(capsys, database, "--config", str(config))
    assert status == 1
    assert lines[0].startswith("budget: recoveries 2: more than 1 recoveries of 'web'")
    assert run(capsys, str(tmp_path / "nowhere" / FILE))[0] == 2


def test_a_folder_without_a_database(tmp_path: Path) -> None:
    with pytest.raises(Permanent):
        checker.check(tmp_path)


def test_a_trail_that_is_not_json_is_read_all_the_same(copy: Copy) -> None:
    copy.damage("UPDATE audit SET detail = 'x' WHERE id = 2; UPDATE audit SET detail = '[1]' WHERE id = 3")
    assert Invariant.CHAIN in copy.broken()
