"""What examiners find goes the same way as what the looks show, and is asked about again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.config import RecoverySettings, Settings
from sidecar.decide.detect import Expected
from sidecar.model.incident import (
    Broken,
    Cause,
    Evidence,
    Failure,
    FailureKind,
    Finding,
    Intent,
    SignalKind,
    Unit,
)
from sidecar.model.plan import RefusalReason
from sidecar.model.policy import Mode
from sidecar.model.record import Action
from sidecar.model.session import Look, Presence
from sidecar.model.status import RecoverRequest, Ticket
from tests.decide.builders import session
from tests.flow.corridor import Corridor, corridor


@dataclass
class DeafServer:
    """Says that the server is deaf while ``deaf`` is set; every signal to it takes one from ``deaf``."""

    deaf: int = 0
    world: Corridor | None = None
    causes = frozenset({Cause.SOCKET_REMOVED})

    def _signals(self) -> int:
        return len(self.world.tmux.called("recreate_socket")) if self.world else 0

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        if self._signals() >= self.deaf:
            return ()
        failure = Failure("", FailureKind.DISCONNECTED, (Broken(Unit.SOCKET),), 1_000.0)
        return (Finding(failure, Cause.SOCKET_REMOVED, Intent.FAILURE, (Evidence("ear", "deaf"),), "deaf@1"),)

    async def still(self, finding: Finding, look: Look) -> bool:
        return self._signals() < self.deaf


class Faulty:
    """An examiner with a fault of its own."""

    causes: frozenset[Cause] = frozenset()

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        raise ZeroDivisionError("a fault of the program")

    async def still(self, finding: Finding, look: Look) -> bool:
        return False


async def go_deaf(world: Corridor, ear: DeafServer, signals: int = 1) -> None:
    """tmux does not answer any more, until it has been signalled so often."""
    ear.world = world
    await world.adopt(session())
    ear.deaf = signals
    world.tmux.presence = Presence.UNKNOWN


async def test_a_finding_is_acted_on_also_while_the_server_does_not_answer(tmp_path: Path) -> None:
    ear = DeafServer()
    async with corridor(tmp_path, examiners=[Faulty(), ear]) as world:
        await go_deaf(world, ear)
        world.watch.signal(SignalKind.TICK)
        row = await world.recovered(name="")
        assert (row.state, row.cause) == ("verified", Cause.SOCKET_REMOVED)
        assert {line["task"] for line in world.log.of(Action.TASK_FAILED)} == {"Faulty"}


async def test_what_is_over_before_anything_is_done_is_stale(tmp_path: Path) -> None:
    class Fickle(DeafServer):
        async def still(self, finding: Finding, look: Look) -> bool:
            return False

    ear = Fickle()
    async with corridor(tmp_path, examiners=[ear]) as world:
        await go_deaf(world, ear)
        world.watch.signal(SignalKind.TICK)
        # Found and refused again at each look, without an end.
        while not (refused := world.log.of(Action.REFUSED)):
            await asyncio.sleep(0)
        assert refused[0]["reason"] == RefusalReason.STALE
        assert world.tmux.called("recreate_socket") == []


async def test_a_cure_that_changes_nothing_is_no_success(tmp_path: Path) -> None:
    ear = DeafServer()
    async with corridor(tmp_path, examiners=[ear]) as world:
        await go_deaf(world, ear, signals=2)
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: world.tmux.called("recreate_socket"), "the first signal")
        await world.pass_time(60.0)
        first, second = (await world.recovered(2, "") and await world.recoveries(""))[:2]
        assert (first.state, second.state) == ("failed", "verified")
        assert "still so" in first.verdict


async def test_a_request_hears_of_what_examiners_find(tmp_path: Path) -> None:
    ear = DeafServer()
    async with corridor(
        tmp_path, Settings(recovery=RecoverySettings(mode=Mode.OBSERVE)), examiners=[ear]
    ) as world:
        await go_deaf(world, ear)
        answer = await world.desk.request(RecoverRequest("web"))
        assert isinstance(answer, Ticket)
        await world.recovered(name="")


async def test_a_finding_that_was_refused_is_not_decided_again_at_each_look(tmp_path: Path) -> None:
    ear = DeafServer()
    async with corridor(
        tmp_path, Settings(recovery=RecoverySettings(mode=Mode.OBSERVE)), examiners=[ear]
    ) as world:
        await go_deaf(world, ear)
        await world.pass_time(60.0)
        assert len(world.log.of(Action.REFUSED)) == 1
        ear.deaf = 0
        world.tmux.presence = Presence.PRESENT
        world.watch.signal(SignalKind.TICK)
        await world.quiet()
        assert await world.store.open_incidents() == ()
