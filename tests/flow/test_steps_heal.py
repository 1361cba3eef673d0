"""Steps that heal, on a real tmux: whom a target means, and what is told of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sidecar.clock import SystemClock
from sidecar.config import TmuxSettings
from sidecar.decide.heal_steps import heal_step
from sidecar.decide.targets import pane_of
from sidecar.edges import process
from sidecar.edges.stopped import StoppedDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.errors import Permanent, SidecarError, TmuxUnknown
from sidecar.flow.steps import STEPS
from sidecar.flow.surgery import Surgery
from sidecar.flow.ward import Case
from sidecar.model.heal import CommandHeal, Heal, PaneTarget, SignalHeal
from sidecar.model.incident import Asker, Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Expectation, Plan, Step, StepKind, Strategy
from tests.box import TmuxBox, eventually
from tests.decide.builders import pane, session
from tests.door import open_door
from tests.heals.bench import door

FINDING = Finding(
    Failure("web", FailureKind.UNHEALTHY, (Broken(Unit.SESSION),), 1.0),
    Cause.REPORTED,
    Intent.FAILURE,
    (Evidence("check", "it refuses"),),
    "check:api",
)


@dataclass
class Bench:
    """A real tmux, the real door, and one step."""

    tmux: TmuxBox
    folder: Path

    def surgery(self, step: Step, said: list[str]) -> Surgery:
        runner = TmuxRunner(TmuxSettings(socket_name=self.tmux.name, timeout=5.0), self.tmux.environment)
        host = SimpleNamespace(stopped=StoppedDoor(SystemClock()), healer=door(self.folder))
        plan = Plan("web", Strategy.HEAL_CHECK, (step,), Expectation(None), FINDING)
        unused = cast(Any, None)
        return Surgery(
            open_door(self.tmux, runner), unused, cast(Any, host), unused, unused, SystemClock(),
            Case(FINDING, None, Asker.WATCHER), plan, "trace-7", say=said.append,
        )  # fmt: skip

    async def shows(self, target: str, words: str) -> int:
        """Wait until the pane's own process runs what it is to run; its pid."""
        pid = int(self.tmux.show(f"={target}", "#{pane_pid}"))
        await asyncio.to_thread(eventually, lambda: process.command_line(pid) == words)
        return pid

    async def heal(self, heal: Heal) -> str:
        step, said = heal_step(heal, "api"), list[str]()
        surgery = self.surgery(step, said)
        await STEPS[step.kind].do(surgery, step)
        assert said == [surgery.progress.said]
        return said[0]


@pytest.fixture
def bench(tmux: TmuxBox, tmp_path: Path) -> Bench:
    return Bench(tmux, tmp_path)


async def test_the_program_in_front_of_a_shell_is_meant(bench: Bench) -> None:
    bench.tmux.run("new-session", "-d", "-s", "web", "-n", "main", "bash --norc")
    await bench.shows("web:main", "bash --norc")
    with pytest.raises(Permanent, match="no program runs in web:main"):
        await bench.heal(SignalHeal("TERM", PaneTarget("web", "main")))
    bench.tmux.run("send-keys", "-t", "=web:main", "sleep 1010", "Enter")
    eventually(lambda: bench.tmux.show("=web:main", "#{pane_current_command}") == "sleep")
    assert "(sleep 1010)" in await bench.heal(SignalHeal("TERM", PaneTarget("web", "main")))
    eventually(lambda: bench.tmux.show("=web:main", "#{pane_current_command}") == "bash")


async def test_the_own_command_of_a_pane_is_meant(bench: Bench) -> None:
    bench.tmux.run("new-session", "-d", "-s", "web", "sleep 1011")
    bench.tmux.run("set-option", "-w", "-t", "=web:", "remain-on-exit", "on")
    pid = await bench.shows("web:", "sleep 1011")
    assert f"to process {pid}" in await bench.heal(SignalHeal("TERM", PaneTarget("web", "0", 0)))
    eventually(lambda: bench.tmux.show("=web:", "#{pane_dead}") == "1")
    with pytest.raises(Permanent, match="no program runs"):
        await bench.heal(SignalHeal("TERM", PaneTarget("web", "0", 0)))


async def test_a_pane_that_went_with_its_program_by_an_attempt_that_was_cut_off(bench: Bench) -> None:
    bench.tmux.run("new-session", "-d", "-s", "web", "sleep 1013")
    bench.tmux.run("new-window", "-d", "-t", "=web:", "sleep 1014")
    pid = await bench.shows("web:0", "sleep 1013")
    heal = SignalHeal("TERM", PaneTarget("web", "0", 0))
    await bench.heal(heal)
    eventually(lambda: len(bench.tmux.panes("#{pane_id}")) == 1, "the end of the pane")
    step, said = heal_step(heal, "api"), list[str]()
    surgery = bench.surgery(step, said)
    surgery.progress.again = True
    await STEPS[step.kind].do(surgery, step)
    assert said == [f"process {pid} has ended, after SIGTERM was sent to it or before"]


@pytest.mark.parametrize("target", [("web", "0", 7), ("web", "other"), ("we", "0"), ("nobody", "0")])
async def test_a_pane_that_is_not_there(bench: Bench, target: Any) -> None:
    bench.tmux.run("new-session", "-d", "-s", "web", "sleep 1012")
    with pytest.raises(Permanent, match="there is no pane"):
        await bench.heal(SignalHeal("TERM", PaneTarget(*target)))


async def test_no_server_and_one_that_does_not_tell(bench: Bench) -> None:
    with pytest.raises(Permanent, match="there is no pane"):
        await bench.heal(SignalHeal("TERM", PaneTarget("web", "0")))
    bench.tmux.socket.parent.mkdir(exist_ok=True)
    bench.tmux.socket.parent.chmod(0o000)
    runner = TmuxRunner(TmuxSettings(socket_name=bench.tmux.name, timeout=5.0), {"PATH": "/nowhere"})
    step = heal_step(SignalHeal("TERM", PaneTarget("web", "0")), "api")
    surgery = bench.surgery(step, [])
    object.__setattr__(surgery, "tmux", open_door(bench.tmux, runner))
    with pytest.raises(SidecarError) as caught:
        await STEPS[step.kind].do(surgery, step)
    assert isinstance(caught.value, TmuxUnknown)


async def test_a_command_is_done_and_taken_back(bench: Bench) -> None:
    file = bench.folder / "file"
    heal = CommandHeal(("/bin/touch", str(file)), undo=("/bin/rm", str(file)))
    step, said = heal_step(heal, "api"), list[str]()
    assert step.kind is StepKind.HEAL_TRIAL
    surgery = bench.surgery(step, said)
    await STEPS[step.kind].do(surgery, step)
    assert file.exists()
    undo = STEPS[step.kind].undo
    assert undo is not None
    await undo(surgery, step)
    assert not file.exists()
    assert [words.split(" after")[0] for words in said] == ["/bin/touch ended with 0", "/bin/rm ended with 0"]


def test_only_what_can_be_taken_back_is_a_trial() -> None:
    assert heal_step(CommandHeal(("true",)), "api").kind is StepKind.HEAL
    assert heal_step(SignalHeal("HUP", PaneTarget("a", "0")), "api").kind is StepKind.HEAL


def test_a_window_by_its_index_before_its_name() -> None:
    one = session(pane(1), pane(2))
    (window,) = one.windows
    active = next(each for each in window.panes if each.active)
    assert pane_of(one, PaneTarget("web", str(window.index))) == active
    assert pane_of(one, PaneTarget("web", window.name)) == active
    assert pane_of(one, PaneTarget("web", window.name, window.panes[1].index)) == window.panes[1]
    assert pane_of(one, PaneTarget("web", window.name, 9)) is None
    assert pane_of(one, PaneTarget("web", "nothing")) is None
