"""The examiner of shapes: what it reports when, and that it is asked again before anything is done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import cast

import pytest

from sidecar.config import Declared, SessionOverride, SessionSettings, Settings
from sidecar.flow.ports import Host
from sidecar.flow.shape import CONFIRM, ShapeExaminer
from sidecar.flow.ward import Ward
from sidecar.model.incident import Cause, Finding, Intent, Unit
from sidecar.model.policy import Restore, Shape
from sidecar.model.session import Look, Presence, Session, Window
from sidecar.model.workspace import DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import ended, look, pane, session
from tests.flow.corridor import HandClock

DECLARED = Workspace(
    "web",
    (
        DeclaredWindow((DeclaredPane("/srv"),), name="main"),
        DeclaredWindow((DeclaredPane("/srv"),), name="two"),
        DeclaredWindow((DeclaredPane("/srv"),), name="three"),
    ),
    file="/w.yaml",
)


def window(number: int, name: str) -> Window:
    (one,) = session(pane(number + 1)).windows
    return replace(one, id=f"@{number + 1}", index=number, name=name, armed=False)


def live(*names: str) -> Session:
    at = {"main": 0, "two": 1, "three": 2}
    return replace(session(), windows=tuple(window(at[name], name) for name in names))


class Disk:
    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()

    def missing_folders(self, paths: Iterable[str]) -> tuple[str, ...]:
        self.answers.wait()
        return ()

    def real_folders(self, paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
        return tuple((path, path) for path in paths)


class World:
    """An examiner with its ward, and looks at moments of our choice."""

    def __init__(self, **override: object) -> None:
        sessions = SessionSettings(overrides={"web": SessionOverride(**override)})  # type: ignore[arg-type]
        declared = Declared(MappingProxyType({"web": DECLARED}))
        self.ward = Ward(Settings(sessions=sessions, declared=declared))
        self.ward.declare()
        self.asked: list[float] = []
        self.disk = Disk()
        self.clock = HandClock()
        self.examiner = ShapeExaminer(self.ward, cast(Host, self.disk), self.clock, self.asked.append)

    def at(self, now: float, shown: Session) -> Look:
        return replace(look(shown), taken=now)

    async def see(self, now: float, shown: Session) -> list[Finding]:
        return list(await self.examiner.examine(self.at(now, shown), self.ward.expected))


WHOLE = live("main", "two", "three")


@pytest.fixture
def world() -> World:
    return World()


def killed(world: World, *pids: int) -> None:
    for pid in pids:
        world.ward.exits[pid] = ended(pid, -9, seen=9.0)


async def test_it_is_reported_once_it_was_so_for_a_moment(world: World) -> None:
    assert await world.see(1.0, WHOLE) == []
    killed(world, 202, 203)
    gone = live("main")
    assert await world.see(10.0, gone) == []
    assert world.asked == [CONFIRM]
    assert await world.see(10.5, gone) == []
    assert world.asked == [CONFIRM]
    (finding,) = await world.see(11.1, gone)
    # What is alike is put back together.
    assert [part.place for part in finding.failure.broken] == [(1, 0), (2, 0)]
    assert (finding.cause, finding.intent, finding.failure.unit) == (
        Cause.SHAPE_DIFFERS,
        Intent.FAILURE,
        Unit.WINDOW,
    )
    # The first bad sign is the end of the processes.
    assert finding.failure.first_sign == 9.0
    facts = [fact.fact for fact in finding.evidence]
    assert facts[0] == "window 'two': presence is absent, declared present"
    assert "process 202 of %1 was ended by SIGKILL" in facts
    assert [one.where for one in world.ward.shapes["web"]] == ["window 'two'", "window 'three'"]


async def test_what_comes_back_in_between_begins_anew(world: World) -> None:
    await world.see(1.0, WHOLE)
    killed(world, 202)
    assert await world.see(10.0, live("main", "three")) == []
    assert await world.see(10.5, WHOLE) == []
    assert await world.see(11.5, live("main", "three")) == []
    assert await world.see(12.6, live("main", "three"))


async def test_what_a_person_closed_is_looked_at_once(world: World) -> None:
    await world.see(1.0, WHOLE)
    world.ward.exits[202] = ended(202, -1)
    gone = live("main", "three")
    for now in (10.0, 11.1, 12.2):
        assert await world.see(now, gone) == []
    world.ward.exits.clear()
    assert await world.see(13.3, gone) == []
    assert "web" not in world.ward.shapes


async def test_what_cannot_be_told_is_for_a_person_to_say(world: World) -> None:
    await world.see(1.0, WHOLE)
    gone = live("main", "three")
    await world.see(10.0, gone)
    (finding,) = await world.see(11.1, gone)
    assert finding.intent is Intent.UNKNOWN


async def test_it_is_over_when_what_is_declared_is_there(world: World) -> None:
    await world.see(1.0, WHOLE)
    killed(world, 202)
    gone = live("main", "three")
    await world.see(10.0, gone)
    (finding,) = await world.see(11.1, gone)
    assert await world.examiner.still(finding, world.at(11.2, gone))
    again = replace(window(1, "two"), id="@9")
    back = replace(gone, windows=(*gone.windows, again))
    assert not await world.examiner.still(finding, world.at(11.3, back))
    assert await world.see(11.4, back) == []
    assert "web" not in world.ward.shapes


async def test_of_what_is_not_there_nothing_is_still_so(world: World) -> None:
    await world.see(1.0, WHOLE)
    killed(world, 202)
    await world.see(10.0, live("main", "three"))
    (finding,) = await world.see(11.1, live("main", "three"))
    assert not await world.examiner.still(finding, Look(Presence.UNKNOWN, 12.0))
    assert not await world.examiner.still(finding, replace(look(), taken=12.0))


@pytest.mark.parametrize(
    "override",
    [{"shape": Shape.OFF}, {"restore": Restore.NEVER}],
    ids=lambda override: next(iter(override)),
)
async def test_who_is_not_held_to_a_file_is_left_alone(override: dict[str, object]) -> None:
    world = World(**override)
    world.ward.expect(look(WHOLE), WHOLE)
    await world.see(1.0, WHOLE)
    killed(world, 202)
    for now in (10.0, 11.1, 12.2):
        assert await world.see(now, live("main", "three")) == []
    assert world.asked == []


async def test_a_session_that_opted_out_is_left_alone(world: World) -> None:
    await world.see(1.0, WHOLE)
    killed(world, 202)
    gone = replace(live("main", "three"), opted="off")
    for now in (10.0, 11.1):
        assert await world.see(now, gone) == []


async def test_what_is_not_declared_any_more_is_forgotten(world: World) -> None:
    await world.see(1.0, WHOLE)
    killed(world, 202)
    await world.see(10.0, live("main", "three"))
    assert await world.see(11.1, live("main", "three"))
    world.ward.settings = Settings()
    assert await world.see(12.0, live("main", "three")) == []
    assert world.ward.shapes == {}


async def test_a_disk_that_does_not_answer_holds_up_no_look(world: World) -> None:
    world.disk.answers.clear()
    try:
        first_look = asyncio.create_task(world.see(1.0, WHOLE))
        while not first_look.done():
            await asyncio.sleep(0)
            world.clock.move(0.01)
        killed(world, 202)
        await world.see(10.0, live("main", "three"))
        assert await world.see(11.1, live("main", "three"))
    finally:
        world.disk.answers.set()
