"""Alerts in any order, for sessions that break and heal meanwhile: each comes to its end, once."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.config import RecoverySettings, Settings
from sidecar.model.policy import Budget
from sidecar.model.record import AlertIntake, SkipReason
from sidecar.model.session import Session
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor

NAMES = [f"s{number}" for number in range(6)]
SETTINGS = Settings(recovery=RecoverySettings(per_session=Budget(2, 600.0), overall=Budget(4, 600.0)))
"""With fewer incidents that may be acted upon than there are sessions that can break."""

ALERTS = st.builds(
    AlertIntake,
    fingerprint=st.sampled_from("abcdefgh"),
    starts_at=st.sampled_from(["2026-01-01T00:00:00Z", "2024-01-01T00:00:00Z"]),
    status=st.sampled_from(["firing", "firing", "firing", "resolved"]),
    labels=st.just({}),
    session=st.sampled_from([*NAMES, "nobody"]),
)
EVENTS = st.one_of(
    st.lists(ALERTS, min_size=1, max_size=12),
    st.integers(1, len(NAMES)).map(lambda number: f"%{number}"),
    st.floats(0.1, 8.0),
)
"""One call with alerts; a pane that dies; seconds that pass."""


def sessions() -> list[Session]:
    """Each with windows and panes of its own ids."""
    built = [session(pane(number), name=name, identity=f"${number}") for number, name in enumerate(NAMES, 1)]
    return [
        replace(one, windows=tuple(replace(w, id=f"@{number}") for w in one.windows))
        for number, one in enumerate(built, 1)
    ]


async def happen(world: Corridor, event: object) -> None:
    if isinstance(event, list):
        receipts = await world.desk.accept_alerts(event)
        assert len(receipts) == len(event)
    elif isinstance(event, float):
        await world.pass_time(event)
    else:
        name = NAMES[int(str(event)[1:]) - 1]
        dead = next(world.tmux.sessions[name].panes()).dead
        if not dead and name not in world.ward.cases:
            world.kill_pane_process(str(event))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EVENTS, min_size=1, max_size=14))
async def test_every_alert_of_a_storm_comes_to_its_end(events: list[object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with corridor(Path(folder), SETTINGS) as world:
            await world.adopt(*sessions())
            for event in events:
                await happen(world, event)
            await world.pass_time(30.0)
            assert world.desk.pending_alerts == 0
            assert await world.store.pending_alerts() == ()
            assert world.ward.cases == {}
            await _judge(world)
        # Budgets, leases, and all else that has to hold, is held against the history as the corridor closes.


async def _judge(world: Corridor) -> None:
    rows = await world.store._read(lambda tx: tx.all("SELECT * FROM alerts"))
    assert all(row["state"] == "settled" and row["reason"] for row in rows)
    assert all(row["recovery"] is None or row["session"] in NAMES for row in rows)
    unknown = {row["session"] for row in rows if row["reason"] == SkipReason.UNKNOWN_SESSION}
    assert unknown <= {"nobody"}
