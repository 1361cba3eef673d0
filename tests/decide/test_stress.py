"""When something counts as short, when it no longer does, and who waits for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide import stress
from sidecar.model.incident import Broken, Cause, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import RefusalReason, Strategy
from sidecar.model.record import Pressure
from sidecar.model.stress import CheckpointMode, ResourceLimits, Room, Stress

LIMITS = ResourceLimits()
CALM = Pressure(memory_available=0.5, load=0.1, cpu_stalled=0.0, memory_stalled=0.0, memory_blocked=0.0)
GB = 10**9
FULL, STRUCTURE, PAUSED = CheckpointMode
modes = st.sampled_from(CheckpointMode)
rooms = st.builds(
    Room,
    free=st.integers(0, 200_000_000),
    size=st.just(100 * GB),
    inodes=st.none() | st.integers(0, 300),
    spare=st.integers(0, 200_000_000),
)


@pytest.mark.parametrize(
    ("pressure", "words"),
    [
        (CALM, ""),
        (replace(CALM, memory_available=0.03), "3.0 % of the memory is available"),
        (replace(CALM, group_available=0.01), "control group"),
        (replace(CALM, group_available=0.5), ""),
        (replace(CALM, memory_blocked=40.0), "all tasks wait 40 % of the time for memory"),
        (replace(CALM, memory_stalled=99.0), ""),
        (Pressure(memory_available=0.5, load=99.0), ""),
    ],
)
def test_memory_is_short(pressure: Pressure, words: str) -> None:
    why = stress.memory_short(pressure, LIMITS, before=False)
    assert words in why
    assert bool(words) == bool(why)


@pytest.mark.parametrize(
    ("pressure", "words"),
    [
        (CALM, ""),
        (replace(CALM, cpu_stalled=95.0), "tasks wait 95 % of the time for a processor"),
        (replace(CALM, load=99.0), ""),
        (replace(CALM, cpu_stalled=None, load=9.0), "the load is 9.0 for each processor"),
        (replace(CALM, cpu_stalled=None, load=1.0), ""),
    ],
)
def test_the_processor_is_overloaded(pressure: Pressure, words: str) -> None:
    why = stress.cpu_short(pressure, LIMITS, before=False)
    assert words in why
    assert bool(words) == bool(why)


@given(st.floats(0, 1), st.floats(0, 100), st.none() | st.floats(0, 1))
def test_what_has_become_short_takes_more_to_be_over(
    free: float, blocked: float, group: float | None
) -> None:
    pressure = replace(CALM, memory_available=free, memory_blocked=blocked, group_available=group)
    if stress.memory_short(pressure, LIMITS, before=False):
        assert stress.memory_short(pressure, LIMITS, before=True)


@given(st.none() | st.floats(0, 100), st.floats(0, 20))
def test_an_overload_takes_more_to_be_over(stalled: float | None, load: float) -> None:
    pressure = replace(CALM, cpu_stalled=stalled, load=load)
    if stress.cpu_short(pressure, LIMITS, before=False):
        assert stress.cpu_short(pressure, LIMITS, before=True)


@pytest.mark.parametrize(
    ("room", "mode"),
    [
        (Room(GB, 100 * GB), FULL),
        (Room(50_000_000, 100 * GB), STRUCTURE),
        (Room(50_000_000, 100 * GB, spare=50_000_000), FULL),
        (Room(1_000_000, 100 * GB), PAUSED),
        (Room(1_000_000, 100 * GB, spare=GB), PAUSED),
        (Room(GB, 100 * GB, inodes=3), STRUCTURE),
        (Room(3_000_000, 4_000_000), FULL),
        (Room(300_000, 4_000_000), STRUCTURE),
        (Room(100_000, 4_000_000), PAUSED),
    ],
)
def test_how_much_is_stored(room: Room, mode: CheckpointMode) -> None:
    found, why = stress.checkpoint_mode(room, LIMITS, FULL, refused=False)
    assert (found, bool(why)) == (mode, mode is not FULL)


@given(rooms, modes, st.booleans())
def test_it_gets_better_by_one_step_and_never_while_writes_are_refused(
    room: Room, before: CheckpointMode, refused: bool
) -> None:
    ranks = list(CheckpointMode)
    after, why = stress.checkpoint_mode(room, LIMITS, before, refused=refused)
    better = ranks.index(before) - ranks.index(after)
    assert better <= (0 if refused else 1)
    assert bool(why) == (after is not FULL)


@given(rooms, modes)
def test_figures_that_stay_lead_to_a_mode_that_stays(room: Room, before: CheckpointMode) -> None:
    mode = before
    for _ in CheckpointMode:
        mode, _ = stress.checkpoint_mode(room, LIMITS, mode, refused=False)
    assert stress.checkpoint_mode(room, LIMITS, mode, refused=False)[0] is mode


@given(modes)
def test_a_disk_that_cannot_be_asked_changes_nothing_for_the_worse(before: CheckpointMode) -> None:
    ranks = list(CheckpointMode)
    after, _ = stress.checkpoint_mode(None, LIMITS, before, refused=False)
    assert ranks.index(after) <= ranks.index(before)


def test_a_refused_write_makes_less_of_it() -> None:
    assert [stress.turned_down(mode) for mode in CheckpointMode] == [STRUCTURE, PAUSED, PAUSED]


def finding(cause: Cause = Cause.PROCESS_KILLED, name: str = "web", unit: Unit = Unit.SESSION) -> Finding:
    failure = Failure(name, FailureKind.CRASHED, (Broken(unit),), 0.0)
    return Finding(failure, cause, Intent.FAILURE, (), "origin")


SHORT = Stress(memory="2.0 % of the memory is available")


@pytest.mark.parametrize(
    ("cause", "now", "waited", "deaths", "retry_after"),
    [
        (Cause.PROCESS_KILLED, Stress(), 0.0, [], None),
        (Cause.OUT_OF_MEMORY, Stress(), 0.0, [], None),
        (Cause.PROCESS_KILLED, SHORT, 0.0, [], 1.0),
        (Cause.PROCESS_KILLED, SHORT, 6.0, [], 6.0),
        (Cause.PROCESS_KILLED, SHORT, 60.0, [], 15.0),
        (Cause.PROCESS_KILLED, SHORT, 120.0, [], None),
        (Cause.OUT_OF_MEMORY, Stress(), 0.0, [990.0], 50.0),
        (Cause.OUT_OF_MEMORY, Stress(), 0.0, [900.0, 990.0], 110.0),
        (Cause.OUT_OF_MEMORY, Stress(), 0.0, [930.0], None),
        (Cause.PROCESS_KILLED, Stress(), 0.0, [990.0], None),
        (Cause.OUT_OF_MEMORY, SHORT, 300.0, [990.0], 50.0),
    ],
)
def test_who_waits_for_memory_and_how_long(
    cause: Cause, now: Stress, waited: float, deaths: list[float], retry_after: float | None
) -> None:
    refusal = stress.admit(
        finding(cause), Strategy.RESTORE_CHECKPOINT, now, LIMITS, deaths=deaths, waited=waited, now=1_000.0
    )
    assert (refusal.retry_after if refusal else None) == retry_after
    assert refusal is None or refusal.reason is RefusalReason.MEMORY_SHORT


def test_what_starts_nothing_does_not_wait() -> None:
    for strategy in (Strategy.RECREATE_SOCKET, Strategy.CONTINUE_PROCESS, Strategy.UNBLOCK_TERMINAL):
        assert not stress.admit(finding(), strategy, SHORT, LIMITS, deaths=(), waited=0.0, now=0.0)


def test_a_clock_that_was_set_back_does_not_prolong_a_wait() -> None:
    refusal = stress.admit(
        finding(Cause.OUT_OF_MEMORY), Strategy.RESPAWN_PANE, Stress(), LIMITS,
        deaths=[5_000.0], waited=0.0, now=1_000.0,
    )  # fmt: skip
    assert refusal is None


@pytest.mark.parametrize(
    ("now", "careful", "count"),
    [
        (Stress(), False, None),
        (Stress(cpu="busy"), False, 2),
        (SHORT, False, 1),
        (Stress(cpu="busy"), True, 1),
    ],
)
def test_how_many_recoveries_run_at_once(now: Stress, careful: bool, count: int | None) -> None:
    assert stress.lanes(now, LIMITS, careful=careful) == count


def test_the_smallest_goes_first() -> None:
    entries = [
        stress.order(finding(name="large"), 10**9, 3),
        stress.order(finding(name="small"), 10**6, 9),
        stress.order(finding(name="narrow"), 10**6, 2),
        stress.order(finding(name="pane", unit=Unit.PANE), 10**10, 9),
    ]
    assert [entry[-1] for entry in sorted(entries)] == ["pane", "narrow", "small", "large"]


@pytest.mark.parametrize(
    ("unit", "kind", "needs"),
    [
        (Unit.PANE, FailureKind.CRASHED, True),
        (Unit.SESSION, FailureKind.CORRUPTED, True),
        (Unit.SOCKET, FailureKind.DISCONNECTED, False),
        (Unit.SERVER, FailureKind.FROZEN, False),
    ],
)
def test_what_starts_nothing_needs_no_turn(unit: Unit, kind: FailureKind, needs: bool) -> None:
    failure = Failure("web", kind, (Broken(unit),), 0.0)
    assert stress.needs_lane(Finding(failure, Cause.UNKNOWN, Intent.FAILURE, (), "")) is needs


@given(st.floats(0, 100))
def test_rests_grow_under_an_overload_and_stay_bounded(took: float) -> None:
    calm, strained = stress.rest(took, Stress()), stress.rest(took, Stress(cpu="busy"))
    assert 0.0 <= calm <= strained <= 2.0
    assert calm <= 0.5
    assert stress.pause(15.0, Stress(cpu="busy")) > stress.pause(15.0, Stress()) == 15.0
