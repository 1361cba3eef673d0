"""One full look against the plainest command that tells the same."""

from __future__ import annotations

import subprocess

from bench.line import Line, Plan, against
from bench.measure import interleaved_async, timed, timed_async
from bench.shapes import Shape, run_raw
from bench.stage import open_doors
from sidecar.edges.tmux.snapshot import LOOK_FIELDS
from sidecar.model.session import Look, Presence
from sidecar.serve import run_loop
from tests.box import TmuxBox, tmux_box

HUNDRED = {f"s{number:03}": Shape(1, 3) for number in range(100)}
_FIELDS = (*(name for name in LOOK_FIELDS if name[0] != "@"), "pane_current_path", "pane_current_command")
_FORMAT = "\t".join(f"#{{{field}}}" for field in _FIELDS)
"""The facts that a look holds, the way a script asks for them: one flat line for each pane.

Our own options are left out; tmux's folder and command name stand for what a look takes from /proc.
"""


def look(plan: Plan) -> list[Line]:
    """Ours includes parsing it and completing it from /proc, the raw one ends with the bytes."""
    with tmux_box() as tmux:
        run_raw(tmux, HUNDRED)
        return run_loop(_measure(tmux, plan.of(40)))


async def _measure(tmux: TmuxBox, rounds: int) -> list[Line]:
    door = open_doors(tmux)

    async def ours() -> float:
        seen: list[Look] = []

        async def once() -> None:
            seen.append(await door.look())

        seconds = await timed_async(once())
        if seen[0].presence is not Presence.PRESENT or len(seen[0].sessions) != len(HUNDRED):
            raise RuntimeError(f"the look did not see everything: {seen[0].reason}")
        return seconds

    async def raw() -> float:
        return timed(lambda: _list_panes(tmux, _FORMAT))

    async def bare() -> float:
        return timed(lambda: _list_panes(tmux, "#{pane_id}"))

    figure, baseline, bare_one = await interleaved_async(rounds, ours, raw, bare)
    note = (
        f"baseline: list-panes -a with the same {len(_FIELDS)} fields; with the pane ids alone it takes "
        f"{bare_one.median * 1000:.1f} ms"
    )
    return [against("full look, 100 sessions, 300 panes", figure, baseline, 2, note=note)]


def _list_panes(tmux: TmuxBox, fields: str) -> None:
    argv = ["tmux", "-u", "-L", tmux.name, "list-panes", "-a", "-F", fields]
    subprocess.run(argv, env=tmux.environment, capture_output=True, timeout=20, check=True)
