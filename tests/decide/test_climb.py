"""Where a session stands on its ladder, and when it climbs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide import climb
from sidecar.model.incident import Broken, Cause, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.ladder import Footing
from sidecar.model.plan import Strategy

NOW = 1_700_000_000.0
STABLE = 600.0
HOUR = 3_600.0
RESUME, RESPAWN, RESTORE, REBUILD = LADDER = (
    Strategy.RESUME_PROGRAM,
    Strategy.RESPAWN_PANE,
    Strategy.RESTORE_CHECKPOINT,
    Strategy.REBUILD_WORKSPACE,
)


def finding(cause: Cause = Cause.SERVER_CRASHED, unit: Unit = Unit.SESSION, pane: str = "") -> Finding:
    failure = Failure("web", FailureKind.CRASHED, (Broken(unit, pane),), 0.0)
    return Finding(failure, cause, Intent.FAILURE, (), "")


def stood(
    strategy: Strategy = RESTORE,
    *,
    held: bool = True,
    about: Finding | None = None,
    alert: str = "",
    ago: float = 1.0,
) -> Footing:
    return climb.footing(about or finding(), strategy, held=held, alert=alert, now=NOW - ago)


def begins(footing: Footing | None, about: Finding | None = None, alert: str = "") -> Strategy:
    return LADDER[climb.rung(LADDER, footing, about or finding(), alert, STABLE, NOW)]


KILLED = finding(Cause.SERVER_KILLED)
PANE = finding(Cause.PROCESS_CRASHED, Unit.PANE, "%1")
OTHER_PANE = finding(Cause.PROCESS_CRASHED, Unit.PANE, "%2")


@pytest.mark.parametrize(
    ("footing", "about", "alert", "wanted"),
    [
        (None, None, "", RESUME),
        (stood(RESPAWN, held=False), None, "", RESTORE),
        (stood(RESTORE, held=False), None, "", REBUILD),
        (stood(REBUILD, held=False), None, "", REBUILD),
        (stood(RESTORE, held=False, about=KILLED), KILLED, "", REBUILD),
        (stood(RESTORE), None, "", REBUILD),
        (stood(RESTORE), PANE, "", RESTORE),
        (stood(RESTORE, about=KILLED), KILLED, "", RESTORE),
        (stood(RESPAWN, about=PANE), PANE, "", RESTORE),
        (stood(RESPAWN, about=PANE), OTHER_PANE, "", RESPAWN),
        (stood(RESTORE, alert="a", about=KILLED), KILLED, "a", REBUILD),
        (stood(RESTORE, alert="a", about=KILLED), KILLED, "b", RESTORE),
        (stood(RESTORE, about=KILLED), KILLED, "a", RESTORE),
        (stood(RESTORE, held=False, ago=599.0), None, "", REBUILD),
        (stood(RESTORE, held=False, ago=600.0), None, "", RESUME),
        (stood(Strategy.CUSTOM, held=False), None, "", RESUME),
    ],
)
def test_where_it_begins(
    footing: Footing | None, about: Finding | None, alert: str, wanted: Strategy
) -> None:
    assert begins(footing, about, alert) is wanted


@pytest.mark.parametrize(
    ("ago", "wanted"),
    [(-10.0, REBUILD), (-599.0, REBUILD), (-HOUR, RESUME), (HOUR, RESUME), (-24 * HOUR, RESUME)],
)
def test_a_clock_that_jumps_keeps_nobody_up_there(ago: float, wanted: Strategy) -> None:
    """Set back by less than the stable period, the rung is kept; by more, it is forgotten."""
    assert begins(stood(held=False, ago=ago)) is wanted


@pytest.mark.parametrize(
    ("place", "fits", "wanted"),
    [
        (0, (RESTORE, REBUILD), (RESTORE, REBUILD)),
        (3, (RESTORE, REBUILD), (REBUILD, RESTORE)),
        (2, (RESPAWN,), (RESPAWN,)),
        (1, LADDER, (RESPAWN, RESTORE, REBUILD, RESUME)),
        (3, (Strategy.CUSTOM,), ()),
    ],
)
def test_what_fits_is_tried_upwards_first(
    place: int, fits: tuple[Strategy, ...], wanted: tuple[Strategy, ...]
) -> None:
    assert climb.order(LADDER, place, fits) == wanted


breaks = st.sampled_from([finding(), KILLED, PANE, OTHER_PANE])
happenings = st.lists(
    st.tuples(breaks, st.booleans(), st.sampled_from(["", "a", "b"]), st.floats(0.0, 900.0)), max_size=12
)


@given(happenings)
def test_it_climbs_one_rung_at_a_time_and_comes_down_only_after_a_stable_period(
    history: list[tuple[Finding, bool, str, float]],
) -> None:
    now, footing, before = NOW, None, 0
    for about, held, alert, pause in history:
        now += pause
        place = climb.rung(LADDER, footing, about, alert, STABLE, now)
        remembered = footing is not None and climb.lasts(footing, STABLE, now)
        assert remembered is (footing is not None and now - footing.at < STABLE)
        assert place in ((before, min(before + 1, len(LADDER) - 1)) if remembered else (0,))
        if footing is not None and remembered and not footing.held:
            assert place == min(before + 1, len(LADDER) - 1)
        footing = climb.footing(about, LADDER[place], held=held, alert=alert, now=now)
        before = place


@given(st.permutations(LADDER), st.integers(0, 3), st.sets(st.sampled_from(LADDER)))
def test_everything_that_fits_is_tried_exactly_once(
    ladder: list[Strategy], place: int, fits: set[Strategy]
) -> None:
    found = climb.order(ladder, place, tuple(fits))
    assert set(found) == fits
    assert len(found) == len(fits)


def test_a_footing_is_a_value() -> None:
    one = stood()
    assert replace(one, held=False) != one
