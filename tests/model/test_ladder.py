"""Whose ladder holds."""

from __future__ import annotations

import pytest

from sidecar.model.incident import Cause, FailureKind
from sidecar.model.ladder import Ladders, Rung, ladder_for, rung_of
from sidecar.model.plan import Strategy
from sidecar.model.policy import RetryPolicy

PANE, SESSION, FILE = (
    (Rung(one),) for one in (Strategy.RESPAWN_PANE, Strategy.RESTORE_CHECKPOINT, Strategy.REBUILD_WORKSPACE)
)
CRASHED, KILLED, OTHER = FailureKind.CRASHED, Cause.SERVER_KILLED, Cause.HOST_REBOOTED


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([{CRASHED: PANE}], PANE),
        ([{CRASHED: PANE, KILLED: SESSION}], SESSION),
        ([{CRASHED: PANE, OTHER: SESSION}], PANE),
        ([{CRASHED: FILE}, {CRASHED: PANE, KILLED: SESSION}], FILE),
        ([{}, {CRASHED: PANE, KILLED: SESSION}], SESSION),
        ([{FailureKind.FROZEN: PANE}], ()),
    ],
)
def test_a_cause_goes_before_its_failure_and_a_session_before_all(
    given: list[Ladders], wanted: tuple[Rung, ...]
) -> None:
    assert ladder_for(KILLED, CRASHED, *given) == wanted


def test_a_strategy_that_the_ladder_does_not_name_is_run_as_everywhere() -> None:
    own = Rung(Strategy.RESPAWN_PANE, RetryPolicy(1))
    assert rung_of((own,), Strategy.RESPAWN_PANE) is own
    assert rung_of((own,), Strategy.CUSTOM) == Rung(Strategy.CUSTOM)
