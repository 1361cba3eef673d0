"""What a checkpoint costs: the first one, one of nothing new, one of a few new lines."""

from __future__ import annotations

import asyncio
import contextlib

from bench.line import Line, Plan, Sample, Unit, against
from bench.measure import interleaved_async, timed, timed_async
from bench.shapes import LARGE, LINES, SMALL, Shape, fill, run_raw, source
from bench.stage import Workshop, servers, workshop
from sidecar.serve import run_loop
from tests.box import TmuxBox

_NEW_LINES = 20
_QUIET = 1.1


def checkpoint(plan: Plan) -> list[Line]:
    """``Checkpointer.save``, from a look to the commit, beside one client that captures the same."""
    lines = []
    with servers() as (tmux, _):
        first, unchanged, grown, baseline = run_loop(_turns(tmux, LARGE, plan.of(7)))
        said = f"{LARGE} panes with {LINES} lines each"
        lines += [
            against(f"first checkpoint, {said}", first, baseline, 1.5),
            against("the next one, nothing changed", unchanged, baseline, 0.1),
            against(f"the next one, {_NEW_LINES} new lines in each pane", grown, baseline, 0.3),
        ]
    with servers() as (tmux, _):
        first, _, _, baseline = run_loop(_turns(tmux, SMALL, plan.of(9)))
        name = f"first checkpoint, {SMALL} panes with {LINES} lines each"
        lines.append(Line(name, Unit.SECONDS, first, baseline, "< 100 ms", 0.1))
    return lines


async def _turns(tmux: TmuxBox, shape: Shape, rounds: int) -> tuple[Sample, ...]:
    run_raw(tmux, {"web": shape})
    fill(tmux, "web", LINES)
    shops: list[Workshop] = []

    async def save(after_new_lines: int = 0) -> float:
        if after_new_lines:
            fill(tmux, "web", after_new_lines)
        session = await shops[-1].session("web")
        return await timed_async(shops[-1].save(session))

    async def first() -> float:
        # As with an interval, the last output lies some seconds back.
        await asyncio.sleep(_QUIET)
        # Doors, checkpointer and store are new: none of them knows the session.
        shops.append(closing.enter_context(workshop(tmux)))
        return await save()

    async def unchanged() -> float:
        return await save()

    async def grown() -> float:
        return await save(_NEW_LINES)

    async def raw() -> float:
        script = _capture_script(tmux)
        return timed(lambda: source(tmux, script))

    with contextlib.ExitStack() as closing:
        return await interleaved_async(rounds, first, unchanged, grown, raw)


def _capture_script(tmux: TmuxBox) -> bytes:
    """All the text, for one client."""
    panes = [line.split() for line in tmux.panes("#{session_name} #{pane_id}")]
    lines = [f"capture-pane -p -e -S -{LINES} -t {pane}" for name, pane in panes if name == "web"]
    return "\n".join([*lines, ""]).encode()
