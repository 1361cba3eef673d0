"""What fits what is broken."""

from dataclasses import replace
from itertools import product

import pytest

from sidecar.decide.fitting import TABLE, fitting
from sidecar.decide.plans import BUILDERS
from sidecar.model.incident import Broken, Cause, Failure, FailureKind, Unit
from sidecar.model.plan import Strategy


def failure(unit: Unit, kind: FailureKind = FailureKind.CRASHED) -> Failure:
    return Failure("work", kind, (Broken(unit),), 0.0)


@pytest.mark.parametrize(
    ("unit", "kind", "first"),
    [
        (Unit.PROGRAM, FailureKind.CRASHED, Strategy.RESUME_PROGRAM),
        (Unit.PANE, FailureKind.CRASHED, Strategy.RESPAWN_PANE),
        (Unit.SESSION, FailureKind.REQUESTED, Strategy.RESTORE_CHECKPOINT),
        (Unit.SERVER, FailureKind.CRASHED, Strategy.RESTORE_CHECKPOINT),
        (Unit.SOCKET, FailureKind.DISCONNECTED, Strategy.RECREATE_SOCKET),
    ],
)
def test_the_smallest_unit_has_a_strategy_of_its_own(unit: Unit, kind: FailureKind, first: Strategy) -> None:
    assert fitting(failure(unit, kind), Cause.UNKNOWN)[0] is first


def test_a_pane_of_which_nothing_is_left_is_built_again() -> None:
    lost = Failure("work", FailureKind.CRASHED, (Broken(Unit.PANE, "%1", window=0, gone=True),), 0.0)
    assert fitting(lost, Cause.PROCESS_KILLED) == (Strategy.REBUILD_PANE,)


def test_what_is_disconnected_is_not_respawned() -> None:
    assert fitting(failure(Unit.PANE, FailureKind.DISCONNECTED), Cause.UNKNOWN) == ()


def test_every_row_can_be_reached() -> None:
    every = [failure(unit, kind) for kind, unit in product(FailureKind, Unit)]
    every += [replace(one, broken=(replace(one.broken[0], gone=True),)) for one in every]
    reached = {
        next(number for number, row in enumerate(TABLE) if row.suits(one, cause))
        for one, cause in product(every, Cause)
        if any(row.suits(one, cause) for row in TABLE)
    }
    assert reached == set(range(len(TABLE)))


def test_whatever_fits_can_be_planned() -> None:
    assert {strategy for row in TABLE for strategy in row.strategies} <= BUILDERS.keys()
