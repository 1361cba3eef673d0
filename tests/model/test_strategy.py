"""Users' own strategies beside the closed list, and the names of their circuits."""

from __future__ import annotations

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from sidecar.model import circuits
from sidecar.model.plan import OWN_NAME, Strategy

OWN = Strategy("custom:redo")
NAMES = st.from_regex(OWN_NAME, fullmatch=True)


def test_it_is_one_that_no_list_has() -> None:
    assert OWN not in list(Strategy)
    assert {OWN: 1}[Strategy("custom:redo")] == 1
    assert (f"{OWN}", OWN.value, OWN.own_name, OWN.family) == ("custom:redo", "custom:redo", "redo", "custom")
    assert [each for each in Strategy if each.own_name or each.family is not each] == []


@pytest.mark.parametrize(
    "word", ["custom:", "custom:A", "custom:a b", "custom:a:b", f"custom:{'a' * 41}", "own:a"]
)
def test_what_is_no_name(word: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Strategy"):
        Strategy(word)


@given(NAMES)
def test_it_is_stored_and_read_again(name: str) -> None:
    one = Strategy(f"custom:{name}")
    assert msgspec.json.decode(msgspec.json.encode(one), type=Strategy) == one
    assert one.own_name == name


@given(NAMES, st.text(min_size=1))
def test_its_circuits(name: str, session: str) -> None:
    one = Strategy(f"custom:{name}")
    assert circuits.is_name(one.value)
    assert circuits.session_of(one.value) is None
    assert circuits.passes(one.value)
    of_session = circuits.for_session(one, session)
    assert circuits.is_name(of_session)
    assert circuits.session_of(of_session) == session


@pytest.mark.parametrize(
    ("name", "session"),
    [
        ("respawn_pane:web", "web"), ("respawn_pane:", ""), ("respawn_pane", None), ("custom", None),
        ("custom:", None), ("custom:A:web", None), ("dependency:h:1", None), ("other:web", None),
    ],
)  # fmt: skip
def test_whom_a_circuit_is_about(name: str, session: str | None) -> None:
    assert circuits.session_of(name) == session
    assert circuits.is_name(name) is (bool(session) or name in ("respawn_pane", "custom", "dependency:h:1"))
