"""A sidecar that is killed at any point of a recovery: the next one brings it to its end, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from chaos.checker import check
from sidecar.config import Declared, Settings
from sidecar.flow.archive import Archive
from sidecar.model.archive import RestoreRequest
from sidecar.model.heartbeat import May
from sidecar.model.incident import Broken, Cause, FailureKind, Role, SignalKind, Unit
from sidecar.model.policy import ResumeRule
from sidecar.model.record import RecoveryRow
from sidecar.model.running import Sending
from sidecar.model.session import Checkpoint, Session
from sidecar.model.status import Ticket
from sidecar.model.workspace import Command, DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import pane, session, without
from tests.flow.corridor import Corridor, HandClock, ValueTmux, corridor
from tests.flow.sick import Sickness

WRITES = ("begin_recovery", "step_begun", "step_ended", "end_recovery")
RESUMING = Settings(resume=(ResumeRule("^top", "top"),))
DECLARED = Workspace(
    "web",
    (DeclaredWindow((DeclaredPane("/srv", commands=(Command("one"), Command("two"))),)),),
    file="/w.yaml",
    before_script=("/bin/true",),
)
PAIR = Workspace(
    "web",
    (
        DeclaredWindow(
            (DeclaredPane("/srv"), DeclaredPane("/srv", commands=(Command("one"),))), layout="even-vertical"
        ),
    ),
    file="/w.yaml",
)
PAIR_STANDS = session(pane(1), pane(2))
SHELL = pane(1, program=300)
TYPED = ("enter", "top")


class Death:
    """Ends the sidecar at one boundary of the journal: just before it is written, or just after."""

    def __init__(self, at: int, *, after: bool) -> None:
        self._at = at
        self._after = after
        self.boundaries = 0
        self.happened = False

    def lurk(self, world: Corridor) -> None:
        for name in WRITES:
            setattr(world.store, name, self._deadly(world, getattr(world.store, name)))

    def _deadly(self, world: Corridor, write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def guarded(*facts: Any) -> Any:
            self.boundaries += 1
            due = self.boundaries == self._at
            if due and not self._after:
                await self._strike(world)
            answer = await write(*facts)
            if due:
                await self._strike(world)
            return answer

        return guarded

    async def _strike(self, world: Corridor) -> None:
        world.crash()
        self.happened = True
        await asyncio.Future()


@dataclass(frozen=True)
class Story:
    """One strategy: what breaks, and what has to be done about it, each exactly once."""

    breaks: Callable[[Corridor], Awaitable[None]]
    effects: Sequence[tuple[Any, ...]]
    settings: Settings = RESUMING
    sessions: Sequence[Session] = field(default=(session(SHELL),))
    name: str = "web"
    repeatable: frozenset[str] = frozenset()
    """Effects that may come again at will."""
    sick: Callable[[ValueTmux], Sickness] | None = None
    """What is wrong where a look does not show it."""


async def kill_process(world: Corridor) -> None:
    world.kill_pane_process()


async def kill_program(world: Corridor) -> None:
    world.kill_program()


async def kill_server(world: Corridor) -> None:
    server = world.tmux.server.pid
    world.tmux.die()
    world.end(server, -9, Role.SERVER)


async def remove_socket(world: Corridor) -> None:
    world.tmux.die(alive=True)
    world.watch.signal(SignalKind.TICK)


async def nothing(world: Corridor) -> None:
    """It was never there, and is declared."""


async def fall_sick(world: Corridor) -> None:
    world.host.stopped.broken = True
    world.watch.signal(SignalKind.TICK)


async def lose_a_pane(world: Corridor) -> None:
    world.tmux.put(without(world.tmux.sessions["web"], "%2"))
    await fall_sick(world)


async def ask_to_replace(world: Corridor) -> None:
    await _restore(world, await world.store.newest_checkpoint("web"), replaces=True)


async def ask_for_a_window(world: Corridor) -> None:
    newest = await world.store.newest_checkpoint("web")
    live = world.tmux.sessions["web"]
    world.tmux.sessions["web"] = replace(live, windows=live.windows[:1])
    world.watch.signal(SignalKind.TICK)
    await world.quiet()
    await _restore(world, newest, window=1)


async def kill_a_pane(world: Corridor) -> None:
    """Its window keeps nothing, and lives on."""
    live = world.tmux.sessions["web"]
    pid = next(one.pid for one in live.panes() if one.id == "%2")
    (window,) = live.windows
    window = replace(window, remain_on_exit="off", panes=tuple(p for p in window.panes if p.id != "%2"))
    world.tmux.sessions["web"] = replace(live, windows=(window,))
    world.end(pid, -9)


async def _restore(world: Corridor, checkpoint: Checkpoint | None, **wanted: Any) -> None:
    assert checkpoint is not None
    archive = Archive(
        world.ward, world.tmux, world.store, world.store.shelf, world.clock, world.meter,
        world.checkpointer, world.watch, world.recoverer,
    )  # type: ignore[arg-type]  # fmt: skip

    async def ask() -> None:
        assert isinstance(await archive.restore(RestoreRequest(checkpoint.id, **wanted)), Ticket)

    world.spawn("ask", ask())


def frozen(
    cause: Cause, unit: Unit, *may: May, bears: tuple[Sending, ...] = ()
) -> Callable[[ValueTmux], Sickness]:
    """Of the one pane, whose process is 201, with the program 300 in front."""
    part = Broken(unit, "%1", 201 if unit is Unit.TERMINAL else 300, started=7)
    return lambda tmux: Sickness(tmux, FailureKind.FROZEN, cause, part, may=may, bears=frozenset(bears))


def lacks_a_pane(tmux: ValueTmux) -> Sickness:
    def lacks(tmux: ValueTmux) -> bool:
        return len(list(tmux.sessions["web"].panes())) < 2

    part = Broken(Unit.PANE, window=0, place=(0, 1))
    return Sickness(tmux, FailureKind.CORRUPTED, Cause.SHAPE_DIFFERS, part, lacks)


def lies_otherwise(tmux: ValueTmux) -> Sickness:
    part = Broken(Unit.WINDOW, window=0, place=(0, 0))
    return Sickness(
        tmux, FailureKind.CORRUPTED, Cause.LAYOUT_DIFFERS, part, lambda tmux: not tmux.called("arrange")
    )


def two_windows() -> Session:
    one = session(SHELL)
    second = replace(one.windows[0], id="@2", index=1, active=False, panes=(pane(2),))
    return replace(one, windows=(*one.windows, second))


STORIES = {
    "respawn_pane": Story(kill_process, [("respawn", "%1"), TYPED]),
    "resume_program": Story(kill_program, [TYPED]),
    "restore_checkpoint": Story(kill_server, [("rebuild", "web"), TYPED]),
    "replace": Story(ask_to_replace, [("close", "$1"), ("rebuild", "web"), TYPED]),
    "rebuild_window": Story(
        ask_for_a_window,
        [("rebuild window", 1)],
        sessions=(two_windows(), session(pane(9), name="x", identity="$9")),
    ),
    "recreate_socket": Story(remove_socket, [("socket",)], name="", repeatable=frozenset({"socket"})),
    "continue": Story(
        fall_sick,
        [("continue", 300)],
        repeatable=frozenset({"continue"}),
        sick=frozen(Cause.PROCESS_SUSPENDED, Unit.PROGRAM),
    ),
    "unblock": Story(
        fall_sick,
        [("unblock", "/dev/pts/9")],
        repeatable=frozenset({"unblock"}),
        sick=frozen(Cause.TERMINAL_STOPPED, Unit.TERMINAL),
    ),
    "interrupt": Story(
        fall_sick,
        [("SIGINT", 300), TYPED],
        sick=frozen(Cause.HEARTBEAT_MISSED, Unit.PROGRAM, May.INTERRUPT),
    ),
    "interrupt, and it goes on": Story(
        fall_sick,
        [("SIGINT", 300)],
        repeatable=frozenset({"SIGINT"}),
        sick=frozen(Cause.HEARTBEAT_MISSED, Unit.PROGRAM, May.INTERRUPT, bears=(Sending.INTERRUPT,)),
    ),
    "end": Story(
        fall_sick,
        [("SIGTERM", 300), TYPED],
        sick=frozen(Cause.HEARTBEAT_MISSED, Unit.PROGRAM, May.RESPAWN),
    ),
    "end, by force": Story(
        fall_sick,
        [("SIGTERM", 300), ("SIGKILL", 300), TYPED],
        sick=frozen(Cause.HEARTBEAT_MISSED, Unit.PROGRAM, May.RESPAWN, bears=(Sending.TERMINATE,)),
    ),
    "build and furnish a pane": Story(
        lose_a_pane,
        [("build pane", "%1"), ("type", "one")],
        settings=Settings(declared=Declared(MappingProxyType({"web": PAIR}))),
        sessions=(PAIR_STANDS,),
        sick=lacks_a_pane,
    ),
    "arrange_window": Story(
        fall_sick,
        [("arrange", "@1")],
        settings=Settings(declared=Declared(MappingProxyType({"web": PAIR}))),
        sessions=(PAIR_STANDS,),
        repeatable=frozenset({"arrange"}),
        sick=lies_otherwise,
    ),
    "rebuild_workspace": Story(
        nothing,
        [("build", "web"), ("type", "one"), ("type", "two")],
        settings=Settings(declared=Declared(MappingProxyType({"web": DECLARED}))),
        sessions=(),
    ),
}


async def settled(world: Corridor, story: Story, death: Death | None = None) -> None:
    """Let time pass until nothing is under way, or the sidecar is dead."""
    for _ in range(300):
        await world.quiet()
        rows = await world.recoveries(story.name)
        over = rows and all(row.state != "running" for row in rows) and not world.ward.cases
        if (death is not None and death.happened) or over:
            return
        world.clock.move(0.1)
    raise AssertionError("it comes to no end")


async def live_through(folder: Path, story: Story, death: Death) -> tuple[ValueTmux, list[RecoveryRow]]:
    """Break it, die, start again; tmux and the recoveries in the end."""
    tmux = ValueTmux(HandClock())
    sickness = story.sick(tmux) if story.sick else None
    examiners = [sickness] if sickness else []

    async def lurk(world: Corridor) -> None:
        world.tmux.put(*story.sessions)
        await fit(world)
        death.lurk(world)

    async def fit(world: Corridor) -> None:
        world.host.stopped = sickness

    async with corridor(folder, story.settings, before=lurk, examiners=examiners, tmux=tmux) as world:
        if story.sessions:
            await world.adopt(*story.sessions)
        await story.breaks(world)
        await settled(world, story, death)
    async with corridor(folder, story.settings, before=fit, examiners=examiners, tmux=tmux) as later:
        await settled(later, story)
        assert await later.store.open_incidents() == ()
        page = later.meter.render("")[0].decode()
        assert check(folder / "state", metrics=page) == ()
        return later.tmux, await later.recoveries(story.name)


def counted(story: Story, effects: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Each effect as often as it was had; one that may come again only the first time."""
    found: list[tuple[Any, ...]] = []
    for effect in effects:
        if effect not in found or effect[0] not in story.repeatable:
            found.append(effect)
    return found


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", STORIES)
async def test_it_ends_well_and_is_done_once_wherever_the_sidecar_is_killed(
    tmp_path: Path, name: str, after: bool
) -> None:
    story = STORIES[name]
    # Before the first one nothing is known but what the next run sees by itself.
    at = 0 if after else 1
    while True:
        at += 1
        death = Death(at, after=after)
        tmux, rows = await live_through(tmp_path / str(at), story, death)
        told = [(row.state, row.transaction_outcome) for row in rows]
        assert told == [("verified", "committed")], (at, told, rows[0].verdict, rows[0].steps)
        assert counted(story, tmux.effects) == list(story.effects), at
        if not death.happened:
            break
    assert at > 4


async def test_what_was_made_is_remembered_with_the_end_of_its_recovery(tmp_path: Path) -> None:
    story = STORIES["rebuild_workspace"]

    async def die_with_the_end(world: Corridor) -> None:
        end = world.store.end_recovery

        async def end_and_die(*facts: Any) -> None:
            await end(*facts)
            world.crash()
            await asyncio.Future()

        world.store.end_recovery = end_and_die  # type: ignore[method-assign]

    async with corridor(tmp_path, story.settings, before=die_with_the_end) as world:
        await world.pass_time(5.0)
        assert world.ward.draining

    async def lose_the_server(later: Corridor) -> None:
        later.tmux.die()

    async with corridor(tmp_path, story.settings, before=lose_the_server, tmux=world.tmux) as later:
        await later.pass_time(5.0)
        rows = [await later.store.recovery(row.id) for row in await later.recoveries()]
        # Its script belongs before the first time only.
        assert [[step.kind for step in row.steps] for row in rows if row] == [
            ["run_script", "build_workspace", "furnish_workspace"],
            ["build_workspace", "furnish_workspace"],
        ]


async def test_a_pane_that_was_put_back_is_there_once_wherever_the_sidecar_is_killed(tmp_path: Path) -> None:
    story = Story(
        kill_a_pane,
        [("rebuild pane", 0, 1), TYPED],
        sessions=(session(replace(pane(1), index=0), replace(SHELL, id="%2", index=1, pid=207)),),
    )
    begun = 0
    for at in range(1, 60):
        death = Death(at, after=True)
        folder = tmp_path / str(at)

        async def lurk(world: Corridor, death: Death = death) -> None:
            death.lurk(world)

        async with corridor(folder, before=lurk) as world:
            await world.adopt(*story.sessions)
            await story.breaks(world)
            await settled(world, story, death)
            # Before it is begun, only this run knows that there was such a pane.
            known = await world.recoveries()
        if known:
            begun += 1
            async with corridor(folder, tmux=world.tmux) as later:
                await settled(later, story)
                rows = await later.recoveries()
                assert [(row.state, row.strategy) for row in rows] == [("verified", "rebuild_pane")], at
                assert later.tmux.effects == list(story.effects), at
        if not death.happened:
            break
    assert begun > 4
