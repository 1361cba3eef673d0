"""Heals of what is the sidecar's own, in the corridor: its checkpoints, its caches, and panes' scrollback."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from sidecar.config import CheckpointSettings, SessionSettings, Settings
from sidecar.edges.heals import caches
from sidecar.errors import Permanent, TmuxUnknown
from sidecar.flow.steps import STEPS
from sidecar.flow.surgery import Surgery
from sidecar.flow.ward import Case
from sidecar.model.heal import (
    DropCachesHeal,
    Heal,
    HealCall,
    PruneCheckpointsHeal,
    TrimHistoryHeal,
    TrimStoreHeal,
)
from sidecar.model.incident import Asker, SignalKind
from sidecar.model.plan import Expectation, Plan, Step, StepKind, Strategy
from sidecar.model.session import Presence, Session
from sidecar.model.stress import CheckpointMode
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor
from tests.flow.test_steps_heal import FINDING


@dataclass
class Healer:
    calls: list[HealCall] = field(default_factory=list)

    async def heal(self, call: HealCall) -> str:
        self.calls.append(call)
        return await caches.drop()


async def heal(world: Corridor, what: Heal) -> str:
    step = Step(StepKind.HEAL, heal=what, what="api")
    plan = Plan("check:api", Strategy.HEAL_CHECK, (step,), Expectation(None, apart=True), FINDING)
    unused = cast(Any, None)
    surgery = Surgery(
        world.tmux, world.store, cast(Any, world.host), world.checkpointer, unused, world.clock,
        Case(FINDING, None, Asker.WATCHER), plan, "trace-1", ward=world.ward,
    )  # fmt: skip
    await STEPS[step.kind].do(surgery, step)
    return surgery.progress.said


def scrolled(name: str, lines: int, number: int) -> Session:
    return session(replace(pane(number), history_lines=lines), name=name, identity=f"${number}")


async def test_checkpoints_are_pruned_to_so_many_of_each_session(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(scrolled("web", 0, 1), scrolled("api", 0, 2))
        for number in range(6):
            world.tmux.change("%1", cwd=f"/{number}")
            world.watch.signal(SignalKind.TICK)
            await world.quiet()
        assert world.ward.totals["web"].count == 7
        said = await heal(world, PruneCheckpointsHeal(2))
        assert said.startswith("removed 5 checkpoints of ")
        assert (world.ward.totals["web"].count, world.ward.totals["api"].count) == (2, 1)
        newest = await world.store.newest_checkpoint("web")
        assert newest is not None
        assert newest.image.windows[0].panes[0].cwd == "/5"
        assert (await heal(world, PruneCheckpointsHeal(2))).startswith("removed 0 checkpoints of 0B")


async def test_caches_are_dropped_before_memory_is_given_back(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        world.host.healer = Healer()
        said = await heal(world, DropCachesHeal())
        assert said.startswith("dropped the sidecar's own caches: ")
        assert world.tmux.called("drop_caches")
        assert [call.check for call in world.host.healer.calls] == ["api"]


async def test_the_database_is_trimmed(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        assert (await heal(world, TrimStoreHeal())).startswith("trimmed the database: ")


async def test_long_histories_are_cleared_once_they_are_stored(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(scrolled("web", 5_000, 1), scrolled("web-2", 10, 2), scrolled("api", 9_000, 3))
        captures = len(world.tmux.called("capture"))
        said = await heal(world, TrimHistoryHeal("web*", 1_000))
        assert said == "cleared the history of 1 pane (5000 lines)"
        assert world.tmux.called("clear_history") == [("clear_history", {"%1": 201})]
        assert world.tmux.called("capture")[captures:] == [("capture", "web")]
        order = [call[0] for call in world.tmux.calls]
        assert len(order) - 1 - order[::-1].index("capture") < order.index("clear_history")
        assert await heal(world, TrimHistoryHeal("web*", 1_000)) == (
            "cleared the history of 0 panes (0 lines)"
        )


async def test_what_is_not_ours_or_not_stored_keeps_its_history(tmp_path: Path) -> None:
    settings = Settings(
        sessions=SessionSettings(manage=("*",), ignore=("theirs",)),
        checkpoints=CheckpointSettings(exclude=("secret",)),
    )
    async with corridor(tmp_path, settings) as world:
        names = ("secret", "healing", "out")
        await world.adopt(*(scrolled(name, 5_000, number) for number, name in enumerate(names, start=1)))
        world.tmux.put(scrolled("theirs", 5_000, 9))
        world.tmux.sessions["out"] = replace(world.tmux.sessions["out"], opted="off")
        world.ward.cases["healing"] = Case(FINDING, None, Asker.WATCHER)
        said = await heal(world, TrimHistoryHeal("*", 1_000))
        del world.ward.cases["healing"]
        assert said == (
            "cleared the history of 0 panes (0 lines); left as they are: "
            "secret (its text is not stored, as checkpoints.exclude says)"
        )
        assert not world.tmux.called("clear_history")


async def test_a_session_that_was_just_made_anew_keeps_its_history(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(scrolled("web", 5_000, 1))
        world.tmux.put(scrolled("web", 5_000, 4))
        said = await heal(world, TrimHistoryHeal("web", 1_000))
        assert said.endswith("web (it is another one than before, and not stored yet)")
        assert not world.tmux.called("clear_history")


async def test_nothing_is_cleared_while_nothing_can_be_stored(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(scrolled("web", 5_000, 1))
        world.ward.stress = replace(world.ward.stress, checkpoints=CheckpointMode.PAUSED, disk="short")
        with pytest.raises(Permanent, match="while its text cannot be stored"):
            await heal(world, TrimHistoryHeal("web", 1_000))
        world.ward.stress = replace(world.ward.stress, checkpoints=CheckpointMode.FULL)
        world.tmux.presence = Presence.UNKNOWN
        with pytest.raises(TmuxUnknown, match="does not tell which sessions"):
            await heal(world, TrimHistoryHeal("web", 1_000))
        world.tmux.presence = Presence.PRESENT
        assert not world.tmux.called("clear_history")
