"""A thousand alerts at once, and fifty sessions that come back at once: does the service stay awake?"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.idle import felt_beside_idle
from bench.line import Line, Plan, Sample, Unit
from bench.machine import cpu_seconds
from bench.measure import lags, quantile
from bench.shapes import Shape, run_raw
from bench.stage import stage
from sidecar.app import Sidecar
from sidecar.config import HttpSettings, RecoverySettings, Settings, TmuxSettings
from sidecar.model.policy import Budget
from sidecar.serve import give_way, run_loop
from tests.box import TmuxBox, tmux_box

_FIFTY = {f"s{number:02}": Shape(1, 1) for number in range(50)}
_BROKEN = tuple(_FIFTY)[:12]
_ALERTS = 1_000
_CALLS = 100
_REQUESTS = 100
_ENOUGH = Budget(10_000, 600.0)
_PATIENCE = 90.0
_WINDOW = 10.0
_STEP = 0.25
_SEED = 20260101
_MOST = 0.05

Answers = list[tuple[str, int, float]]


def storm(plan: Plan) -> list[Line]:
    """Alerts for whole, broken and unknown sessions; how long the loop is late, and answers take."""
    give_way()
    turns = []
    for number in range(plan.of(3)):
        with tmux_box() as tmux:
            run_raw(tmux, _FIFTY)
            turns.append(run_loop(_turn(tmux, random.Random(_SEED + number))))
    late, idle, alerts, requests, ends = (Sample(column) for column in zip(*turns, strict=True))
    name = f"storm of {_ALERTS} alerts for {len(_FIFTY)} sessions"
    return [
        Line(f"{name}: loop lag, p99", Unit.SECONDS, late, idle, "<= 50 ms", _MOST),
        Line(f"{name}: answer to POST /alerts, p99", Unit.SECONDS, alerts, None, "<= 1 s", 1.0),
        Line(f"{name}: answer to POST /recover, p99", Unit.SECONDS, requests, None, "<= 5 s", 5.0,
            note="who asks for a broken session is answered when its recovery has begun"),
        Line(
            f"{name}: until the last is settled", Unit.SECONDS, ends,
            note=f"{len(_BROKEN)} of the sessions are broken and come back meanwhile",
        ),
    ]  # fmt: skip


def recovering(plan: Plan) -> list[Line]:
    """``kill -9`` of the server with all its sessions: the busiest ten seconds from there on."""
    with stage() as on:
        on.manage(_FIFTY)
        busiest = []
        for _ in range(plan.of(3)):
            os.kill(on.tmux.server_pid(), signal.SIGKILL)
            busiest.append(_busiest(on.pid))
            on.recovered(len(_FIFTY))
            on.settle()
    name = f"CPU while {len(_FIFTY)} sessions come back, busiest {_WINDOW:g} s"
    note = "its tmux clients included"
    return [Line(name, Unit.CORE, Sample(tuple(busiest)), None, "< 50 %", 0.5, note=note)]


def _busiest(pid: int) -> float:
    """The highest share of a core in any window that ends within two windows from now."""
    seen = [(time.monotonic(), cpu_seconds(pid))]
    while seen[-1][0] - seen[0][0] < 2 * _WINDOW:
        time.sleep(_STEP)
        seen.append((time.monotonic(), cpu_seconds(pid)))
    return max(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for place, earlier in enumerate(seen)
        for later in seen[place:]
        if abs(later[0] - earlier[0] - _WINDOW) < _STEP
    )


async def _turn(tmux: TmuxBox, dice: random.Random) -> tuple[float, float, float, float, float]:
    """Our loop's lag and an idle one's, answers to both kinds of calls (p99 each), time to the last end."""
    recovery = RecoverySettings(per_session=_ENOUGH, overall=_ENOUGH)
    settings = Settings(
        tmux=TmuxSettings(socket_name=tmux.name),
        http=HttpSettings(listen=("127.0.0.1:0",)),
        recovery=recovery,
    )
    sidecar = Sidecar(settings, tmux.folder / "state", environment=tmux.environment, log_level="error")
    await sidecar.start()
    try:
        await _until(lambda: sum(one.checkpoints > 0 for one in sidecar.status.sessions) >= len(_FIFTY))
        pids = dict(
            line.split() for line in await asyncio.to_thread(tmux.panes, "#{session_name} #{pane_pid}")
        )
        for name in _BROKEN:
            os.kill(int(pids[name]), signal.SIGKILL)
        answers: Answers = []
        began = time.perf_counter()
        ours, idle = await felt_beside_idle(_weather(sidecar, dice, answers))
        took = time.perf_counter() - began
    finally:
        await sidecar.stop()
    if bad := sorted({status for _, status, _ in answers if status >= 500}):
        raise RuntimeError(f"answers with {bad}")
    late, idly = (quantile(lags(holds), 0.99) for holds in (ours, idle))
    return late, idly, _p99(answers, "/alerts"), _p99(answers, "/recover"), took


async def _weather(sidecar: Sidecar, dice: random.Random, answers: Answers) -> None:
    """Send everything, and wait until all is settled."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.shower", f"http://{sidecar.address}", sidecar.token,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    try:
        output, _ = await process.communicate(json.dumps(_calls(dice)).encode())
    except BaseException:
        process.kill()
        await process.wait()
        raise
    answers.extend((path, status, seconds) for path, status, seconds in json.loads(output))
    await _until(lambda: sidecar.desk.pending_alerts == 0)


def _calls(dice: random.Random) -> list[tuple[str, Any]]:
    alerts = [_alert(number, dice) for number in range(_ALERTS)]
    calls: list[tuple[str, Any]] = [("/alerts", _group(alerts[place::_CALLS])) for place in range(_CALLS)]
    calls += [("/recover", {"session": dice.choice([*_FIFTY])}) for _ in range(_REQUESTS)]
    dice.shuffle(calls)
    return calls


def _alert(number: int, dice: random.Random) -> dict[str, Any]:
    session = dice.choice([*_FIFTY, *_BROKEN, "nobody"])
    return {
        "status": dice.choice(["firing"] * 9 + ["resolved"]),
        "labels": {"alertname": f"A{number}", "session": session}, "annotations": {},
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
        "fingerprint": f"{dice.randrange(_ALERTS):016x}",
    }  # fmt: skip


def _group(alerts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"version": "4", "groupKey": "k", "status": "firing", "receiver": "sidecar", "alerts": alerts}


def _p99(answers: Answers, path: str) -> float:
    return quantile([seconds for called, _, seconds in answers if called == path], 0.99)


async def _until(question: Any) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not question():
            await asyncio.sleep(0.05)
