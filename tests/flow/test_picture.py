"""What people see of a session that is not healed just now."""

from __future__ import annotations

import pytest

from sidecar.config import Settings
from sidecar.decide.detect import Expected
from sidecar.flow.picture import picture
from sidecar.flow.ward import Standstill, Ward
from sidecar.model.incident import FailureKind
from sidecar.model.plan import RefusalReason
from sidecar.model.session import Health, Look, Presence
from sidecar.model.status import SessionStatus
from tests.decide.builders import SERVER, session


def seen(ward: Ward) -> SessionStatus:
    drawn = picture(
        ward,
        incidents=(),
        circuits={},
        checks={},
        alerts_pending=0,
        store_bytes=0,
        started=0.0,
        last_look=0.0,
    )
    [row] = drawn.sessions
    return row


@pytest.fixture
def ward() -> Ward:
    live = session()
    made = Ward(Settings())
    made.look = Look(Presence.PRESENT, 1.0, server=SERVER, sessions=(live,))
    made.expected[live.name] = Expected(live.name, SERVER, live)
    return made


@pytest.mark.parametrize("reason", [RefusalReason.REPORT_ONLY, RefusalReason.OBSERVE_MODE])
def test_what_is_frozen_shows_as_frozen_whyever_nothing_is_done(ward: Ward, reason: RefusalReason) -> None:
    assert seen(ward).health is Health.HEALTHY
    ward.standstills["web"] = Standstill((), FailureKind.FROZEN, reason, "it waits", None)
    assert (seen(ward).health, seen(ward).note) == (Health.FROZEN, "it waits")


def test_between_two_attempts_the_note_tells_of_them(ward: Ward) -> None:
    assert seen(ward).note == ""
    ward.set_back("web", 1.0)
    assert seen(ward).note.startswith("the last recovery came to nothing, it is tried again by itself")
    ward.set_back("web", 2.0)
    assert seen(ward).note.startswith("the last 2 recoveries came to nothing")
