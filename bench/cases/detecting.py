"""From an injury to its first sign, and from there to verified: what costs nothing to compare with.

Seen is what the service itself puts down as the first sign; the injury is timed from outside, a
client's start included where it is a tmux command.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bench.cases.recovery import Injuries
from bench.line import Line, Plan, Sample, Unit
from bench.shapes import SMALL
from bench.stage import Stage, stage
from sidecar.config import TmuxSettings

_ROUNDS = 50
_TIMEOUT = TmuxSettings().timeout
_ONE = {"web": SMALL}


Harm = Callable[[], object]


@dataclass(frozen=True, slots=True)
class _Injury:
    """One way to break something, and how soon that has to be seen and mended, in seconds."""

    name: str
    aim: Callable[[Stage], Harm]
    """Find out whom to hit, which takes its time; what is given does it."""
    seen: float
    verified: float | None = None

    def measure(self, on: Stage, rounds: int) -> list[Line]:
        injuries = Injuries(on, lambda: None)
        for _ in range(rounds + 1):
            injuries.turn(self.aim(on))
        lines = [self._line("until it is seen", injuries.until_seen(), self.seen)]
        if self.verified is not None:
            lines.append(self._line("from there to verified", injuries.until_verified(), self.verified))
        return lines

    def _line(self, what: str, figure: Sample, limit: float) -> Line:
        return Line(f"{self.name}, {what}", Unit.SECONDS, figure, None, f"<= {limit * 1000:g} ms", limit)


def _pane(on: Stage) -> Harm:
    lines = (line.split() for line in on.tmux.panes("#{session_name} #{pane_pid}"))
    return partial(os.kill, next(int(pid) for name, pid in lines if name == "web"), signal.SIGKILL)


def _session(on: Stage) -> Harm:
    return partial(on.tmux.run, "kill-session", "-t", "=web")


def _server(on: Stage) -> Harm:
    return partial(os.kill, on.tmux.server_pid(), signal.SIGKILL)


def _socket(on: Stage) -> Harm:
    return on.tmux.socket.unlink


def _stop(on: Stage) -> Harm:
    return partial(os.kill, on.tmux.server_pid(), signal.SIGSTOP)


_INJURIES: Sequence[_Injury] = (
    _Injury("a killed pane process", _pane, 0.010),
    _Injury("a closed session", _session, 0.025),
    _Injury("a removed socket", _socket, 0.100, 0.200),
    _Injury("a stopped server", _stop, _TIMEOUT + 0.1, _TIMEOUT + 0.3),
    _Injury("a killed server", _server, 0.025),
)


def detect(plan: Plan) -> list[Line]:
    """Each injury again and again, on one server."""
    with stage() as on:
        on.manage(_ONE)
        return [line for injury in _INJURIES for line in injury.measure(on, plan.of(_ROUNDS))]
