"""Nothing healthy is ever touched, whatever people do in front of it."""

from __future__ import annotations

import contextlib
import os
import signal

from chaos.healthy import play
from chaos.keyboard import ACTS, Desk


def test_people_at_work_are_no_failure() -> None:
    day = play(30.0, seed=20)
    assert day.quiet, day.tell()
    assert day.played.keys() == {act.__name__ for act in ACTS}
    assert day.unplayable == []


def test_people_at_work_in_declared_sessions_under_rules_are_no_damage() -> None:
    day = play(15.0, seed=21, declared=True)
    assert day.quiet, day.tell()
    assert sum(day.played.values()) > 20


def test_a_real_injury_is_noticed_by_the_same_measure() -> None:
    def kill_a_program(desk: Desk, session: str) -> None:
        pane = desk.dice.choice(sorted(desk.keepers))
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(desk.tmux("display-message", "-p", "-t", pane, "#{pane_pid}")), signal.SIGKILL)

    day = play(2.0, seed=1, acts=(kill_a_program,))
    assert not day.quiet
    assert day.recoveries
    assert day.touched
