"""The main job on the real service: from the first bad sign to verified, beside the raw commands.

The service's own account is taken, since asking it in the meantime would slow it down; the time
from the injury itself is noted beside it. The raw commands are timed from outside, to the same end.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable

from bench.line import Line, Plan, Sample, Unit, against
from bench.measure import interleaved, timed, wait_for
from bench.shapes import LINES, PROGRAM, SMALL, run_raw, shows
from bench.stage import Stage, kill, stage
from sidecar.config import TmuxSettings
from tests.box import TmuxBox

_ONE = {"web": SMALL}
_FIVE = {f"web{number}": SMALL for number in range(5)}


class Injuries:
    """Injures the managed server, and keeps what came of it."""

    def __init__(self, on: Stage, injure: Callable[[], object], recoveries: int = 1) -> None:
        self._on = on
        self._injure = injure
        self._recoveries = recoveries
        self._before_sign: list[float] = []
        self._from_injury: list[float] = []
        self._took: list[float] = []

    def turn(self, injure: Callable[[], object] | None = None) -> float:
        """Injure once, by ``injure`` where it is given: seconds from the first sign to all verified."""
        began = time.time()
        (injure or self._injure)()
        ended = self._on.recovered(self._recoveries)
        self._on.settle()
        self._before_sign.append(min(one.seen for one in ended) - began)
        self._from_injury.append(max(one.ended for one in ended) - began)
        self._took.append(max(one.took for one in ended))
        return self._took[-1]

    def until_seen(self) -> Sample:
        """Seconds from the injury to its first sign; the first turn does not count."""
        return Sample(tuple(self._before_sign[1:]))

    def until_verified(self) -> Sample:
        """Seconds from the first sign to the last part verified; the first turn does not count."""
        return Sample(tuple(self._took[1:]))

    def note(self) -> str:
        return f"{statistics.median(self._from_injury[1:]) * 1000:.0f} ms from the injury itself"


def kill_session(plan: Plan) -> list[Line]:
    """``tmux kill-session`` of a session that is always to be there."""
    baseline, figure, note = _closed_and_back(plan.of(9), lines=0)
    return [against(f"kill-session, {SMALL} panes", figure, baseline, 4, goal=1.0, note=note)]


def restore(plan: Plan) -> list[Line]:
    """The same with old text in every pane."""
    baseline, figure, note = _closed_and_back(plan.of(7), lines=LINES)
    name = f"kill-session, {SMALL} panes with {LINES} lines each"
    return [Line(name, Unit.SECONDS, figure, baseline, "< 500 ms", 0.5, note=note)]


def kill_server(plan: Plan) -> list[Line]:
    """``kill -9`` of the server: to the last of its five sessions."""
    with stage() as on:
        on.manage(_FIVE)
        injuries = Injuries(on, lambda: os.kill(on.tmux.server_pid(), signal.SIGKILL), len(_FIVE))

        def raw() -> float:
            kill(on.raw.server_pid())
            return timed(lambda: run_raw(on.raw, _FIVE))

        baseline, figure = interleaved(plan.of(7), raw, injuries.turn)
    name = f"kill -9 of the server, {len(_FIVE)} sessions of {SMALL}"
    note = f"{injuries.note()}; baseline: one raw batch for all of them, new server included"
    return [Line(name, Unit.SECONDS, figure, baseline, "< 3 s", 3.0, note=note)]


def kill_pane(plan: Plan) -> list[Line]:
    """``kill -9`` of what runs in one pane of twelve."""
    with stage() as on:
        on.manage(_ONE)
        run_raw(on.raw, _ONE)
        on.raw.run("set-option", "-g", "remain-on-exit", "on")
        injuries = Injuries(on, lambda: os.kill(_a_pane(on.tmux)[1], signal.SIGKILL))

        def raw() -> float:
            pane, pid = _a_pane(on.raw)
            os.kill(pid, signal.SIGKILL)
            return timed(lambda: _respawn(on.raw, pane, pid))

        baseline, figure = interleaved(plan.of(15), raw, injuries.turn)
    note = f"{injuries.note()}; baseline: a raw `respawn-pane -k`, to its program running"
    return [
        Line("kill -9 of one pane's process", Unit.SECONDS, figure, baseline, "< 150 ms", 0.15, note=note)
    ]


def remove_socket(plan: Plan) -> list[Line]:
    """The server's socket is removed: until that is seen, and until it is there again."""
    with stage() as on:
        on.manage(_ONE)
        server = on.raw.server_pid()
        injuries = Injuries(on, on.tmux.socket.unlink)

        def raw() -> float:
            on.raw.socket.unlink()
            return timed(lambda: _signalled(on.raw, server))

        baseline, figure = interleaved(plan.of(15), raw, injuries.turn)
    note = f"{injuries.note()}; baseline: a raw SIGUSR1 to the server"
    seen = injuries.until_seen()
    return [
        Line("removal of the socket, until it is seen", Unit.SECONDS, seen, None, "<= 100 ms", 0.1),
        Line("removal of the socket, from there to verified", Unit.SECONDS, figure, baseline, note=note),
    ]


def stop_server(plan: Plan) -> list[Line]:
    """The server is stopped: until that is seen, and until it answers with the same processes in it."""
    with stage() as on:
        on.manage(_ONE)
        server, raw_server = on.tmux.server_pid(), on.raw.server_pid()
        injuries = Injuries(on, lambda: os.kill(server, signal.SIGSTOP))

        def raw() -> float:
            os.kill(raw_server, signal.SIGSTOP)
            return timed(lambda: _continued(on.raw, raw_server))

        baseline, figure = interleaved(plan.of(9), raw, injuries.turn)
    limit = TmuxSettings().timeout
    note = f"{injuries.note()}; baseline: a raw SIGCONT to the server, and its first answer"
    seen = injuries.until_seen()
    return [
        Line("SIGSTOP of the server, until it is seen", Unit.SECONDS, seen, None, "<= 2.1 s", limit + 0.1),
        Line(
            "SIGSTOP of the server, from there to verified", Unit.SECONDS, figure, baseline, "<= 2.3 s",
            limit + 0.3, note=note,
        ),
    ]  # fmt: skip


def _continued(tmux: TmuxBox, server: int) -> None:
    os.kill(server, signal.SIGCONT)
    tmux.run("display-message", "-p", "#{pid}")


def _closed_and_back(rounds: int, lines: int) -> tuple[Sample, Sample, str]:
    with stage() as on:
        on.manage(_ONE, lines)
        injuries = Injuries(on, lambda: _close(on.tmux))

        def raw() -> float:
            seconds = timed(lambda: run_raw(on.raw, _ONE))
            _close(on.raw)
            return seconds

        baseline, figure = interleaved(rounds, raw, injuries.turn)
        # A restored pane that shows less was not measured for what is claimed.
        shows(on.tmux, "web", lines)
    return baseline, figure, injuries.note()


def _close(tmux: TmuxBox) -> None:
    tmux.run("kill-session", "-t", "=web")


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


def _signalled(tmux: TmuxBox, server: int) -> None:
    os.kill(server, signal.SIGUSR1)
    wait_for(lambda: tmux.server_pid() == server, "the socket")
