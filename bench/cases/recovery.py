"""The main job on the real service: from the first bad sign to verified, beside the raw commands.

The service's own account is taken (``seconds`` of its log line ``recovery_ended``), since asking
it over HTTP in the meantime would slow it down; the raw commands are timed from outside.
"""

from __future__ import annotations

import os
import select
import signal

from bench.line import Line, Plan, Sample, Unit, against
from bench.measure import interleaved, timed, wait_for
from bench.shapes import LINES, PROGRAM, SMALL, run_raw
from bench.stage import stage
from tests.box import TmuxBox

_FIVE = {f"web{number}": SMALL for number in range(5)}


def kill_session(plan: Plan) -> list[Line]:
    """``tmux kill-session`` of a session that is always to be there."""
    baseline, figure = _closed_and_back(plan.of(9), lines=0)
    return [against(f"kill-session, {SMALL} panes", figure, baseline, 4, goal=1.0)]


def restore(plan: Plan) -> list[Line]:
    """The same with old text in every pane."""
    baseline, figure = _closed_and_back(plan.of(7), lines=LINES)
    name = f"kill-session, {SMALL} panes with {LINES} lines each"
    return [Line(name, Unit.SECONDS, figure, baseline, "< 500 ms", 0.5)]


def _closed_and_back(rounds: int, lines: int) -> tuple[Sample, ...]:
    with stage() as on:
        on.manage({"web": SMALL}, lines)

        def raw() -> float:
            seconds = timed(lambda: run_raw(on.raw, {"web": SMALL}))
            on.raw.run("kill-session", "-t", "=web")
            return seconds

        def ours() -> float:
            on.tmux.run("kill-session", "-t", "=web")
            (seconds,) = on.recovered(1)
            on.settle()
            return seconds

        return interleaved(rounds, raw, ours)


def kill_server(plan: Plan) -> list[Line]:
    """``kill -9`` of the server: to the last of its five sessions."""
    with stage() as on:
        on.manage(_FIVE)

        def raw() -> float:
            _kill_and_reap(on.raw.server_pid())
            return timed(lambda: run_raw(on.raw, _FIVE))

        def ours() -> float:
            os.kill(on.tmux.server_pid(), signal.SIGKILL)
            seconds = max(on.recovered(len(_FIVE)))
            on.settle()
            return seconds

        baseline, figure = interleaved(plan.of(7), raw, ours)
    return [
        Line(
            f"kill -9 of the server, 5 sessions of {SMALL}", Unit.SECONDS, figure, baseline,
            "< 3 s", 3.0, note="baseline: one raw batch for all five, new server included",
        )
    ]  # fmt: skip


def kill_pane(plan: Plan) -> list[Line]:
    """``kill -9`` of what runs in one pane of twelve."""
    with stage() as on:
        on.manage({"web": SMALL})
        run_raw(on.raw, {"web": SMALL})
        on.raw.run("set-option", "-g", "remain-on-exit", "on")

        def raw() -> float:
            pane, pid = _a_pane(on.raw)
            os.kill(pid, signal.SIGKILL)
            return timed(lambda: _respawn(on.raw, pane, pid))

        def ours() -> float:
            os.kill(_a_pane(on.tmux)[1], signal.SIGKILL)
            (seconds,) = on.recovered(1)
            on.settle()
            return seconds

        baseline, figure = interleaved(plan.of(15), raw, ours)
    return [
        Line(
            "kill -9 of one pane's process", Unit.SECONDS, figure, baseline, "< 150 ms", 0.150,
            note="baseline: a raw `respawn-pane -k` of such a pane, to its program running",
        )
    ]  # fmt: skip


def _a_pane(tmux: TmuxBox) -> tuple[str, int]:
    lines = (line.split() for line in tmux.panes("#{session_name} #{pane_id} #{pane_pid}"))
    return next((pane, int(pid)) for name, pane, pid in lines if name == "web")


def _respawn(tmux: TmuxBox, pane: str, pid: int) -> None:
    tmux.run("respawn-pane", "-k", "-t", pane)
    wanted = f"{pane} 0 {PROGRAM}"

    def back() -> bool:
        lines = tmux.panes("#{pane_id} #{pane_dead} #{pane_current_command} #{pane_pid}")
        return any(line.startswith(wanted) and not line.endswith(f" {pid}") for line in lines)

    wait_for(back, "the respawned program")


def _kill_and_reap(pid: int) -> None:
    """The end of a server that is not our child."""
    descriptor = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    select.select([descriptor], [], [], 10.0)
    os.close(descriptor)
