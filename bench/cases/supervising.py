"""A supervised program is killed: to its next run, by the program's own clock, beside Debian's supervisord.

Both run the same script, which writes down its pid and the moment at which it began.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.line import Line, Plan, Sample, Unit
from bench.measure import interleaved, wait_for
from bench.stage import Stage, stage
from bench.supervisord import present, supervising
from tests.box import TmuxBox

_RULES = "programs: [{session: web, restart: always, start_grace: 0s, intensity: 1000 per 1m}]\n"
_TARGET = 0.05
"""Seconds."""


class _Program:
    """What is killed, and comes back."""

    def __init__(self, folder: Path) -> None:
        self._notes = folder / "notes"
        self.script = folder / "program.sh"
        self.script.write_text(f"#!/bin/sh\necho $$ $(date +%s%N) > {self._notes}\nexec sleep 86400\n")
        self.script.chmod(0o700)

    def ran(self) -> tuple[int, float]:
        """The pid and the begin, in wall seconds, of the last run; (0, 0) before the first."""
        try:
            pid, began = self._notes.read_text().split()
        except (OSError, ValueError):
            return 0, 0.0
        return int(pid), int(began) / 1e9

    def killed(self) -> float:
        """Kill it once it sleeps: seconds until it began anew."""
        wait_for(lambda: self._sleeps(self.ran()[0]), "the program")
        pid, _ = self.ran()
        at = time.time()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.ran()[0] not in (0, pid), "the program's next run")
        return self.ran()[1] - at

    def _sleeps(self, pid: int) -> bool:
        try:
            return bool(pid) and b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False


def restart(plan: Plan) -> list[Line]:
    """kill -9 to running again."""
    with stage(_RULES) as on:
        ours = _managed(on)

        def turn() -> float:
            took = ours.killed()
            on.recovered()
            on.settle()
            return took

        baseline, figure = _measured(plan.of(15), on.raw, turn)
    note = "from the kill to the first words of the next run; baseline: Debian's supervisord"
    return [
        Line(
            "kill -9 of a supervised program, to running again", Unit.SECONDS, figure, baseline, "<= 50 ms",
            _TARGET, note=note,
        )
    ]  # fmt: skip


def _managed(on: Stage) -> _Program:
    program = _Program(on.tmux.folder)
    on.tmux.run("new-session", "-d", "-s", "web", str(program.script))
    wait_for(lambda: bool(on.sidecar.sessions().get("web", {}).get("programs")), "the program's rule")
    on.settle()
    return program


def _measured(rounds: int, beside: TmuxBox, turn: Callable[[], float]) -> tuple[Sample | None, Sample]:
    if not present():
        print("supervisord is not there to measure beside: `make bench` unpacks it", file=sys.stderr)
        return None, interleaved(rounds, turn)[0]
    program = _Program(beside.folder)
    with supervising(beside.folder, str(program.script)):
        baseline, figure = interleaved(rounds, program.killed, turn)
    return baseline, figure
