"""A program under supervision in one line of ``sidecar status``."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.cli_programs import program_line


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({}, "program db in shop:0.1: running"),
        ({"restarts": 1}, "program db in shop:0.1: running, 1 restart lately"),
        (
            {"state": "backing_off", "restarts": 2, "until": 100.4, "note": "it exited with 1"},
            "program db in shop:0.1: backing off, 2 restarts lately, again in 10s, it exited with 1",
        ),
        ({"state": "given_up", "until": 80.0}, "program db in shop:0.1: given up, again in 0s"),
    ],
)
def test_what_is_said(facts: dict[str, Any], line: str) -> None:
    known = {
        "rule": "db",
        "session": "shop",
        "place": "0.1",
        "state": "running",
        "restarts": 0,
        "until": None,
    }
    assert program_line({**known, "note": "", **facts}, 90.0) == line
