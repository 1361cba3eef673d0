"""Programs that were stopped, on a real tmux: from outside, or by the shell whose business it is."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sidecar.config import TmuxSettings
from sidecar.decide.detect import Expected
from sidecar.edges import process
from sidecar.edges.stopped import StoppedDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.flow.suspended import ProgramExaminer
from sidecar.model.incident import Cause, FailureKind, Unit
from sidecar.model.running import ProcessState, Running
from tests.box import TmuxBox, eventually
from tests.clocks import SetClock
from tests.door import open_door

_ATTACH, _DETACH = 16, 17
"""Requests of ptrace(2)."""
_PTRACE = ctypes.CDLL(None, use_errno=True).ptrace


@dataclass
class Window:
    """One case: a pane, who is in front of it, and what is done to that."""

    tmux: TmuxBox
    name: str

    @property
    def pane(self) -> str:
        return self.tmux.show(f"=w:{self.name}", "#{pane_id}")

    @property
    def own(self) -> int:
        return int(self.tmux.show(f"=w:{self.name}", "#{pane_pid}"))

    def front(self) -> ProcessState | None:
        """The leader of the group that has the terminal."""
        own = process.state(self.own)
        return process.state(own.front) if own else None

    def keys(self, *keys: str) -> None:
        self.tmux.run("send-keys", "-t", f"=w:{self.name}", *keys)

    def enters(self, line: str) -> ProcessState:
        """Type a line and wait for its program to come to the front."""
        self.back()
        return self.brings(line)

    def brings(self, line: str) -> ProcessState:
        shell = process.command_line(self.own)
        self.keys(line, "Enter")

        def runs() -> ProcessState | None:
            # Between fork and exec it is still a shell, and deaf to Ctrl-Z.
            now = self.front()
            return now if now and now.pid != self.own and process.command_line(now.pid) != shell else None

        found: ProcessState = eventually(runs, line)
        return found

    def back(self) -> None:
        """Wait until the pane's own process has the terminal and waits for input."""

        def waits() -> bool:
            state = self.front()
            return state is not None and state.pid == self.own and state.running is Running.SLEEPING

        eventually(waits, f"the shell of {self.name}")

    def shows(self, text: str) -> None:
        eventually(lambda: text in self.screen(), f"{text} in {self.name}")

    def screen(self) -> str:
        return self.tmux.run("capture-pane", "-p", "-t", f"=w:{self.name}")


def find(wanted: Callable[[ProcessState], bool], command: str) -> ProcessState | None:
    states = (process.state(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return next((s for s in states if s and wanted(s) and process.command_line(s.pid) == command), None)


def member(window: Window, command: str) -> ProcessState | None:
    """The process of this command in the group that has the window's terminal."""
    front = window.front()
    return find(lambda state: front is not None and state.group == front.pid, command)


def background(window: Window, command: str) -> ProcessState | None:
    """The process of this command in the window, whichever group has its terminal."""
    own = window.own
    return find(lambda state: state.session == own, command)


def stop(state: ProcessState) -> None:
    """From outside, this process alone."""
    os.kill(state.pid, signal.SIGSTOP)
    eventually(lambda: (now := process.state(state.pid)) is not None and now.running is Running.STOPPED)


def stopped_program(window: Window) -> None:
    """Its shell sees that, takes the terminal back and has it among its jobs, as with Ctrl-Z."""
    state = window.enters("sleep 701")
    os.killpg(state.group, signal.SIGSTOP)
    window.shows("Stopped")
    window.back()


def stopped_own_command(window: Window) -> None:
    """tmux lets its own children go on by itself."""
    os.kill(window.own, signal.SIGSTOP)
    eventually(lambda: not (process.state(window.own) or pytest.fail("gone")).stopped)


def stopped_in_wrapper(window: Window) -> None:
    window.enters("sh -c 'sleep 702; true'")
    stop(eventually(lambda: member(window, "sleep 702")))


def stopped_without_jobs(window: Window) -> None:
    window.back()
    window.keys("set +m", "Enter")
    window.keys("sleep 703 | cat", "Enter")
    stop(eventually(lambda: member(window, "sleep 703")))


def stopped_in_own_wrapper(window: Window) -> None:
    stop(eventually(lambda: member(window, "sleep 699")))


def suspended_by_key(window: Window) -> None:
    window.enters("sleep 704")
    window.keys("C-z")
    window.shows("Stopped")
    window.back()


def suspended_and_again_in_front(window: Window) -> None:
    suspended_by_key(window)
    window.brings("fg")


def suspended_pipeline(window: Window) -> None:
    window.enters("sleep 705 | cat")
    window.keys("C-z")
    window.shows("Stopped")
    window.back()


def suspended_editor(window: Window) -> None:
    """A program that takes the key itself, puts the terminal in order and then stops its whole group."""
    program = window.tmux.folder / "editor.py"
    program.write_text(
        "import os, signal, sys, termios, tty\n"
        "old = termios.tcgetattr(0); tty.setraw(0); print('ready', flush=True)\n"
        "while os.read(0, 1) != b'\\x1a': pass\n"
        "termios.tcsetattr(0, termios.TCSADRAIN, old); os.kill(0, signal.SIGTSTP); os.read(0, 1)\n"
    )
    window.enters(f"python3 {program}")
    window.shows("ready")
    window.keys("C-z")
    window.shows("Stopped")
    window.back()


def in_the_background(window: Window) -> None:
    window.back()
    window.keys("sleep 706 &", "Enter")
    window.back()


def reader_in_the_background(window: Window) -> None:
    window.back()
    window.keys("cat &", "Enter")
    eventually(lambda: (state := background(window, "cat")) and state.stopped)
    window.back()


def stopped_in_the_background(window: Window) -> None:
    window.back()
    window.keys("sleep 707 &", "Enter")
    stop(eventually(lambda: background(window, "sleep 707")))
    window.back()


def stopped_job_of_a_script(window: Window) -> None:
    script = window.tmux.folder / "jobs.sh"
    script.write_text("set -m\nsleep 708 &\nkill -STOP $!\nsleep 0.1\njobs\nread -r line\n")
    window.enters(f"bash {script}")
    window.shows("Stopped")


def waits_for_input(window: Window) -> None:
    window.enters("cat")


def in_a_debugger(window: Window) -> None:
    state = window.enters("sleep 709")
    assert _PTRACE(_ATTACH, state.pid, None, None) == 0
    os.waitpid(state.pid, 0x40000000)


INJURED: dict[str, Callable[[Window], None]] = {
    "wrapper": stopped_in_wrapper,
    "jobless": stopped_without_jobs,
    "wrapped": stopped_in_own_wrapper,
}
COMMANDS = {"own": "sleep 700", "wrapped": "sh -c 'sleep 699; true'"}
"""What the panes run that have no shell of a person."""
HEALTHY: dict[str, Callable[[Window], None]] = {
    "own": stopped_own_command,
    "program": stopped_program,
    "key": suspended_by_key,
    "fg": suspended_and_again_in_front,
    "piped": suspended_pipeline,
    "editor": suspended_editor,
    "background": in_the_background,
    "reader": reader_in_the_background,
    "job": stopped_in_the_background,
    "script": stopped_job_of_a_script,
    "input": waits_for_input,
    "debugger": in_a_debugger,
}


@dataclass
class Bench:
    """A session with a window for each case, and the examiner that looks at it."""

    tmux: TmuxBox
    windows: dict[str, Window]

    def __post_init__(self) -> None:
        runner = TmuxRunner(TmuxSettings(socket_name=self.tmux.name, timeout=5.0), self.tmux.environment)
        self.door = open_door(self.tmux, runner)
        self.clock = SetClock()
        self.stopped = StoppedDoor(self.clock)
        self.asked: list[float] = []
        self.examiner = ProgramExaminer(self.stopped, self.clock, lambda after=0.0: self.asked.append(after))
        self.free = {"w": Expected("w")}


def set_up(tmux: TmuxBox, cases: dict[str, Callable[[Window], None]]) -> Bench:
    tmux.run("new-session", "-d", "-s", "w", "-x", "100", "-y", "40", "-n", "rest", "bash --norc")
    windows = {}
    for name in cases:
        tmux.run("new-window", "-d", "-t", "=w:", "-n", name, COMMANDS.get(name, "bash --norc"))
        windows[name] = Window(tmux, name)
    for name, injure in cases.items():
        injure(windows[name])
    return Bench(tmux, windows)


async def test_what_was_stopped_from_outside_is_found_and_goes_on(tmux: TmuxBox) -> None:
    bench = set_up(tmux, INJURED)
    assert not await bench.examiner.examine(await bench.door.look(), bench.free)
    assert bench.asked, "a second look is asked for"
    bench.clock.now += max(bench.asked)
    look = await bench.door.look()
    [finding] = await bench.examiner.examine(look, bench.free)
    assert (finding.cause, finding.failure.kind) == (Cause.PROCESS_SUSPENDED, FailureKind.FROZEN)
    assert finding.failure.unit is Unit.PROGRAM
    assert {part.pane for part in finding.failure.broken} == {one.pane for one in bench.windows.values()}
    assert all("no shell has stopped it" in fact.fact for fact in finding.evidence)
    assert await bench.examiner.still(finding, look)
    for part in finding.failure.broken:
        assert await bench.stopped.let_go_on(part.pid, part.started)
    look = await bench.door.look()
    assert not await bench.examiner.still(finding, look)
    assert not await bench.examiner.examine(look, bench.free), "what was known from before is not said again"


async def test_what_a_shell_or_a_debugger_has_stopped_is_left_alone(tmux: TmuxBox) -> None:
    bench = set_up(tmux, HEALTHY)
    for _ in range(3):
        assert not await bench.examiner.examine(await bench.door.look(), bench.free)
        bench.clock.now += 60.0
    assert bench.asked == []
    debugged = bench.windows["debugger"].front()
    assert debugged is not None
    assert debugged.running is Running.TRACED
    assert _PTRACE(_DETACH, debugged.pid, None, None) == 0
