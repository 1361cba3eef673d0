"""Packet loss, outages and slowness are told apart by rows of tries."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.weather import REMEMBERED, TRANSIENT, Weather, failures_in_a_row, loss, passing, weather
from sidecar.model.probe import ProbeFault, ProbeResult

F = ProbeFault
LETTERS = {
    ".": ProbeResult(None, 0.01, ""),
    "s": ProbeResult(None, 3.0, ""),
    "r": ProbeResult(None, 1.02, "", resent=1),
    "t": ProbeResult(F.TIMED_OUT, 5.0, ""),
    "X": ProbeResult(F.REFUSED, 0.001, ""),
    "n": ProbeResult(F.NO_ANSWER, 5.0, ""),
    "R": ProbeResult(F.RESET, 0.01, ""),
    "5": ProbeResult(F.BAD_STATUS, 0.01, ""),
}


def row(word: str) -> list[ProbeResult]:
    return [LETTERS[letter] for letter in word]


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("", Weather.CLEAR),
        (".", Weather.CLEAR),
        ("..........", Weather.CLEAR),
        ("ssss", Weather.SLOW),
        (".s.s.", Weather.CLEAR),
        ("X", Weather.CLEAR),
        ("XX", Weather.CLEAR),
        ("XXX", Weather.FAILING),
        ("....XXX", Weather.FAILING),
        ("....555", Weather.FAILING),
        ("....nnn", Weather.FAILING),
        ("....tt", Weather.LOSS),
        ("............ttt", Weather.LOSS),
        ("............tttttt", Weather.OUTAGE),
        ("............RRRRRR", Weather.OUTAGE),
        ("ttt", Weather.LOSS),
        ("tttttttttt", Weather.OUTAGE),
        (".t.t.tt..t", Weather.LOSS),
        (".t.t.ttt", Weather.LOSS),
        (".t.r..r..t..nnn", Weather.LOSS),
        (".r.r..r..r", Weather.LOSS),
        (".t..", Weather.CLEAR),
        ("rrrrrrrr", Weather.SLOW),
        ("..............tttttX", Weather.OUTAGE),
        ("t.t.t.t.XXX", Weather.FAILING),
        ("XXX.", Weather.CLEAR),
    ],
)
def test_rows(word: str, wanted: Weather) -> None:
    assert weather(row(word), 3, 1.0) is wanted


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_loss_is_hardly_ever_taken_for_an_outage(share: float) -> None:
    dice = random.Random(4)
    tries: list[ProbeResult] = []
    told = []
    for _ in range(3_000):
        tries = [*tries, LETTERS["t" if dice.random() < share else "."]][-REMEMBERED:]
        told.append(weather(tries, 3, 1.0))
    assert Weather.FAILING not in told
    assert told.count(Weather.OUTAGE) < 30
    assert told.count(Weather.LOSS) > 2_700


@given(st.lists(st.sampled_from(sorted(LETTERS)), max_size=REMEMBERED), st.integers(1, REMEMBERED))
def test_any_row(letters: list[str], after: int) -> None:
    tries = row("".join(letters))
    told = weather(tries, after, 1.0)
    assert 0.0 <= loss(tries) <= 1.0
    if told in (Weather.FAILING, Weather.OUTAGE):
        assert failures_in_a_row(tries) >= after
    if told is Weather.FAILING:
        assert not {one.fault for one in tries[-after:]} & TRANSIENT
    if tries and tries[-1].fault is None:
        assert not passing(tries)
        assert failures_in_a_row(tries) == 0
