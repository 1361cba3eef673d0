"""What the machine is asked when something has broken, and that no recovery waits for a slow answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from sidecar.flow.inquiry import Inquiry
from sidecar.model.incident import Cause
from sidecar.model.record import Action
from sidecar.model.surroundings import KernelLine, Surroundings
from tests.decide.builders import SERVER, pane, session
from tests.flow.corridor import corridor

SOON = 0.1
"""More seconds than a recovery waits for an answer."""
KILLED = Surroundings((KernelLine(201, 990.0, "Out of memory: Killed process 201 (bash)"),))


async def test_only_a_failure_is_asked_about_with_its_processes_and_folders(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(1), replace(pane(2), cwd="/data")))
        await world.pass_time(20.0)
        assert world.host.asked == []
        world.kill_pane_process()
        await world.recovered()
        (question,) = world.host.asked
        assert {201, SERVER.pid} <= question.pids
        assert question.folders == {"state folder": "/", "pane folder /srv": "/srv"}
        assert question.since < world.clock.now


async def test_what_comes_in_time_bears_on_the_diagnosis(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.host.around = KILLED
        world.kill_pane_process()
        row = await world.recovered()
        assert row.cause is Cause.OUT_OF_MEMORY
        assert {"source": "kernel log", "fact": "Out of memory: Killed process 201 (bash)"} in row.evidence


async def test_what_comes_late_is_added_and_delays_nothing(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.host.around, world.host.holds = KILLED, asyncio.Event()
        world.kill_pane_process()
        await world.pass_time(SOON)
        row = await world.recovered()
        assert row.cause is Cause.PROCESS_KILLED
        world.host.holds.set()

        async def added() -> list[str]:
            rows = await world.store.audit_rows(50, action=Action.EVIDENCE_ADDED)
            return [fact["fact"] for one in rows for fact in one.detail["evidence"]]

        await world.quiet()
        assert "Out of memory: Killed process 201 (bash)" in await added()
        assert f"with what came late, the likeliest cause is {Cause.OUT_OF_MEMORY}" in await added()
        (incident,) = await world.store.incidents(5)
        assert {
            "source": "kernel log",
            "fact": "Out of memory: Killed process 201 (bash)",
        } in incident.evidence


async def test_while_an_answer_is_awaited_no_other_question_is_asked(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(1)), session(pane(2), name="api", identity="$2"))
        world.host.holds = asyncio.Event()
        world.kill_pane_process("%1")
        await world.pass_time(SOON)
        await world.recovered()
        world.kill_pane_process("%2")
        await world.pass_time(SOON)
        assert len(world.host.asked) == 1
        world.host.holds.set()
        await world.quiet()


async def test_who_asks_right_behind_an_answer_does_not_take_it_away(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        world.host.around, world.host.holds = KILLED, asyncio.Event()
        inquiry = Inquiry(world.host, world.store, world.clock, world.log, {})

        async def behind() -> Surroundings | None:
            assert world.host.holds is not None
            await world.host.holds.wait()
            return await inquiry.about((), {})

        first = asyncio.create_task(inquiry.about((), {}))
        await world.until(lambda: world.host.asked, "the first question")
        second = asyncio.create_task(behind())
        await asyncio.sleep(0)
        world.host.holds.set()
        assert await asyncio.gather(first, second) == [KILLED, KILLED]
