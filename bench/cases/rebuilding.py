"""A stored session built again, beside a raw batch for the same shape, and beside tmuxp."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.line import Line, Plan, Sample, Unit, against
from bench.measure import interleaved, interleaved_async, timed
from bench.shapes import COMMAND, LARGE, LINES, SMALL, Shape, fill, run_raw, running, shows
from bench.stage import servers, start_anew, workshop
from sidecar.serve import run_loop
from tests.box import TmuxBox

_TMUXP_SECONDS = 60.0


def rebuild(plan: Plan) -> list[Line]:
    """From reading the newest checkpoint to every pane running its program."""
    lines = []
    for shape in (LARGE, SMALL):
        baseline, figure = run_loop(_rebuild(shape, 0, plan.of(9)))
        lines.append(against(f"rebuild, {shape} panes", figure, baseline, 1.5))
        baseline, figure = run_loop(_rebuild(shape, LINES, plan.of(9)))
        name = f"rebuild, {shape} panes with {LINES} lines each"
        lines.append(against(name, figure, baseline, 3, note="baseline: the raw batch without the lines"))
    return lines


def tmuxp_load(plan: Plan) -> list[Line]:
    """``tmuxp load`` of the same shape, where tmuxp is installed."""
    program = shutil.which("tmuxp", path=str(Path(sys.executable).parent)) or shutil.which("tmuxp")
    if program is None:
        return []
    lines = []
    for shape in (LARGE, SMALL):
        with servers() as (tmux, raw):
            loaded = _in_new_server(tmux, functools.partial(_load, program, tmux, shape))
            by_hand = _in_new_server(raw, functools.partial(run_raw, raw, {"web": shape}))
            figure, baseline = interleaved(plan.of(3), loaded, by_hand)
        lines.append(Line(f"tmuxp load, {shape} panes", Unit.SECONDS, figure, baseline))
    return lines


async def _rebuild(shape: Shape, lines: int, rounds: int) -> tuple[Sample, ...]:
    """The raw batch, and ours with so many lines of old text in every pane; each in a new server."""
    wanted = {"web": shape}
    with servers() as (tmux, raw), workshop(tmux) as shop:
        run_raw(tmux, wanted)
        fill(tmux, "web", lines)
        await shop.save(await shop.session("web"))

        build_raw = _in_new_server(raw, functools.partial(run_raw, raw, wanted))

        async def by_hand() -> float:
            return build_raw()

        async def ours() -> float:
            start_anew(tmux)
            began = time.perf_counter()
            await shop.restore("web")
            running(tmux, wanted)
            return time.perf_counter() - began

        measured = await interleaved_async(rounds, by_hand, ours)
        shows(tmux, "web", lines)
        return measured


def _in_new_server(tmux: TmuxBox, build: Callable[[], None]) -> Callable[[], float]:
    def once() -> float:
        start_anew(tmux)
        return timed(build)

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
