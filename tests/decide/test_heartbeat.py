"""Whether a heartbeat is missed: all of a rule at once, by what was measured, and with the evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.dependency import Waiter, finding, is_down, keeps_waiting
from sidecar.decide.heartbeat import (
    Missed,
    Standing,
    Stillness,
    Subject,
    excused,
    failures,
    findings,
    observe,
    rule_of,
    silences,
)
from sidecar.decide.weather import Weather
from sidecar.model.heartbeat import Heartbeat, May
from sidecar.model.incident import Cause, FailureKind, Unit
from sidecar.model.probe import HttpProbe, ProbeFault, ProbeResult, TcpProbe
from sidecar.model.vitals import Attitude, Vitals
from tests.decide.builders import pane

BUSY = Vitals(500, 7, 1_000.0, 10.0, 100, 0.0, Attitude.WORKING, "it works")
HTTP = HttpProbe("http://127.0.0.1/")
BAD = ProbeResult(ProbeFault.BAD_STATUS, 0.2, "status 500")
RULE = Heartbeat("web", output_age=60.0, cpu_flat=30.0, io_flat=20.0)


def seen(*moments: tuple[float, dict[str, Any]]) -> Stillness:
    """What was measured at these moments, one after the other."""
    found: Stillness | None = None
    for now, facts in moments:
        found = observe(found, replace(BUSY, **facts), now)
    assert found is not None
    return found


def test_nobody_is_accused_for_a_time_that_was_not_watched() -> None:
    still = {"silent": 500.0}
    assert silences(RULE, seen((0.0, still)), 0.0) is None
    assert silences(RULE, seen((0.0, still), (29.0, still)), 29.0) is None
    missed = silences(RULE, seen((0.0, still), (31.0, still)), 31.0)
    assert missed is not None
    assert [fact.fact for fact in missed.evidence] == [
        "it has printed nothing for 500 s (limit 60 s)",
        "it has used less than 1% of a processor for 31 s (limit 30 s)",
        "it has read and written nothing for 31 s (limit 20 s)",
    ]
    assert missed.since == 30.0


@pytest.mark.parametrize(
    "change",
    [
        {"cpu": 10.5},
        {"cpu": 9.0},
        {"io": 101},
        {"io": None},
        {"silent": 59.0},
        {"silent": None},
        {"pid": 501},
        {"started": 8},
    ],
)
def test_each_sign_of_life_counts_and_so_does_what_is_not_known(change: dict[str, Any]) -> None:
    still: dict[str, Any] = {"silent": 500.0}
    measured = seen((0.0, still), (25.0, still), (40.0, {**still, **change}))
    assert silences(RULE, measured, 40.0) is None


def test_reading_that_becomes_known_counts_from_then_on() -> None:
    rule = Heartbeat("web", io_flat=20.0)
    measured = seen((0.0, {"io": None}), (10.0, {}), (25.0, {}), (31.0, {}))
    assert silences(rule, measured, 29.0) is None
    assert silences(rule, measured, 31.0) is not None


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=10), st.floats(0.0, 0.009))
def test_a_trickle_of_processor_time_is_flat(steps: list[float], share: float) -> None:
    now, moments = 0.0, [(0.0, {"cpu": 0.0})]
    for step in steps:
        now += step
        moments.append((now, {"cpu": now * share}))
    assert seen(*moments).cpu_since == 0.0


@pytest.mark.parametrize(
    ("facts", "shell", "probes", "word"),
    [
        ({}, False, False, ""),
        ({}, True, False, "shell"),
        ({"age": 5.0}, False, True, "grace"),
        ({"attitude": Attitude.READING}, False, True, "works"),
        ({"attitude": Attitude.STOPPED}, False, True, "works"),
        ({"attitude": Attitude.HELD_UP}, False, True, "works"),
        ({"attitude": Attitude.LISTENING}, False, False, "works"),
        ({"attitude": Attitude.LISTENING}, False, True, ""),
    ],
)
def test_who_is_not_judged(facts: dict[str, Any], shell: bool, probes: bool, word: str) -> None:
    rule = Heartbeat("web", http=HTTP) if probes else Heartbeat("web", cpu_flat=60.0)
    told = excused(rule, replace(BUSY, **facts), shell=shell)
    assert word in told
    assert bool(word) is bool(told)


def standing(weather: Weather, since: float | None = 5.0) -> Standing:
    return Standing(HTTP, (BAD, BAD, BAD), weather, since)


def test_all_probes_of_a_rule_have_to_fail() -> None:
    assert failures([]) is None
    for other in (Weather.CLEAR, Weather.LOSS, Weather.SLOW):
        assert failures([standing(Weather.FAILING), standing(other)]) is None
    missed = failures([standing(Weather.FAILING, 5.0), standing(Weather.FAILING, 9.0)])
    assert missed is not None
    assert (missed.since, missed.network, len(missed.evidence)) == (9.0, False, 2)
    assert missed.evidence[0].fact == (
        "GET http://127.0.0.1/: status 500 (bad_status, 3 in a row, the last took 0.20 s)"
    )
    cut = failures([standing(Weather.FAILING), standing(Weather.OUTAGE)])
    assert cut is not None
    assert cut.network


def subject(number: int = 1, **facts: Any) -> Subject:
    measured = seen((0.0, {"pid": 500 + number, "silent": 0.0, **facts}))
    return Subject(pane(number, program=500 + number), measured)


FAILED = Missed((), 5.0)
ASKING = Heartbeat("web", http=HTTP, may=(May.RESPAWN,))


def test_one_pane_is_named_by_its_program() -> None:
    [found] = findings("api", ASKING, "web", [subject()], FAILED, 9.0)
    assert (found.cause, found.may, rule_of(found)) == (Cause.HEARTBEAT_MISSED, (May.RESPAWN,), "api")
    assert (found.failure.kind, found.failure.first_sign) == (FailureKind.FROZEN, 5.0)
    [part] = found.failure.broken
    assert (part.unit, part.pane, part.pid, part.started) == (Unit.PROGRAM, "%1", 501, 7)


def test_of_several_panes_none_is_acted_on() -> None:
    [found] = findings("api", ASKING, "web", [subject(1), subject(2)], FAILED, 9.0)
    assert found.may == ()
    assert "fits 2 panes" in found.evidence[-1].fact


def test_silence_tells_which_pane() -> None:
    rule = replace(ASKING, output_age=60.0)
    several = [subject(1, silent=100.0), subject(2, silent=10.0), subject(3, silent=90.0)]
    found = findings("api", rule, "web", several, FAILED, 9.0)
    assert [one.failure.broken[0].pane for one in found] == ["%1", "%3"]
    assert {one.may for one in found} == {(May.RESPAWN,)}


def test_no_program_is_blamed_for_the_network() -> None:
    [found] = findings("api", ASKING, "web", [subject()], Missed((), 5.0, network=True), 9.0)
    assert (found.cause, found.may, found.failure.kind) == (
        Cause.NETWORK_OUTAGE,
        (),
        FailureKind.UNHEALTHY,
    )


def test_what_has_changed_since_it_was_measured_is_not_judged() -> None:
    other = Subject(pane(1, program=777), subject().seen)
    shell = Subject(pane(1, pid=501), subject().seen)
    assert findings("api", ASKING, "web", [other, shell], FAILED, 9.0) == ()


def waiter(session: str, *, may: bool = False, failed: bool = True, settled: bool = False) -> Waiter:
    return Waiter(session, may, failed, settled, 5.0 if failed else None, f"{session}: refused")


@pytest.mark.parametrize(
    ("waiters", "down"),
    [
        ([], False),
        ([waiter("a", settled=True)], False),
        ([waiter("a", settled=True), waiter("a", settled=True)], False),
        ([waiter("a", settled=True), waiter("b")], True),
        ([waiter("a"), waiter("b")], False),
        ([waiter("a", settled=True), waiter("b", failed=False)], False),
    ],
)
def test_an_address_is_down_for_several_or_not_at_all(waiters: list[Waiter], down: bool) -> None:
    assert is_down(waiters) is down


def test_who_alone_may_be_acted_on_does_not_wait() -> None:
    assert keeps_waiting([waiter("a", may=True), waiter("b")]) == {"b"}
    assert keeps_waiting([waiter("a", may=True), waiter("b", may=True)]) == {"a", "b"}
    assert keeps_waiting([waiter("a"), waiter("b")]) == {"a", "b"}


def test_the_one_finding_names_all_who_wait() -> None:
    address = TcpProbe("db", 5432).address
    found = finding("dependency:db:5432", address, [waiter("b"), waiter("a", failed=False)], 9.0)
    assert [fact.fact for fact in found.evidence] == ["a, b wait for db:5432", "b: refused"]
    assert (found.failure.session, found.failure.first_sign) == ("dependency:db:5432", 5.0)
