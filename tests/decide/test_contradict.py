"""Rules that cannot be right together."""

from __future__ import annotations

import pytest

from sidecar.config import SessionSettings
from sidecar.decide.contradict import contradictions
from sidecar.model.heartbeat import Heartbeat, May

ACTS = (May.RESPAWN,)
BOTH = (May.RESPAWN, May.INTERRUPT)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (Heartbeat("web", may=ACTS), Heartbeat("web"), True),
        (Heartbeat("web", may=ACTS), Heartbeat("web", may=ACTS), False),
        (Heartbeat("web", may=BOTH), Heartbeat("web", may=BOTH[::-1]), False),
        (Heartbeat("web", may=ACTS), Heartbeat("api"), False),
        (Heartbeat("web", may=ACTS, pane=0), Heartbeat("web", pane=1), False),
        (Heartbeat("web", may=ACTS, pane=0), Heartbeat("web"), True),
        (Heartbeat("web", may=ACTS, window="a*"), Heartbeat("web", window="b*"), False),
        (Heartbeat("web", may=ACTS, window="a*"), Heartbeat("web", window="*b"), True),
        (Heartbeat("web", may=ACTS, window="1"), Heartbeat("web", window="2"), False),
        (Heartbeat("web", may=ACTS, window="1"), Heartbeat("web", window="main"), True),
    ],
)  # fmt: skip
def test_two_rules_about_one_pane(one: Heartbeat, other: Heartbeat, clash: bool) -> None:
    for pair in ((one, other), (other, one)):
        assert bool(list(contradictions(pair, SessionSettings()))) is clash


@pytest.mark.parametrize(
    ("glob", "manage", "ignore", "never"),
    [
        ("web", ("*",), (), False),
        ("web", ("work-*",), (), True),
        ("*", ("work-*",), (), False),
        ("*-x", ("work-*",), (), False),
        ("web", ("*",), ("w*",), True),
        ("w*", ("*",), ("w*",), True),
        ("web-*", ("*",), ("w*",), True),
        ("w*", ("*",), ("web-*",), False),
        ("*b", ("*",), ("a*b",), False),
        ("a*b", ("*",), ("*b",), True),
        ("a?", ("*",), ("a*",), True),
        ("*", ("*",), ("*",), True),
        ("web", ("*",), ("we?",), True),
        ("we*", ("*",), ("we?",), False),
    ],
)
def test_what_is_not_managed(
    glob: str, manage: tuple[str, ...], ignore: tuple[str, ...], never: bool
) -> None:
    sessions = SessionSettings(manage=manage, ignore=ignore)
    assert bool(list(contradictions([Heartbeat(glob)], sessions))) is never
