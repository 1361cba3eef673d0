from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.retain import admit, keep
from sidecar.model.policy import Retention
from sidecar.model.record import Generation, HoldBackReason
from sidecar.model.session import Checkpoint, Operation, SavedPane, SavedWindow, SessionImage

HOUR, DAY = 3_600.0, 86_400.0
NOW = 20_000 * DAY
"""Midnight, so that hours and days before it are whole."""

FEW = Retention(latest=2, hourly_for=DAY, max_age=7 * DAY, max_bytes=1_000_000)


def at(*ages: float, size: int = 10) -> list[Generation]:
    """Generations of these ages, the oldest with id 1."""
    return [Generation(place, NOW - age, size) for place, age in enumerate(sorted(ages, reverse=True), 1)]


def kept_ages(ages: tuple[float, ...], retention: Retention) -> list[float]:
    kept = keep(at(*ages), retention, NOW)
    return sorted(NOW - generation.taken for generation in at(*ages) if generation.id in kept)


@pytest.mark.parametrize(
    ("ages", "wanted"),
    [
        ((), []),
        ((1,), [1]),
        ((1, 2, 3, 4), [1, 2]),
        ((1, 2, HOUR + 1, HOUR + 2, HOUR + 3, 2 * HOUR + 5), [1, 2, HOUR + 1, 2 * HOUR + 5]),
        ((1, 2, DAY + 1, DAY + 2, DAY + HOUR, 2 * DAY + 9), [1, 2, DAY + 1, 2 * DAY + 9]),
        ((1, 2, 8 * DAY, 9 * DAY), [1, 2]),
        ((30 * DAY, 31 * DAY, 32 * DAY), [30 * DAY, 31 * DAY]),
    ],
    ids=["none", "one", "latest", "hourly", "daily", "too old", "latest at any age"],
)
def test_what_is_kept(ages: tuple[float, ...], wanted: list[float]) -> None:
    assert kept_ages(ages, FEW) == wanted


def test_bytes_remove_the_oldest_but_never_the_newest() -> None:
    generations = at(1, 2, 3, 4, size=40)
    assert keep(generations, Retention(latest=4, max_bytes=100), NOW) == {3, 4}
    assert keep(generations, Retention(latest=4, max_bytes=1), NOW) == {4}


def test_what_is_shared_counts_once() -> None:
    generations = [
        Generation(1, NOW - 3, 10, (("old", 100), ("shared", 50))),
        Generation(2, NOW - 2, 10, (("shared", 50),)),
        Generation(3, NOW - 1, 10, (("shared", 50), ("new", 20))),
    ]
    for limit, wanted in ((200, {1, 2, 3}), (199, {2, 3}), (90, {2, 3}), (89, {3}), (0, {3})):
        assert keep(generations, Retention(latest=3, max_bytes=limit), NOW) == wanted


def test_the_newest_stays_when_the_clock_was_set_back() -> None:
    generations = [Generation(1, NOW + 5 * DAY, 10), Generation(2, NOW, 10)]
    assert 2 in keep(generations, Retention(latest=1, max_bytes=15), NOW)


@given(
    rows=st.lists(st.tuples(st.floats(-10 * DAY, 40 * DAY), st.integers(0, 10**6)), min_size=1, max_size=60),
    latest=st.integers(0, 30),
    limit=st.integers(0, 10**7),
)
def test_always_the_newest_and_within_the_bytes(
    rows: list[tuple[float, int]], latest: int, limit: int
) -> None:
    generations = [Generation(place, NOW - age, size) for place, (age, size) in enumerate(rows)]
    retention = Retention(latest=latest, max_bytes=limit)
    kept = keep(generations, retention, NOW)
    assert max(generation.id for generation in generations) in kept
    sizes = [generation.size for generation in generations if generation.id in kept]
    assert sum(sizes) <= limit or len(sizes) == 1
    survivors = [generation for generation in generations if generation.id in kept]
    assert keep(survivors, retention, NOW) == kept


def image(*panes: int) -> SessionImage:
    """A session with so many panes in each window."""
    windows = tuple(
        SavedWindow(
            index, "w", "", False, index == 0, False, True,
            tuple(SavedPane(pane, "", "/", "", (), (), pane == 0) for pane in range(count)),
        )
        for index, count in enumerate(panes)
    )  # fmt: skip
    return SessionImage("work", 80, 24, "/bin/bash", "", (), windows)


STORED = Checkpoint(7, "work", NOW, Operation.INTERVAL, "boot/1/2/$0", "", 1, image(2, 1))
SAME, OTHER = "boot/1/2/$0", "boot/9/9/$0"


@pytest.mark.parametrize(
    ("candidate", "instance", "age", "reason"),
    [
        (image(), SAME, 999.0, HoldBackReason.EMPTY),
        (image(2, 0), SAME, 999.0, HoldBackReason.EMPTY),
        (image(1), OTHER, 5.0, HoldBackReason.JUST_STARTED),
        (image(3), OTHER, 5.0, HoldBackReason.JUST_STARTED),
        (image(1, 1), OTHER, 59.9, HoldBackReason.JUST_STARTED),
        (image(1), OTHER, -5.0, HoldBackReason.JUST_STARTED),
        (image(1), OTHER, 60.0, None),
        (image(1), OTHER, -DAY, None),
        (image(1), SAME, 5.0, None),
        (image(2, 1), OTHER, 5.0, None),
        (image(2, 2), OTHER, 5.0, None),
    ],
)
def test_which_captures_are_admitted(
    candidate: SessionImage, instance: str, age: float, reason: HoldBackReason | None
) -> None:
    held = admit(candidate, instance, STORED, age)
    assert (held.reason if held else None) is reason


def test_the_first_capture_is_admitted_unless_empty() -> None:
    assert admit(image(1), OTHER, None, 0.0) is None
    held = admit(replace(image(1), windows=()), OTHER, None, 0.0)
    assert held is not None
    assert held.sentence == "the capture of work has no windows"


def test_the_sentence_names_both_sizes() -> None:
    held = admit(image(1), OTHER, STORED, 5.0)
    assert held is not None
    assert held.sentence == (
        "work was started 5 s ago and has 1 windows and 1 panes; "
        "the newest checkpoint has 2 windows and 3 panes"
    )
