"""Which alerts an Alertmanager's silences are about, and which of its expressions we do not touch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.matchers import shown, silencing, usable
from sidecar.model.quiet import ForeignSilence, Hush, Matcher, QuietKind

NOW = 1_800_000_000.0
LABELS = {"alertname": "TmuxSidecarGivenUp", "session": "web", "instance": "box", "severity": "critical"}


def silence(*matchers: Matcher, begins: float = NOW - 1.0, until: float = NOW + 60.0) -> ForeignSilence:
    return ForeignSilence("a1", matchers, begins, until, "moving")


@pytest.mark.parametrize(
    ("matchers", "quiet"),
    [
        ([Matcher("session", "web")], True),
        ([Matcher("session", "we")], False),
        ([Matcher("session", "api", equal=False)], True),
        ([Matcher("session", "web", equal=False)], False),
        # Expressions have to fit as a whole.
        ([Matcher("session", "we", regex=True)], False),
        ([Matcher("session", "api|web", regex=True)], True),
        ([Matcher("session", "w.*", regex=True, equal=False)], False),
        ([Matcher("session", "a.*", regex=True, equal=False)], True),
        # A label that is not there is one without a value.
        ([Matcher("team", "")], True),
        ([Matcher("team", "x", equal=False)], True),
        ([Matcher("team", ".+", regex=True)], False),
        ([Matcher("session", "web"), Matcher("instance", "other")], False),
        ([Matcher("session", "web"), Matcher("alertname", "TmuxSidecar.*", regex=True)], True),
    ],
)
def test_the_four_signs(matchers: list[Matcher], quiet: bool) -> None:
    found = silencing([silence(*matchers)], [LABELS], NOW)
    assert (found is not None) is quiet


def test_only_while_it_lasts() -> None:
    one = silence(Matcher("session", "web"))
    assert silencing([one], [LABELS], NOW - 1.0) is one
    assert silencing([one], [LABELS], NOW - 1.1) is None
    assert silencing([one], [LABELS], NOW + 60.0) is None


def test_several_alerts_have_to_be_silent_all() -> None:
    one = silence(Matcher("alertname", "TmuxSidecarGivenUp"))
    assert silencing([one], [LABELS, {**LABELS, "alertname": "TmuxSidecarStuck"}], NOW) is None


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a+)+", "'(a+)+' would take for ever on many more of 'aaaaa"),
        ("(a|a)*b", "would take for ever"),
        ("(.*)*x", "would take for ever"),
        ("(?i)(w+)+eb", "would take for ever"),
        (r"\pL+", "is not understood"),
        ("(", "is not understood"),
        ("x" * 1_001, "an expression of 1001 characters"),
    ],
)
def test_what_could_take_for_ever_is_not_used(pattern: str, why: str) -> None:
    good, faults = usable([silence(Matcher("session", pattern, regex=True))])
    assert good == ()
    assert why in faults["a1"]


@pytest.mark.parametrize(
    "pattern",
    [
        ".*web.*",
        "(api|web)-.*",
        "(api|web)?",
        r"a\+\*\(b\)*",
        "[*+)(]+",
        "[]*+]x",
        r"w\d{3}",
        "^web$",
        "(a|b)*",
        ".*.*.*x",
        "(?i)WEB",
        "",
    ],
)
def test_what_people_write_is_used(pattern: str) -> None:
    one = silence(Matcher("session", pattern, regex=True))
    assert usable([one]) == ((one,), {})


def test_one_without_conditions_is_about_nothing() -> None:
    assert usable([silence()]) == ((), {})


def test_what_would_take_long_on_this_very_value_is_not_tried() -> None:
    one = silence(Matcher("session", ".*.*.*.*", regex=True))
    assert silencing([one], [{"session": "web"}], NOW) is one
    assert silencing([one], [{"session": "w" * 5_000}], NOW) is None


def test_upper_and_lower_case() -> None:
    one = silence(Matcher("session", "(?i)WEB|api", regex=True))
    assert silencing([one], [{"session": "web"}], NOW) is one
    assert silencing([one], [{"session": "web2"}], NOW) is None


@given(st.text(alphabet="ab*+?()[]{}|\\,1.", max_size=12), st.text(alphabet="ab", max_size=255))
def test_nothing_that_is_used_raises_or_takes_long(pattern: str, value: str) -> None:
    good, _ = usable([silence(Matcher("session", pattern, regex=True))])
    silencing(good, [{"session": value}], NOW)


def test_how_it_is_listed() -> None:
    one = silence(
        Matcher("a", "1"),
        Matcher("b", "2", regex=True),
        Matcher("c", "3", equal=False),
        Matcher("d", "4", True, False),
    )
    assert shown(one) == Hush(
        QuietKind.ALERTMANAGER, "a1", ("a=1", "b=~2", "c!=3", "d!~4"), NOW + 60.0, reason="moving"
    )
