"""What a row of the trail tells in a column, and as a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sidecar.decide.told import line, sentence, who
from sidecar.model.record import Action, AuditRow

TABLE: list[tuple[str, dict[str, Any], str]] = [
    (
        "incident_opened",
        {"unit": "pane", "evidence": [{"source": "s", "fact": "one"}, {"source": "s", "fact": "two"}]},
        "pane: one; two",
    ),
    ("incident_moved", {"from": "open", "to": "held", "sentence": "why"}, "open → held: why"),
    ("incident_moved", {"from": "open", "to": "recovering", "sentence": ""}, "open → recovering"),
    ("circuit_moved", {"from": "closed", "to": "open"}, "closed → open"),
    ("refused", {"sentence": "no", "hint": "yes"}, "no"),
    ("recovery_begun", {"steps": ["save", "respawn pane %1"]}, "save; respawn pane %1"),
    ("recovery_ended", {"verdict": "verified", "seconds": 0.25}, "verified, after 0.250 s"),
    ("recovery_ended", {"verdict": "it failed", "seconds": None}, "it failed"),
    ("step_ended", {"words": ""}, "done"),
    ("step_ended", {"words": "no", "phase": "undo", "attempt": 2}, "undo: no (attempt 2)"),
    ("recovery_resumed", {"recovery": 7, "resumed": 2}, "recovery 7 is gone on with, for the 2. time"),
    ("recovery_joined", {"recovery": 7, "asker": "operator"}, "operator wants recovery 7 too"),
    ("recovery_stopped", {"recovery": 7, "why": "resolved"}, "resolved"),
    ("config_reloaded", {"before": {"a.b": 1}, "after": {"a.b": [2]}}, "a.b: 1 → [2]"),
    ("config_reloaded", {"before": {}, "after": {}}, "nothing has changed"),
    ("session_renamed", {"old": "web"}, "it was web"),
    ("audit_pruned", {"from": 1, "to": 4}, "records 1 to 4 removed"),
    ("notified", {"by": {"address": "x"}, "text": "run --token abc", "seen": False}, "text run --token ***"),
    ("a word of a later release", {"a": 1, "b": "x" * 99}, f"a 1, b {'x' * 59}…"),
]


@pytest.mark.parametrize(("action", "detail", "wanted"), TABLE)
def test_sentences(action: str, detail: Mapping[str, Any], wanted: str) -> None:
    assert sentence(action, detail) == wanted


_PLAIN = st.none() | st.integers() | st.text(max_size=5)
_VALUES = st.recursive(_PLAIN, lambda inner: st.lists(inner, max_size=3))


@given(st.sampled_from([*Action]), st.dictionaries(st.text(max_size=8), _VALUES, max_size=3))
def test_a_detail_of_any_form_is_told(action: str, detail: dict[str, Any]) -> None:
    assert isinstance(sentence(action, detail), str)
    assert isinstance(who("operator", detail), str)


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        (None, "alert"),
        ({"fingerprint": "f", "alertname": "ApiDown"}, "alert ApiDown"),
        ({"scope": "admin", "address": "127.0.0.1"}, "alert 127.0.0.1"),
        ("nobody", "alert"),
    ],
)
def test_who(by: Any, wanted: str) -> None:
    assert who("alert", {"by": by} if by is not None else {}) == wanted


def test_a_line() -> None:
    row = AuditRow(7, 0.5, "t", "é", "x", "a", "r", {"words": ["--password hunter2"], "n": 1}, "h")
    assert json.loads(line(row)) == {
        "id": 7, "time": "1970-01-01T00:00:00.500Z", "at": 0.5, "trace": "t", "session": "é", "action": "x",
        "actor": "a", "reason": "r", "detail": {"words": ["--password ***"], "n": 1}, "hash": "h",
    }  # fmt: skip
