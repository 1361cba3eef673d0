"""A sidecar that is killed at random moments of real recoveries does all, and nothing twice."""

from __future__ import annotations

import random

import pytest

from chaos.soak import Soak
from chaos.stage import Stage


@pytest.mark.timeout(300)
def test_all_is_whole_again_after_kills_at_random_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever is killed cannot write down what it has covered, and each start would prepare for it.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    tally = Soak(injuries=20, kills=1.0, seed=12).play()
    assert tally.good, tally.tell()
    assert tally.injuries.total() == 20
    assert tally.kills >= 20
    assert tally.amid > 0


def test_a_program_that_does_not_come_back_is_a_miss_and_the_rest_is_played() -> None:
    def start_another_program(place: Stage, dice: random.Random) -> None:
        place.tmux("respawn-pane", "-k", "-t", "=agents:0.0", "exec sleep 60")

    told: list[str] = []
    tally = Soak(
        injuries=2, kills=0.0, seed=1, kinds=(start_another_program,), tell=told.append, patience=2.0
    ).play()
    assert not tally.good
    assert len(tally.misses) == tally.injuries.total() == 2
    assert told == tally.misses
    assert "missing agents:0.0 sleep 70000; too much agents:0.0 sleep 60" in told[0]
    assert "session_adopted" in told[0]
