"""Programs that are ended, on a real tmux: interrupted first, and started again only if they have ended."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sidecar.clock import SystemClock
from sidecar.config import TmuxSettings
from sidecar.decide.firm import firm_plan, permitted
from sidecar.decide.fitting import fitting
from sidecar.edges import process
from sidecar.edges.stopped import StoppedDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.errors import Permanent
from sidecar.flow import steps_firm
from sidecar.flow.steps import STEPS
from sidecar.flow.surgery import Surgery
from sidecar.flow.ward import Case
from sidecar.model.heartbeat import May
from sidecar.model.incident import Asker, Broken, Cause, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Entry, Plan, Resumption, Step, StepKind, Strategy
from sidecar.model.session import Pane, Session
from tests.box import TmuxBox, eventually
from tests.decide.builders import pane as made_pane
from tests.decide.builders import session as made_session
from tests.door import open_door

STUBBORN = "trap '' INT TERM; while :; do sleep 0.1; done"
GOES_ON = "trap 'echo heard' INT; while :; do sleep 0.1; done"
ENDS_WELL = "trap 'exit 0' INT; while :; do sleep 0.1; done"


def finding(pane: str, pid: int, may: tuple[May, ...] = ()) -> Finding:
    failure = Failure("w", FailureKind.FROZEN, (Broken(Unit.PROGRAM, pane, pid),), 1.0)
    return Finding(failure, Cause.REPORTED, Intent.FAILURE, (), "w", may=may)


@pytest.mark.parametrize(
    ("may", "fits"),
    [
        ((), ()),
        ((May.INTERRUPT,), (Strategy.INTERRUPT_PROGRAM,)),
        ((May.RESPAWN,), (Strategy.RESPAWN_PANE,)),
        ((May.RESPAWN, May.INTERRUPT), (Strategy.INTERRUPT_PROGRAM, Strategy.RESPAWN_PANE)),
    ],
)
def test_only_what_the_rule_allows_is_done(may: tuple[May, ...], fits: tuple[Strategy, ...]) -> None:
    found = finding("%1", 5, may)
    assert permitted(found, fitting(found.failure, found.cause)) == fits


def test_a_running_program_is_interrupted_before_it_is_ended() -> None:
    session = made_session(made_pane(1, program=900), made_pane(2, command="sleep 9"))
    line = Resumption(0, 1, Entry.TYPED, "top", ("top",), "")
    for kind in (StepKind.INTERRUPT, StepKind.END):
        steps, expectation = firm_plan(finding("%1", 900), session, lambda window, pane: line, kind)
        assert [step.kind for step in steps] == [StepKind.SAVE, kind, StepKind.START_PROGRAM]
        assert (steps[1].pid, steps[2].unless) == (900, 900)
        assert set(expectation.untouched) == {("%1", 201), ("%2", 202)}
        steps, expectation = firm_plan(finding("%2", 202), session, lambda window, pane: None, kind)
        assert [step.kind for step in steps] == [StepKind.SAVE, kind, StepKind.RESPAWN_PANE]
        assert expectation.untouched == (("%1", 201),)
        assert expectation.replaced == ((("%2", 202),) if kind is StepKind.END else ())


@dataclass
class Bench:
    """One session with one pane, and the steps that are done to it."""

    tmux: TmuxBox

    def __post_init__(self) -> None:
        runner = TmuxRunner(TmuxSettings(socket_name=self.tmux.name, timeout=5.0), self.tmux.environment)
        self.door = open_door(self.tmux, runner)

    def begin(self, command: str) -> None:
        self.tmux.run("new-session", "-d", "-s", "w", "-x", "100", "-y", "40", command)
        self.tmux.run("set-option", "-w", "-t", "=w:", "remain-on-exit", "failed")

    async def seen(self) -> tuple[Session, Pane]:
        session = (await self.door.look()).find("w")
        assert session is not None
        return session, next(session.panes())

    async def does(self, kind: StepKind) -> int:
        """Do it to what is in front. Returns who that was."""
        surgery = await self.surgery(kind)
        for step in surgery.plan.steps[1:]:
            await STEPS[step.kind].do(surgery, step)
        return surgery.plan.steps[1].pid

    async def surgery(self, kind: StepKind) -> Surgery:
        session, pane = await self.seen()
        pid = pane.program.pid if pane.program else pane.pid
        found = finding(pane.id, pid)
        steps, expectation = firm_plan(found, session, comes_back, kind)
        plan = Plan("w", Strategy.INTERRUPT_PROGRAM, steps, expectation, found)
        host = SimpleNamespace(stopped=StoppedDoor(SystemClock()))
        unused = cast(Any, None)
        return Surgery(
            self.door, unused, cast(Any, host), unused, unused, SystemClock(),
            Case(found, session, Asker.WATCHER), plan,
        )  # fmt: skip

    def shows(self, text: str) -> None:
        eventually(lambda: text in self.tmux.run("capture-pane", "-p", "-t", "=w:"), text)

    def types(self, line: str) -> None:
        eventually(lambda: "bash" in self.tmux.run("capture-pane", "-p", "-t", "=w:"))
        self.tmux.run("send-keys", "-t", "=w:", line, "Enter")


def has_its_trap(pane: Pane) -> None:
    """Wait until what is in front has set its trap, which it does before it starts anything."""
    pid = pane.program.pid if pane.program else pane.pid
    eventually(Path(f"/proc/{pid}/task/{pid}/children").read_text, "the trap is set")


def comes_back(window: int, pane: Pane) -> Resumption | None:
    if pane.program is None:
        return None
    return Resumption(window, pane.index, Entry.TYPED, "sleep 811", ("sleep", "811"), "")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps_firm, "_GRACE", 1.0)
    monkeypatch.setattr(steps_firm, "_TERMINATION", 0.3)


@pytest.fixture
def bench(tmux: TmuxBox) -> Bench:
    return Bench(tmux)


async def test_a_program_that_ends_on_an_interrupt_is_started_again(bench: Bench) -> None:
    bench.begin("bash --norc")
    bench.types("sleep 810")
    eventually(lambda: bench.tmux.show("=w:", "#{pane_current_command}") == "sleep")
    before = (await bench.seen())[1]
    ended = await bench.does(StepKind.INTERRUPT)
    assert process.state(ended) is None
    eventually(lambda: bench.tmux.show("=w:", "#{pane_current_command}") == "sleep")
    after = (await bench.seen())[1]
    assert after.pid == before.pid
    assert after.program is not None
    assert after.program.argv == ("sleep", "811")


async def test_a_program_that_goes_on_after_an_interrupt_is_left_alone(bench: Bench) -> None:
    bench.begin("bash --norc")
    bench.types(f"bash -c '{GOES_ON.replace(chr(39), chr(34))}'")
    eventually(lambda: bench.tmux.run("list-panes", "-t", "=w:", "-F", "#{pane_current_command}") == "bash")
    async with asyncio.timeout(20):
        while (await bench.seen())[1].program is None:
            await asyncio.sleep(0)
    has_its_trap((await bench.seen())[1])
    pid = await bench.does(StepKind.INTERRUPT)
    bench.shows("heard")
    found = process.state(pid)
    assert found is not None
    assert "811" not in bench.tmux.run("capture-pane", "-p", "-t", "=w:")


@pytest.mark.parametrize("command", ["sleep 812", f"bash -c {ENDS_WELL!r}"])
async def test_a_pane_whose_command_ends_on_an_interrupt_is_respawned(bench: Bench, command: str) -> None:
    bench.begin(command)
    before = (await bench.seen())[1]
    if "trap" in command:
        has_its_trap(before)
    assert await bench.does(StepKind.INTERRUPT) == before.pid
    after = (await bench.seen())[1]
    assert (after.id, after.dead) == (before.id, False)
    assert after.pid != before.pid
    assert bench.tmux.show("=w:", "#{remain-on-exit}") == "failed"


async def test_an_interrupt_that_was_cut_off_leaves_no_pane_kept(bench: Bench) -> None:
    """The window keeps every pane while its command is interrupted, and the sidecar may end just then."""
    bench.begin("sleep 815")
    surgery = await bench.surgery(StepKind.INTERRUPT)
    bench.tmux.run("set-option", "-w", "-t", "=w:", "remain-on-exit", "on")
    os.kill(surgery.plan.steps[1].pid, signal.SIGINT)
    eventually(lambda: bench.tmux.show("=w:", "#{pane_dead}") == "1")
    surgery.progress.again = True
    await steps_firm.interrupt(surgery, surgery.plan.steps[1])
    assert bench.tmux.show("=w:", "#{remain-on-exit}") == "failed"


@pytest.mark.parametrize("wrapped", [True, False])
async def test_a_program_that_hears_nothing_is_ended_and_started_again(bench: Bench, wrapped: bool) -> None:
    bench.begin("bash --norc" if wrapped else f'bash -c "{STUBBORN}"')
    if wrapped:
        bench.types(f'bash -c "{STUBBORN}"')
        async with asyncio.timeout(20):
            while (await bench.seen())[1].program is None:
                await asyncio.sleep(0)
    before = (await bench.seen())[1]
    has_its_trap(before)
    pid = await bench.does(StepKind.INTERRUPT)
    assert process.state(pid) is not None
    assert await bench.does(StepKind.END) == pid
    assert process.state(pid) is None
    after = (await bench.seen())[1]
    assert (after.id, after.dead, after.pid == before.pid) == (before.id, False, wrapped)


async def test_closing_a_window_does_not_end_what_is_deaf_to_it(bench: Bench) -> None:
    """Why no window is built again for a program that runs: there would be two of them."""
    bench.begin(f'bash -c "{STUBBORN.replace("INT", "HUP INT")}"')
    bench.tmux.run("new-window", "-d", "-t", "=w:", "sleep 814")
    seen = (await bench.seen())[1]
    pid = seen.pid
    has_its_trap(seen)
    bench.tmux.run("kill-window", "-t", "=w:0")
    assert len((await bench.seen())[0].windows) == 1
    eventually(lambda: bench.tmux.run("list-windows", "-t", "=w:", "-F", "#{window_index}").split() == ["1"])
    assert process.state(pid) is not None
    os.kill(pid, signal.SIGKILL)


async def test_what_is_not_in_front_any_more_is_not_signalled(bench: Bench) -> None:
    bench.begin("bash --norc")
    bench.types("sleep 813 & jobs -p")
    [job] = eventually(lambda: [pid for pid in pids() if process.command_line(pid) == "sleep 813"])
    surgery = cast(Any, SimpleNamespace(host=SimpleNamespace(stopped=StoppedDoor(SystemClock()))))
    with pytest.raises(Permanent, match="does not have the terminal"):
        await steps_firm.end(surgery, Step(StepKind.END, "%0", job))
    found = process.state(job)
    assert found is not None


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]
