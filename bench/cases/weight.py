"""What the service weighs at 100 sessions: memory after an hour's worth of looks, CPU at rest.

The looks of an hour (one every 5 s) are had in minutes by ringing the service's own doorbell, at a
bounded pace. Every ring is answered by a new client that looks and then waits: one full look at least.
"""

from __future__ import annotations

import subprocess
import sys
import time

from bench.cases.looking import HUNDRED
from bench.line import Line, Plan, Sample, Unit
from bench.machine import Memory, children, command_line, cpu_seconds, memory
from bench.stage import Stage, stage
from sidecar.edges.tmux.doorbell import CHANNEL

_LOOKS = 720
_PAUSE = 0.05
"""Seconds between two questions whether a ring has been answered."""
_AGAIN_SECONDS = 2.0
"""A ring is lost when the service rings by itself before its new client waits: two cancel each other."""
_ANSWER_SECONDS = 20.0
_IDLE_SECONDS = 30.0
_MB = 1_000_000
_IMPORTS = "import sidecar.serve, sidecar.cli, sys; print('ready', flush=True); sys.stdin.read()"


def weight(plan: Plan) -> list[Line]:
    """``--rounds`` is the number of looks here."""
    with stage() as on:
        on.manage(HUNDRED)
        floor = _import_floor()
        began = memory(on.pid)
        looks = plan.of(_LOOKS)
        for _ in range(looks):
            _ring(on)
        after = memory(on.pid)
        helpers = sum(memory(pid).resident for pid in children(on.pid))
        on.settle()
        rehearsing, _ = _idle(on)
        on.end_rehearsals()
        on.settle()
        resting, server = _idle(on)
    return [*_memory_lines(looks, floor, began, after, helpers), *_cpu_lines(rehearsing, resting, server)]


def _memory_lines(looks: int, floor: Memory, began: Memory, after: Memory, helpers: int) -> list[Line]:
    def line(name: str, figure: float, target: str = "", limit: float | None = None, note: str = "") -> Line:
        return Line(name, Unit.BYTES, Sample((figure,)), None, target, limit, None, note)

    return [
        line(
            f"anonymous memory after {looks} looks", after.anonymous, "< 50 MB", 50 * _MB,
            note=f"{began.anonymous / _MB:.1f} MB before them",
        ),
        Line(
            f"resident memory after {looks} looks", Unit.BYTES, Sample((after.resident,)),
            Sample((floor.resident,)), "< floor + 15 MB", floor.resident + 15 * _MB,
            note="baseline: a Python process that has imported the same and does nothing",
        ),
        line("resident memory at its peak", after.peak),
        line("resident memory of helpers", helpers, note="the tmux client that waits for a ring"),
    ]  # fmt: skip


def _cpu_lines(rehearsing: float, resting: float, server: float) -> list[Line]:
    return [
        Line(
            f"CPU over {_IDLE_SECONDS:g} s while each is rehearsed for the first time", Unit.CORE,
            Sample((rehearsing,)), note="the throw-away servers included, as they are its children",
        ),
        Line(
            f"CPU over {_IDLE_SECONDS:g} s at rest", Unit.CORE, Sample((resting,)), None, "< 2 %", 0.02, None,
            note=f"its tmux clients included; the tmux server takes {server * 100:.1f} % to answer them",
        ),
    ]  # fmt: skip


def _import_floor() -> Memory:
    idle = subprocess.Popen(
        [sys.executable, "-c", _IMPORTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert idle.stdout is not None
        idle.stdout.readline()
        return memory(idle.pid)
    finally:
        idle.kill()
        idle.communicate()


def _ring(on: Stage) -> None:
    """Ring until another client waits for the next one."""
    waiting = _bells(on)
    deadline = time.monotonic() + _ANSWER_SECONDS
    while True:
        on.tmux.run("wait-for", "-S", CHANNEL)
        again = time.monotonic() + _AGAIN_SECONDS
        while time.monotonic() < again:
            if (now := _bells(on)) and not now & waiting:
                return
            time.sleep(_PAUSE)
        if again > deadline:
            raise TimeoutError(f"a ring was not answered within {_ANSWER_SECONDS:g} s")


def _bells(on: Stage) -> set[int]:
    """The client that waits for a ring; now and then one beside it that asks for settings, and soon ends."""
    return {pid for pid in children(on.pid) if "source-file" in command_line(pid)}


def _idle(on: Stage) -> tuple[float, float]:
    """Shares of a core that the service and the tmux server take when nothing happens."""
    pids = (on.pid, on.tmux.server_pid())
    before = [cpu_seconds(pid) for pid in pids]
    began = time.monotonic()
    time.sleep(_IDLE_SECONDS)
    took = time.monotonic() - began
    ours, server = ((cpu_seconds(pid) - was) / took for pid, was in zip(pids, before, strict=True))
    return ours, server
