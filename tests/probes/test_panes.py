"""Panes of a real tmux server: there, gone, dead, silent, and what they show."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sidecar.clock import SystemClock
from sidecar.config import TmuxSettings
from sidecar.edges.probes import panes as door
from sidecar.edges.probes.panes import Panes
from sidecar.edges.probes.prober import Prober
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.model.heal import PaneTarget
from sidecar.model.probe import FAULTS, ProbeFault, ProbeKind, ProbeResult
from sidecar.model.probe_tended import PaneProbe
from tests.box import TmuxBox

CLOCK = SystemClock()


@pytest.fixture
async def prober(tmux: TmuxBox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Prober]:
    monkeypatch.setattr(door, "_FRESH", 0.0)
    runner = TmuxRunner(TmuxSettings(socket_path=str(tmux.socket)), tmux.environment)
    one = Prober(CLOCK, panes=Panes(runner, CLOCK))
    yield one
    await one.close()


async def ask(prober: Prober, target: PaneTarget, seconds: float = 10.0, **facts: Any) -> ProbeResult:
    result = await prober.probe(PaneProbe(target, **facts), seconds, {})
    assert result.fault is None or result.fault in FAULTS[ProbeKind.PANE]
    return result


async def until(prober: Prober, target: PaneTarget, fault: ProbeFault | None, **facts: Any) -> ProbeResult:
    async with asyncio.timeout(20):
        while (result := await ask(prober, target, **facts)).fault is not fault:
            await asyncio.sleep(0.02)
    return result


async def test_what_is_on_the_screen(tmux: TmuxBox, prober: Prober) -> None:
    program = "clear; printf 'first\\nready in %s ms' 12; sleep 1001"
    tmux.run("new-session", "-d", "-s", "web", "-n", "dev", "-x", "20", "-y", "5", "sh", "-c", program)
    target = PaneTarget("web", "dev", 0)
    good = await until(prober, target, None, match=r"ready in \d+ ms", no_match="error")
    assert (
        good.fact
        == r"'ready in \\d+ ms' is in the screen of web:dev.0, 'error' is not in the screen of web:dev.0"
    )
    bad = await ask(prober, target, no_match="first")
    assert (bad.fault, bad.fact) == (ProbeFault.TEXT_MISMATCH, "'first' is in the screen of web:dev.0")
    assert (await ask(prober, PaneTarget("web", "0"), match="first")).fault is None
    # One line, though tmux has wrapped it.
    tmux.run("respawn-pane", "-k", "-t", "=web:", "sh", "-c", f"echo {'a' * 15}{'b' * 15}; sleep 1001")
    await until(prober, target, None, match="a{15}b{15}")


@pytest.mark.parametrize(
    "target",
    [
        PaneTarget("we", "dev", 0),
        PaneTarget("web", "de", 0),
        PaneTarget("web", "1", 0),
        PaneTarget("web", "dev", 1),
        PaneTarget("we*", "dev"),
    ],
    ids=str,
)
async def test_what_is_not_there(tmux: TmuxBox, prober: Prober, target: PaneTarget) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-n", "dev", "sleep", "1001")
    result = await ask(prober, target)
    assert (result.fault, result.fact) == (ProbeFault.NO_PANE, f"there is no pane {target}")


async def test_the_index_comes_before_the_name(tmux: TmuxBox, prober: Prober) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-n", "1", "sleep", "1001")
    tmux.run("new-window", "-t", "=web:1", "-n", "other", "sh", "-c", "echo second; sleep 1001")
    await until(prober, PaneTarget("web", "1"), None, match="second")


async def test_no_server(prober: Prober) -> None:
    result = await ask(prober, PaneTarget("web", "dev"))
    assert (result.fault, result.fact.startswith("there is no tmux server")) == (ProbeFault.NO_PANE, True)


async def test_a_dead_pane(tmux: TmuxBox, prober: Prober) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep", "1001")
    tmux.run("set-option", "-g", "remain-on-exit", "on")
    tmux.run("respawn-pane", "-k", "-t", "=web:", "true")
    result = await until(prober, PaneTarget("web", "0", 0), ProbeFault.BAD_STATE)
    assert result.fact == "the pane web:0.0 is dead"


async def test_silence(tmux: TmuxBox, prober: Prober) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep", "1001")
    target = PaneTarget("web", "0")
    assert (await ask(prober, target, silent=3600.0)).fault is None
    past = time.time() - 900
    os.utime(tmux.show("=web:", "#{pane_tty}"), (past, past))
    result = await ask(prober, target, silent=600.0)
    assert result.fault is ProbeFault.TOO_OLD
    assert result.fact.startswith("the pane web:0 has printed nothing for 14.")
    assert result.fact.endswith("min; the limit is 10.0 min")


async def test_a_server_that_does_not_answer_is_unknown(tmux: TmuxBox, prober: Prober) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep", "1001")
    server = tmux.server_pid()
    os.kill(server, signal.SIGSTOP)
    try:
        result = await ask(prober, PaneTarget("web", "0"), 0.2)
    finally:
        os.kill(server, signal.SIGCONT)
    assert result.fault is ProbeFault.NOT_MEASURED
    assert result.took < 5.0


async def test_one_list_serves_all(tmux: TmuxBox, prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep", "1001")
    monkeypatch.setattr(door, "_FRESH", 60.0)
    await ask(prober, PaneTarget("web", "0"))
    monkeypatch.setattr(TmuxRunner, "call", None)
    results = await asyncio.gather(*(ask(prober, PaneTarget("web", "0")) for _ in range(50)))
    assert {one.fault for one in results} == {None}


async def test_where_no_server_is_looked_after() -> None:
    result = await ask(Prober(CLOCK), PaneTarget("web", "0"))
    assert result.fault is ProbeFault.NOT_MEASURED
