"""What is quiet now, whom it is about, and how long it lasts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide import quiet
from sidecar.decide.quiet import covered, covering, ends, holding, in_force, until_next
from sidecar.model.quiet import Hush, QuietKind, Silence, SilenceRequest, Window

NOW = 1_800_000_000.0


def silence(
    target: str = "web", *, number: int = 1, begun: float = NOW, until: float = NOW + 60.0, hold: bool = False
) -> Silence:
    return Silence(number, target, begun, until, hold)


@pytest.mark.parametrize(
    ("target", "session", "check", "covered"),
    [
        ("web", "web", "", True),
        ("web", "web2", "", False),
        ("we*", "web", "", True),
        ("[we]*", "web", "", True),
        # A name that looks like a glob is itself too.
        ("a[b]", "a[b]", "", True),
        ("*", "", "", True),
        ("*", "", "api", True),
        ("**", "", "", False),
        ("?*", "web", "", True),
        ("c*", "", "api", False),
        ("web", "", "", False),
        ("check:api", "", "api", True),
        ("check:a*", "", "api", True),
        ("check:api", "api", "", False),
        ("check:*", "web", "", False),
        # A check that is about a session is quiet with the session, too.
        ("web", "web", "api", True),
        ("check:api", "web", "api", True),
        ("api", "web", "api", False),
    ],
)
def test_whom_it_is_about(target: str, session: str, check: str, covered: bool) -> None:
    hush = Hush(QuietKind.SILENCE, "1", ("nobody", target), NOW)
    assert hush.covers(session, check) is covered


names = st.lists(st.text(alphabet="abW[*", max_size=4), max_size=8, unique=True)
targets = st.lists(st.text(alphabet="abW[]*?!", min_size=1, max_size=5) | st.just("check:*"), max_size=5)


@given(names, targets)
def test_many_at_once_are_the_same_as_one_by_one(sessions: list[str], globs: list[str]) -> None:
    hushes = [Hush(QuietKind.SILENCE, str(n), (glob,), NOW - n) for n, glob in enumerate(globs)]
    found = covered(hushes, sessions)
    assert found == {name: hush for name in sessions if (hush := covering(hushes, name)) is not None}


def test_what_lasts_longest_is_named() -> None:
    hushes = in_force((), [silence(), silence("w*", number=2, until=NOW + 90.0)], NOW)
    assert [hush.name for hush in hushes] == ["2", "1"]
    found = covering(hushes, "web")
    assert (str(found), found and found.until) == ("silence 2", NOW + 90.0)
    assert covering(hushes, "api") is None


def test_only_a_hold_holds() -> None:
    hushes = in_force((), [silence(until=NOW + 90.0), silence("*", number=2, hold=True)], NOW)
    assert str(covering(hushes, "web")) == "silence 1"
    assert str(holding(hushes, "web")) == "silence 2"
    assert str(holding(hushes, "", "api")) == "silence 2"
    assert holding(in_force((), [silence()], NOW), "web") is None


def test_a_window_is_in_force_as_well() -> None:
    nightly = Window("nightly", ("we*",), begins=0, ends=24 * 60, hold=True, reason="backup")
    [hush] = in_force((nightly,), (), NOW)
    assert (str(hush), hush.targets, hush.hold, hush.reason) == ("window nightly", ("we*",), True, "backup")


def test_until_something_changes() -> None:
    hushes = in_force((), [silence(), silence("w*", number=2, until=NOW + 90.0)], NOW)
    assert until_next(hushes, NOW, 15.0) == 15.0
    assert until_next(hushes, NOW + 50.0, 15.0) == 10.0
    assert until_next((), NOW, 15.0) == 15.0


@given(st.floats(1.0, 2.6e6), st.floats(-1e8, 1e8))
def test_no_setting_of_the_clock_makes_it_longer(length: float, moved: float) -> None:
    one = silence(until=NOW + length)
    now = NOW + moved
    left = ends(one, now) - now
    assert left <= length + 1e-3
    if moved >= 0:
        assert ends(one, now) == one.until
    if moved < -length - 1:
        # The clock was set back by more than the silence is long: it ends, and people hear of everything.
        assert left <= 0
        assert in_force((), [one], now) == ()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (SilenceRequest("web", 3_600.0), ""),
        (SilenceRequest("", 3_600.0), "a name has to be printable"),
        (SilenceRequest("w\x1b", 3_600.0), "a name has to be printable"),
        (SilenceRequest("w" * 256, 3_600.0), "1 to 255 characters"),
        (SilenceRequest("web", 0.0), "a silence lasts 1 s to 30 days, and 0 s is not"),
        (SilenceRequest("web", -5.0), "and -5 s is not"),
        (SilenceRequest("web", float("nan")), "and nan s is not"),
        (SilenceRequest("web", float("inf")), "and inf s is not"),
        (SilenceRequest("web", 31 * 86_400.0), "1 s to 30 days"),
        (SilenceRequest("web", 60.0, reason="x" * 501), "a reason has 500 characters at most"),
    ],
)
def test_what_cannot_be_asked_for(asked: SilenceRequest, words: str) -> None:
    found = quiet.fault(asked)
    assert words in found
    assert bool(found) is bool(words)


def test_names_that_are_almost_the_same() -> None:
    assert quiet.near("wbe", {"web", "api"}) == ("web",)
    assert quiet.near("check:ap", {"web", "check:api"}) == ("check:api",)
    assert quiet.near("zzz", {"web", "api"}) == ()


def test_a_held_session_says_what_holds_it() -> None:
    hush = Hush(QuietKind.WINDOW, "nightly", ("*",), NOW + 60.0, True, "backup")
    refusal = quiet.under_maintenance("web", hush, NOW)
    assert refusal.sentence == "web is held by window nightly: backup"
    assert refusal.retry_after == 60.0
    assert "sidecar recover web" in refusal.hint
    assert quiet.under_maintenance("", hush, NOW).sentence.startswith("the tmux server is held")
