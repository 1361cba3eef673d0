"""A stored session built again, beside a raw batch for the same shape, and beside tmuxp."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.line import Line, Plan, Unit, against
from bench.measure import interleaved, interleaved_async, timed
from bench.shapes import COMMAND, LARGE, LINES, SMALL, Shape, fill, run_raw, running
from bench.stage import Workshop, servers, workshop
from sidecar.app import run_loop
from tests.box import TmuxBox

_TMUXP_SECONDS = 60.0


def rebuild(plan: Plan) -> list[Line]:
    """From reading the newest checkpoint to every pane running its program."""
    lines = []
    for shape in (LARGE, SMALL):
        with servers() as (tmux, raw), workshop(tmux) as shop:
            lines += run_loop(_rebuild(shop, tmux, raw, shape, plan.of(9)))
    return lines


def tmuxp_load(plan: Plan) -> list[Line]:
    """``tmuxp load`` of the same shape, where tmuxp is installed."""
    program = shutil.which("tmuxp", path=str(Path(sys.executable).parent)) or shutil.which("tmuxp")
    if program is None:
        return []
    lines = []
    for shape in (LARGE, SMALL):
        with servers() as (tmux, raw):
            loaded = _and_closed(tmux, functools.partial(_load, program, tmux, shape))
            by_hand = _and_closed(raw, functools.partial(run_raw, raw, {"web": shape}))
            figure, baseline = interleaved(plan.of(3), loaded, by_hand)
        lines.append(Line(f"tmuxp load, {shape} panes", Unit.SECONDS, figure, baseline))
    return lines


async def _rebuild(shop: Workshop, tmux: TmuxBox, raw: TmuxBox, shape: Shape, rounds: int) -> list[Line]:
    for name in ("web", "log"):
        run_raw(tmux, {name: shape})
        if name == "log":
            fill(tmux, name, LINES)
        await shop.save(await shop.session(name))
        tmux.run("kill-session", "-t", f"={name}")

    def ours(name: str) -> Callable[[], Awaitable[float]]:
        async def once() -> float:
            began = time.perf_counter()
            await shop.restore(name)
            running(tmux, {name: shape})
            seconds = time.perf_counter() - began
            tmux.run("kill-session", "-t", f"={name}")
            return seconds

        return once

    by_hand = _and_closed(raw, functools.partial(run_raw, raw, {"web": shape}))

    async def raw_once() -> float:
        return by_hand()

    baseline, plain, full = await interleaved_async(rounds, raw_once, ours("web"), ours("log"))
    return [
        against(f"rebuild, {shape} panes", plain, baseline, 1.5),
        against(f"rebuild, {shape} panes with {LINES} lines each", full, baseline, 3),
    ]


def _and_closed(tmux: TmuxBox, build: Callable[[], None]) -> Callable[[], float]:
    """Times the building of a session, and closes it again."""

    def once() -> float:
        seconds = timed(build)
        tmux.run("kill-session", "-t", "=web")
        return seconds

    return once


def _load(program: str, tmux: TmuxBox, shape: Shape) -> None:
    windows = [
        {"window_name": f"w{window}", "layout": "tiled", "panes": [COMMAND] * shape.panes}
        for window in range(shape.windows)
    ]
    file = tmux.folder / "web.json"
    file.write_text(json.dumps({"session_name": "web", "windows": windows}))
    subprocess.run(
        [program, "load", "-d", "-y", "-L", tmux.name, str(file)],
        env=tmux.environment, cwd=tmux.folder, capture_output=True, timeout=_TMUXP_SECONDS, check=True,
    )  # fmt: skip
    running(tmux, {"web": shape})
