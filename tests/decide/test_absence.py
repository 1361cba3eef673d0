"""Which programs have gone while nobody watched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.absence import gone_programs, idle, unseen
from sidecar.model.incident import Intent, Unit
from sidecar.model.session import Pane, Process, image_of
from tests.decide.builders import pane, session

BEFORE = session(pane(1), pane(2, program=300))
IMAGE = image_of(BEFORE, width=80, height=24)


@pytest.mark.parametrize(
    ("now", "gone"),
    [
        (pane(2), True),
        (pane(2, program=300), False),
        (replace(pane(2), program=Process(301, ("vim",))), False),
        (pane(2, dead=True), False),
        (replace(pane(2), argv=("zsh",)), False),
        (replace(pane(2), index=7), False),
    ],
)
def test_the_same_shell_stands_idle_where_a_program_ran(now: Pane, gone: bool) -> None:
    found = gone_programs(session(pane(1), now), IMAGE)
    assert found == ({(0, 2): "%2"} if gone else {})


def test_a_pane_that_is_not_there_is_not_idle() -> None:
    assert idle(BEFORE, "%1")
    assert not idle(BEFORE, "%2")
    assert not idle(BEFORE, "%9")
    assert not idle(None, "%1")


def test_nobody_knows_whether_a_person_meant_it() -> None:
    found = unseen("web", ("%2", "%3"), 5.0)
    assert (found.intent, found.failure.unit, found.failure.first_sign) == (Intent.UNKNOWN, Unit.PROGRAM, 5.0)
    assert len(found.evidence) == len(found.failure.broken) == 2
