"""Terminals that take nothing, on a real tmux: stopped by Ctrl-S, flooded, or looked at by a person."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from sidecar.config import SessionOverride, SessionSettings, Settings, TmuxSettings
from sidecar.decide.detect import Expected
from sidecar.edges.stopped import StoppedDoor, writable
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.flow.terminals import TerminalExaminer
from sidecar.flow.ward import Ward
from sidecar.model.incident import Cause, Finding, Unit
from tests.box import PATIENCE, TmuxBox, eventually
from tests.clocks import SetClock
from tests.door import open_door

AFTER = 600.0


@dataclass
class Bench:
    """The examiner over a session with one window for each case."""

    tmux: TmuxBox
    settings: Settings
    clock: SetClock = field(default_factory=SetClock)

    def __post_init__(self) -> None:
        runner = TmuxRunner(TmuxSettings(socket_name=self.tmux.name, timeout=5.0), self.tmux.environment)
        self.door = open_door(self.tmux, runner)
        self.stopped = StoppedDoor(self.clock)
        ward = Ward(self.settings)
        self.examiner = TerminalExaminer(ward, self.stopped, self.clock, lambda after=0.0: None)

    async def examine(self) -> list[Finding]:
        return list(await self.examiner.examine(await self.door.look(), {"w": Expected("w")}))

    def tty(self, name: str) -> str:
        return self.tmux.show(f"=w:{name}", "#{pane_tty}")

    def keys(self, name: str, *keys: str) -> None:
        self.tmux.run("send-keys", "-t", f"=w:{name}", *keys)

    def runs(self, name: str, line: str, command: str) -> None:
        self.keys(name, line, "Enter")
        eventually(lambda: self.tmux.show(f"=w:{name}", "#{pane_current_command}") == command, line)

    def stop(self, name: str) -> None:
        self.keys(name, "C-s")
        eventually(lambda: not writable(self.tty(name)), f"{name} is stopped")


def prompt(bench: Bench) -> None:
    bench.stop("prompt")


def printing(bench: Bench) -> None:
    bench.runs("printing", "yes no", "yes")
    bench.stop("printing")


def computing(bench: Bench) -> None:
    """It goes on by itself, and says nothing."""
    bench.runs("computing", "python3 -c 'while True: pass'", "python3")
    bench.stop("computing")


def beside(bench: Bench) -> None:
    """The other pane of its window prints all the time."""
    bench.tmux.run("split-window", "-d", "-t", "=w:beside", "while true; do date; sleep 0.1; done")
    bench.stop("beside")


def flood(bench: Bench) -> None:
    bench.runs("flood", "yes flood", "yes")
    eventually(lambda: not writable(bench.tty("flood")))


def flood_in_copy_mode(bench: Bench) -> None:
    bench.runs("copy", "yes copy", "yes")
    bench.tmux.run("copy-mode", "-t", "=w:copy")


def copy_mode(bench: Bench) -> None:
    bench.tmux.run("copy-mode", "-t", "=w:mode")


def released(bench: Bench) -> None:
    bench.stop("released")
    bench.keys("released", "C-q")
    eventually(lambda: writable(bench.tty("released")))


STOPPED: Mapping[str, Callable[[Bench], None]] = {
    "prompt": prompt,
    "printing": printing,
    "computing": computing,
    "beside": beside,
}
BUSY: Mapping[str, Callable[[Bench], None]] = {
    "flood": flood,
    "copy": flood_in_copy_mode,
    "mode": copy_mode,
    "released": released,
}


def set_up(tmux: TmuxBox, cases: Mapping[str, Callable[[Bench], None]], settings: Settings) -> Bench:
    tmux.run("new-session", "-d", "-s", "w", "-x", "100", "-y", "40", "-n", "rest", "bash --norc")
    bench = Bench(tmux, settings)
    for name, prepare in cases.items():
        tmux.run("new-window", "-d", "-t", "=w:", "-n", name, "bash --norc")
        eventually(lambda name=name: "bash" in tmux.run("capture-pane", "-p", "-t", f"=w:{name}"))
        prepare(bench)
    return bench


def ruled(after: float) -> Settings:
    return Settings(sessions=SessionSettings(unblock_terminal=after))


async def test_a_terminal_that_was_stopped_for_too_long_goes_on(tmux: TmuxBox) -> None:
    bench = set_up(tmux, STOPPED, ruled(AFTER))
    assert await bench.examine() == []
    bench.clock.now += AFTER - 1.0
    assert await bench.examine() == []
    bench.clock.now += 1.0
    [finding] = await bench.examine()
    assert (finding.cause, finding.failure.unit) == (Cause.TERMINAL_STOPPED, Unit.TERMINAL)
    panes = {name: bench.tmux.show(f"=w:{name}.0", "#{pane_id}") for name in STOPPED}
    assert {part.pane for part in finding.failure.broken} == set(panes.values())
    assert all("as after Ctrl-S; unblock_terminal allows 600 s" in fact.fact for fact in finding.evidence)
    assert await bench.examiner.still(finding, await bench.door.look())
    ttys = {part.pane: tmux.show(part.pane, "#{pane_tty}") for part in finding.failure.broken}
    for part in finding.failure.broken:
        assert not await bench.stopped.unblock(ttys[part.pane], os.getpid()), "it is not our terminal"
        assert await bench.stopped.unblock(ttys[part.pane], part.pid)
    async with asyncio.timeout(PATIENCE):
        while await bench.examiner.still(finding, await bench.door.look()):
            bench.clock.now += 0.1
    bench.keys("prompt", "echo on again", "Enter")
    eventually(lambda: "\non again" in tmux.run("capture-pane", "-p", "-t", "=w:prompt"))


def activity(tmux: TmuxBox) -> tuple[str, str]:
    """When the two floods last printed; tmux tells it in whole seconds."""
    return tmux.show("=w:flood", "#{window_activity}"), tmux.show("=w:copy", "#{window_activity}")


async def test_what_is_only_busy_or_looked_at_is_left_alone(tmux: TmuxBox) -> None:
    bench = set_up(tmux, BUSY, ruled(2.0))
    reader, terminal = pty.openpty()
    # A client that shows the flood, in a terminal that nobody reads.
    tmux.run("select-window", "-t", "=w:flood")
    attach = ["tmux", "-L", tmux.name, "attach", "-t", "=w"]
    client = subprocess.Popen(
        attach, stdin=terminal, stdout=terminal, stderr=terminal, env=tmux.environment | {"TERM": "xterm"},
        start_new_session=True,
    )  # fmt: skip
    try:
        eventually(lambda: tmux.show("=w:", "#{session_attached}") == "1")
        for _ in range(4):
            assert await bench.examine() == []
            printed = activity(tmux)
            eventually(
                lambda before=printed: all(map(str.__ne__, activity(tmux), before)), "more of both floods"
            )
            bench.clock.now += 60.0
    finally:
        client.kill()
        client.wait()
        os.close(reader)
        os.close(terminal)


@pytest.mark.parametrize("settings", [Settings(), Settings(sessions=SessionSettings(
    unblock_terminal=AFTER, overrides=MappingProxyType({"w": SessionOverride(unblock_terminal=0.0)})
))], ids=["by default", "by override"])  # fmt: skip
async def test_without_a_rule_it_is_the_business_of_who_has_stopped_it(
    tmux: TmuxBox, settings: Settings
) -> None:
    bench = set_up(tmux, {"prompt": prompt}, settings)
    assert await bench.examine() == []
    bench.clock.now += 86_400.0
    assert await bench.examine() == []
