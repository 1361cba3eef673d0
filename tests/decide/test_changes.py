"""What is written down of a changed configuration: every key, before and after, and no secret."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar import config_read
from sidecar.config import DEFAULT_LADDERS, Settings
from sidecar.decide.changes import changes
from sidecar.model.incident import FailureKind

TABLE = [
    ("", "", {}),
    ("checkpoints: {interval: 1m}", "", {"checkpoints.interval": (60.0, 15.0)}),
    (
        "sessions: {manage: [a, b]}",
        "sessions: {manage: [a], restore: never}",
        {"sessions.manage": (["a", "b"], ["a"]), "sessions.restore": ("on-failure", "never")},
    ),
    (
        "sessions: {overrides: {api: {restore: never}}}",
        "",
        {
            "sessions.overrides.api.restore": ("never", None),
            "sessions.overrides.api.critical_processes": ([], None),
        },
    ),
    (
        "",
        "recovery: {ladders: {crashed: [restore_checkpoint]}, budget: {per_session: 3 per 1h}}",
        {
            "recovery.ladders.crashed": (
                [str(rung) for rung in DEFAULT_LADDERS[FailureKind.CRASHED]],
                ["restore_checkpoint"],
            ),
            "recovery.per_session.count": (5, 3),
            "recovery.per_session.period": (600.0, 3600.0),
        },
    ),
    (
        "",
        "alerts: [{match: {token: abc}, session: web}]",
        {
            "alerts": ([], None),
            "alerts.0.failure": (None, "requested"),
            "alerts.0.match.token": (None, "***"),
            "alerts.0.session": (None, "web"),
        },
    ),
]


@pytest.mark.parametrize(("old", "new", "wanted"), TABLE)
def test_changes(old: str, new: str, wanted: dict[str, object]) -> None:
    assert changes(config_read.parse(old, "f"), config_read.parse(new, "f")) == wanted


def test_a_command_loses_its_password() -> None:
    new = config_read.parse("resume: [{match: x, command: 'run --password hunter2 {argv}'}]", "f")
    assert "hunter2" not in str(changes(Settings(), new))
    assert "run --password ***" in str(changes(Settings(), new))


def test_the_name_of_the_file_is_no_change() -> None:
    assert changes(Settings(), replace(Settings(), source=None)) == {}
