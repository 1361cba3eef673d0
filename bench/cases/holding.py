"""The longest time in one piece for which anything holds the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from bench.cases.looking import HUNDRED
from bench.idle import holds_beside_idle
from bench.line import Line, Plan, Sample, Unit
from bench.shapes import LARGE, LINES, fill, run_raw, running
from bench.stage import Workshop, servers, workshop
from sidecar.app import Sidecar
from sidecar.config import HttpSettings, Settings, TmuxSettings
from sidecar.serve import give_way, run_loop
from tests.box import TmuxBox, tmux_box

Holds = tuple[float, float]
"""Seconds that our loop was held, and an idle one beside it."""

_MOST = 0.005
_WORK = (f"first checkpoint of {LARGE} panes", f"rebuild of {LARGE} panes", "full look")
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

        async def saved() -> Holds:
            shops.append(closing.enter_context(workshop(tmux)))
            session = await shops[-1].session("web")
            return await holds_beside_idle(shops[-1].save(session))

        async def restored() -> Holds:
            tmux.run("kill-session", "-t", "=web")
            holds = await holds_beside_idle(shops[-1].restore("web"))
            await asyncio.to_thread(running, tmux, {"web": LARGE})
            return holds

        async def looked() -> Holds:
            return await holds_beside_idle(shops[-1].tmux.look())

        turns = [[await saved(), await restored(), await looked()] for _ in range(rounds + 1)]
    # The first turn does not count.
    return [_line(name, turns) for name, turns in zip(_WORK, zip(*turns[1:], strict=True), strict=True)]


async def _service(tmux: TmuxBox, rounds: int) -> Line:
    settings = Settings(tmux=TmuxSettings(socket_name=tmux.name), http=HttpSettings(listen=("127.0.0.1:0",)))
    sidecar = Sidecar(settings, tmux.folder / "state", environment=tmux.environment, log_level="error")
    await sidecar.start()
    try:
        async with asyncio.timeout(_ADOPTED_SECONDS):
            while sum(session.checkpoints > 0 for session in sidecar.status.sessions) < len(HUNDRED):
                await asyncio.sleep(0.1)
        turns = [await holds_beside_idle(asyncio.sleep(_SERVICE_SECONDS)) for _ in range(rounds)]
    finally:
        await sidecar.stop()
    return _line(f"service at rest, {len(HUNDRED)} sessions, {_SERVICE_SECONDS:g} s", turns)


def _line(name: str, turns: Sequence[Holds]) -> Line:
    figure, baseline = (Sample(tuple(values)) for values in zip(*turns, strict=True))
    limit = _MOST + baseline.median
    return Line(f"loop held: {name}", Unit.SECONDS, figure, baseline, "<= 5 ms over idle", limit)
