"""A plan that is stored is the plan that is read, whatever its programs are called; and older files."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.edges.store import mandates
from sidecar.edges.store.database import FILE
from sidecar.errors import PlanUnreadable
from sidecar.model.archive import Order
from sidecar.model.heal import (
    CommandHeal,
    DeleteHeal,
    Heal,
    PaneTarget,
    RestartHeal,
    SignalHeal,
    WebhookHeal,
)
from sidecar.model.incident import Asker, Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Entry, Expectation, Plan, Resort, Resumption, Step, StepKind, Strategy, Undo
from sidecar.model.saga import Attempt, AttemptState, Mandate, Phase
from sidecar.model.session import Checkpoint, Operation, image_of
from sidecar.model.workspace import Command, DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import SERVER, pane, session
from tests.edges.test_store import PLAN, Bench

BEFORE = session(pane(1, program=300), pane(2, command="make"))
IMAGE = image_of(BEFORE, width=80, height=24)
CHECKPOINT = Checkpoint(7, "web", 5.0, Operation.INTERVAL, "i", "c", 9, IMAGE)
ODD = "b\udcff ü \n 'x'"
RESUMPTION = Resumption(0, 1, Entry.TYPED, ODD, (ODD,), "rule", conversation="id")
FINDING = Finding(
    Failure("web", FailureKind.CRASHED, (Broken(Unit.PANE, "%1", 200, -9, 3),), 1.5),
    Cause.PROCESS_KILLED,
    Intent.FAILURE,
    (Evidence("pidfd", ODD),),
    "origin",
)
HEALS: tuple[Heal, ...] = (
    RestartHeal(PaneTarget("api", "web", 0)),
    SignalHeal("HUP", PaneTarget("api", "web")),
    SignalHeal("HUP", pidfile="/run/a.pid", expect="^a"),
    CommandHeal((ODD,), 5.0, ("undo",)),
    DeleteHeal("/srv/logs", ("*.log",), 60.0, 2, deep=True),
    WebhookHeal("http://127.0.0.1/x"),
)
WORKSPACE = Workspace("web", (DeclaredWindow((DeclaredPane("/srv", commands=(Command("x"),)),)),))
PLAIN = Mandate(PLAN, Asker.WATCHER)
FULL = Mandate(
    plan=Plan(
        session="web",
        strategy=Strategy.RESTORE_CHECKPOINT,
        steps=(
            Step(StepKind.REPLACE_SESSION, undo=8),
            Step(StepKind.START_PROGRAM, "%1", 201, "/srv", RESUMPTION),
            *(Step(StepKind.HEAL, what="api", heal=each) for each in HEALS),
        ),
        expectation=Expectation(
            IMAGE, (RESUMPTION,), (("%2", 5),), (("%1", 4),), (ODD,), WORKSPACE, (("/a", "/b"),)
        ),
        finding=FINDING,
        checkpoint=CHECKPOINT,
        fallback=(Resort(Strategy.REBUILD_WORKSPACE),),
        undo=Undo(replace(CHECKPOINT, id=8, image=replace(IMAGE, width=99)), (RESUMPTION,)),
    ),
    asker=Asker.OPERATOR,
    before=BEFORE,
    server=SERVER,
    seen=BEFORE,
    order=Order(CHECKPOINT, window=3, replaces=True, holds=True),
    given_up=True,
)


@pytest.mark.parametrize("mandate", [PLAIN, FULL], ids=["plain", "full"])
def test_what_is_stored_is_read(mandate: Mandate) -> None:
    text = mandates.encode(mandate)
    assert text.isascii()
    assert mandates.decode(text) == mandate


def test_every_image_is_kept_once_and_none_when_the_plan_has_ended() -> None:
    text = mandates.encode(FULL)
    assert len(json.loads(text)["images"]) == 2
    short = mandates.without_images(text)
    assert json.loads(short) == {**json.loads(text), "images": []}
    assert mandates.without_images("nonsense") == "nonsense"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{}", "[" * 5_000, '{"version": "mandate-2"}', '{"version": "mandate-1"}',
     mandates.without_images(mandates.encode(FULL)),
     mandates.encode(FULL).replace('"replace_session"', '"unheard_of"'),
     mandates.encode(FULL).replace('"undo":8', '"undo":"8"')],
)  # fmt: skip
def test_what_is_not_one_of_ours_is_not_carried_out(text: str) -> None:
    with pytest.raises(PlanUnreadable):
        mandates.decode(text)


async def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "state")
    incident = await bench.store.open_incident(FINDING, 1.0, 1.0)
    begun = await bench.store.begin_recovery(incident.id, FULL, 2.0)
    first = Attempt(0, Phase.DO, 1, AttemptState.BEGUN, 3.0, 3.0)
    step = FULL.plan.steps[0]
    again = Attempt(0, Phase.DO, 2, AttemptState.DUE, 9.0)
    await bench.store.step_begun(begun.id, first, step)
    await bench.store.step_ended(
        begun.id, replace(first, state=AttemptState.FAILED, ended=4.0, error="no"), step, again
    )
    await bench.store.stop_recovery(begun.id, "resolved", 5.0)
    await bench.store.join_recovery(begun.id, Asker.OPERATOR, 6.0)
    await bench.store.join_recovery(begun.id, Asker.OPERATOR, 6.0)
    bench.store.close()
    bench.store = bench.open()
    (found,) = await bench.store.unfinished()
    assert found.mandate == FULL
    assert found.journal.stop == "resolved"
    assert found.journal.attempts == (
        Attempt(0, Phase.DO, 1, AttemptState.FAILED, 3.0, 3.0, 4.0, "no"),
        again,
    )
    assert found.wanted == ("operator",)
    assert (found.recovery.undo, found.recovery.state) == (8, "running")
    bench.store.close()


async def test_the_journal_of_an_earlier_release_is_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "state")
    incident = await bench.store.open_incident(FINDING, 1.0, 1.0)
    await bench.store.begin_recovery(incident.id, PLAIN, 2.0)
    bench.store.close()
    with closing(sqlite3.connect(bench.folder / FILE, isolation_level=None)) as book:
        book.execute("DELETE FROM _sqlite_migrations WHERE name = 'journal'")
        for column in ("plan", "resumed", "stopped", "wanted", "transaction_outcome", "commands", "undo"):
            book.execute(f"ALTER TABLE recoveries DROP COLUMN {column}")
        book.execute("DROP TABLE steps")
        book.execute(
            "CREATE TABLE steps (recovery INTEGER NOT NULL REFERENCES recoveries (id), seq INTEGER NOT NULL,"
            " kind TEXT NOT NULL, description TEXT NOT NULL, state TEXT NOT NULL, begun REAL NOT NULL,"
            " ended REAL, error TEXT NOT NULL DEFAULT '', PRIMARY KEY (recovery, seq)) WITHOUT ROWID"
        )
        book.execute("INSERT INTO steps VALUES (1, 0, 'save', 'save', 'done', 5.0, 6.0, '')")
    bench.store = bench.open()
    (found,) = await bench.store.unfinished()
    assert found.mandate is None
    bench.store.close()
    with closing(sqlite3.connect(bench.folder / FILE)) as book:
        rows = book.execute("SELECT phase, attempt, state, due, begun, ended FROM steps").fetchall()
    assert rows == [("do", 1, "done", 5.0, 5.0, 6.0)]
