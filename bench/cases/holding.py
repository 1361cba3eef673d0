"""The longest time in one piece for which anything holds the event loop."""

from __future__ import annotations

import asyncio
import contextlib

from bench.cases.looking import HUNDRED
from bench.idle import idle_hold_beside
from bench.line import Line, Plan, Sample, Unit
from bench.measure import interleaved_async, longest_hold
from bench.shapes import LARGE, LINES, fill, run_raw, running
from bench.stage import Workshop, servers, workshop
from sidecar.app import Sidecar, give_way, run_loop
from sidecar.config import HttpSettings, Settings, TmuxSettings
from tests.box import TmuxBox, tmux_box

_MOST = 0.005
_WORK_SECONDS = 0.3
"""For which an idle loop is felt beside a piece of work, which takes about as long."""
_SERVICE_SECONDS = 6.0
"""One full look at least falls into it."""
_ADOPTED_SECONDS = 60.0


def loop(plan: Plan) -> list[Line]:
    """Saving and restoring a large session, a look, and the service with 100 sessions in its care."""
    give_way()
    with servers() as (tmux, _):
        lines = run_loop(_work(tmux, plan.of(5)))
    with tmux_box() as tmux:
        run_raw(tmux, HUNDRED)
        return [*lines, run_loop(_service(tmux, plan.of(5)))]


async def _work(tmux: TmuxBox, rounds: int) -> list[Line]:
    run_raw(tmux, {"web": LARGE})
    fill(tmux, "web", LINES)
    with contextlib.ExitStack() as closing:
        shops: list[Workshop] = []

        async def saved() -> float:
            shops.append(closing.enter_context(workshop(tmux)))
            session = await shops[-1].session("web")
            return await longest_hold(shops[-1].save(session))

        async def restored() -> float:
            tmux.run("kill-session", "-t", "=web")
            seconds = await longest_hold(shops[-1].restore("web"))
            await asyncio.to_thread(running, tmux, {"web": LARGE})
            return seconds

        async def looked() -> float:
            return await longest_hold(shops[-1].tmux.look())

        async def idle() -> float:
            return await longest_hold(asyncio.sleep(_WORK_SECONDS))

        *figures, baseline = await interleaved_async(rounds, saved, restored, looked, idle)
    names = (f"first checkpoint of {LARGE} panes", f"rebuild of {LARGE} panes", "full look")
    return [_line(name, figure, baseline) for name, figure in zip(names, figures, strict=True)]


async def _service(tmux: TmuxBox, rounds: int) -> Line:
    settings = Settings(tmux=TmuxSettings(socket_name=tmux.name), http=HttpSettings(listen="127.0.0.1:0"))
    sidecar = Sidecar(settings, tmux.folder / "state", environment=tmux.environment, log_level="error")
    await sidecar.start()
    try:
        async with asyncio.timeout(_ADOPTED_SECONDS):
            while sum(session.checkpoints > 0 for session in sidecar.status.sessions) < len(HUNDRED):
                await asyncio.sleep(0.1)
        turns = [await _beside() for _ in range(rounds)]
    finally:
        await sidecar.stop()
    figure, baseline = (Sample(tuple(values)) for values in zip(*turns, strict=True))
    return _line(f"service at rest, {len(HUNDRED)} sessions, {_SERVICE_SECONDS:g} s", figure, baseline)


async def _beside() -> tuple[float, float]:
    """What the service's loop and an idle one feel at the same time."""
    idle = asyncio.create_task(idle_hold_beside(_SERVICE_SECONDS))
    held = await longest_hold(asyncio.sleep(_SERVICE_SECONDS))
    return held, await idle


def _line(name: str, figure: Sample, baseline: Sample) -> Line:
    limit = _MOST + baseline.median
    return Line(f"loop held: {name}", Unit.SECONDS, figure, baseline, "<= 5 ms over idle", limit)
