from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.judge import judge
from sidecar.decide.layout import checksum
from sidecar.model.plan import Entry, Expectation, Resumption, Verdict
from sidecar.model.session import (
    Look,
    Pane,
    Presence,
    Process,
    SavedPane,
    ServerId,
    Session,
    SessionImage,
    Window,
    image_of,
)


def signed(body: str) -> str:
    return f"{checksum(body)},{body}"


TWO = signed("80x24,0,0{40x24,0,0,1,39x24,41,0,2}")
TWO_NARROW = signed("60x20,0,0{30x20,0,0,8,29x20,31,0,9}")
TWO_UNEVEN = signed("80x24,0,0{50x24,0,0,1,29x24,51,0,2}")
TWO_STACKED = signed("80x24,0,0[80x12,0,0,1,80x11,0,13,2]")
ONE = signed("80x24,0,0,3")
SERVER = ServerId("boot", 100, 5)
GONE = "/gone"


def pane(number: int, index: int = 0, **changes: Any) -> Pane:
    """A bash in /work; its pid is ten times its number."""
    plain = Pane(
        f"%{number}", index, number * 10, "/dev/pts/1", "host", "/work", "", index == 0, False, None,
        80, 24, 0, 0, False, "", ("-bash",),
    )  # fmt: skip
    return replace(plain, **changes)


def window(number: int, layout: str, *panes: Pane, **changes: Any) -> Window:
    plain = Window(
        f"@{number}", number, f"w{number}", layout, False, number == 0, False, False, 0, "failed", True, panes
    )
    return replace(plain, **changes)


def session(*windows: Window, **changes: Any) -> Session:
    return replace(Session("$0", "work", 0, 0, "", "/bin/bash", "", windows), **changes)


def look(*sessions: Session, **changes: Any) -> Look:
    return replace(Look(Presence.PRESENT, 1.0, SERVER, "3.3a", "", sessions), **changes)


LEFT, RIGHT, OTHER = pane(1), pane(2, 1), pane(3)
LIVE = session(window(0, TWO, LEFT, RIGHT), window(1, ONE, OTHER))
IMAGE = image_of(LIVE, width=80, height=24)


def with_pane(live: Session, number: int, **changes: Any) -> Session:
    """The session with one pane changed."""
    return replace(
        live,
        windows=tuple(
            replace(w, panes=tuple(replace(p, **changes) if p.id == f"%{number}" else p for p in w.panes))
            for w in live.windows
        ),
    )


def with_window(live: Session, index: int, **changes: Any) -> Session:
    return replace(
        live, windows=tuple(replace(w, **changes) if w.index == index else w for w in live.windows)
    )


def saved(edit: Callable[[SavedPane], SavedPane]) -> SessionImage:
    """The image with its first pane changed."""
    first = IMAGE.windows[0]
    panes = (edit(first.panes[0]), *first.panes[1:])
    return replace(IMAGE, windows=(replace(first, panes=panes), *IMAGE.windows[1:]))


def hard(verdict: Verdict) -> list[tuple[str, str]]:
    return [(each.where, each.field) for each in verdict.differences if not each.tolerated]


def tolerated(verdict: Verdict) -> list[tuple[str, str]]:
    return [(each.where, each.field) for each in verdict.differences if each.tolerated]


def test_the_same_session_holds_without_any_difference() -> None:
    assert judge(Expectation(IMAGE), None, look(LIVE)) == Verdict(True)


@pytest.mark.parametrize("presence", [Presence.UNKNOWN, Presence.ABSENT])
def test_no_answer_is_no_success(presence: Presence) -> None:
    after = Look(presence, 1.0, reason="timed out")
    assert not judge(Expectation(IMAGE), None, after).holds
    verdict = judge(Expectation(None), None, after)
    assert hard(verdict) == [("server", "presence")]
    assert verdict.differences[0].found == f"{presence}: timed out"


def test_a_server_that_answers_again_is_enough_when_no_session_was_named() -> None:
    assert judge(Expectation(None), Look(Presence.ABSENT, 0.0), look()).holds


def test_a_missing_session() -> None:
    assert hard(judge(Expectation(IMAGE), None, look())) == [("session work", "presence")]


@pytest.mark.parametrize(
    ("live", "differences"),
    [
        (replace(LIVE, windows=LIVE.windows[:1]), [("window 1", "presence")]),
        (replace(LIVE, windows=(*LIVE.windows, window(5, ONE, pane(9)))), [("window 5", "presence")]),
        (with_window(LIVE, 1, name="other"), [("window 1", "name")]),
        (with_window(LIVE, 0, zoomed=True), [("window 0", "zoomed")]),
        (with_window(LIVE, 0, active=False), [("window 0", "active")]),
        (with_window(LIVE, 0, layout=TWO_STACKED), [("window 0", "layout")]),
        (with_window(LIVE, 0, layout=TWO_UNEVEN), [("window 0", "layout")]),
        (with_window(LIVE, 0, layout="what"), [("window 0", "layout")]),
        (with_window(LIVE, 0, panes=(LEFT,)), [("window 0", "panes"), ("pane 0.1", "presence")]),
        (with_window(LIVE, 0, panes=(LEFT, RIGHT, pane(4, 2))), [("window 0", "panes")]),
        (with_pane(LIVE, 2, active=True), [("pane 0.1", "active")]),
        (with_pane(LIVE, 2, cwd="/else"), [("pane 0.1", "cwd")]),
        (with_pane(LIVE, 2, dead=True, cwd=""), [("pane 0.1", "dead")]),
        (with_pane(LIVE, 2, argv=("zsh",)), [("pane 0.1", "command")]),
        (with_pane(LIVE, 2, argv=("sh", "-c", "cat x; exec bash")), [("pane 0.1", "command")]),
        (with_pane(LIVE, 2, argv=()), [("pane 0.1", "command")]),
    ],
)
def test_hard_differences(live: Session, differences: list[tuple[str, str]]) -> None:
    verdict = judge(Expectation(IMAGE), None, look(live))
    assert not verdict.holds
    assert hard(verdict) == differences
    assert tolerated(verdict) == []


def test_pane_ids_of_a_layout_do_not_matter() -> None:
    live = with_window(LIVE, 0, layout=signed("80x24,0,0{40x24,0,0,71,39x24,41,0,72}"))
    assert judge(Expectation(IMAGE), None, look(live)) == Verdict(True)


@pytest.mark.parametrize(
    ("live", "difference"),
    [
        (with_pane(LIVE, 2, title="vim"), ("pane 0.1", "title")),
        (with_window(LIVE, 0, layout=TWO_NARROW), ("window 0", "layout")),
        (replace(with_window(LIVE, 0, layout=TWO_UNEVEN), attached=1), ("window 0", "layout")),
        (replace(with_window(LIVE, 0, zoomed=True), attached=1), ("window 0", "zoomed")),
        (replace(with_window(LIVE, 0, active=False), attached=1), ("window 0", "active")),
        (replace(with_pane(LIVE, 2, active=True), attached=1), ("pane 0.1", "active")),
    ],
)
def test_tolerated_differences_are_named_with_their_excuse(
    live: Session, difference: tuple[str, str]
) -> None:
    verdict = judge(Expectation(IMAGE), None, look(live))
    assert verdict.holds
    assert tolerated(verdict) == [difference]
    assert verdict.differences[0].note


def test_a_window_that_names_itself_may_have_another_name() -> None:
    image = replace(IMAGE, windows=tuple(replace(w, automatic_rename=True) for w in IMAGE.windows))
    verdict = judge(Expectation(image), None, look(with_window(LIVE, 0, name="vim")))
    assert verdict.holds
    assert tolerated(verdict) == [("window 0", "name")]


def test_a_stored_layout_that_tmux_would_not_take_is_not_held_against_the_session() -> None:
    image = replace(IMAGE, windows=tuple(replace(w, layout="9999,garbage") for w in IMAGE.windows))
    verdict = judge(Expectation(image), None, look(LIVE))
    assert verdict.holds
    assert tolerated(verdict) == [("window 0", "layout"), ("window 1", "layout")]


def test_a_folder_that_no_longer_exists() -> None:
    image = saved(lambda each: replace(each, cwd=GONE))
    assert hard(judge(Expectation(image), None, look(LIVE))) == [("pane 0.0", "cwd")]
    verdict = judge(Expectation(image, tolerated_cwd=(GONE,)), None, look(LIVE))
    assert verdict.holds
    assert verdict.differences[0].note == "the folder no longer exists"


@pytest.mark.parametrize(
    ("start_command", "wanted", "found", "outcome"),
    [
        ("top", ("top",), ("/usr/bin/top",), "same"),
        ("top -d 5", ("top", "-d", "5"), ("top",), "hard"),
        ("top", ("top",), ("htop",), "hard"),
        ("top", ("top",), (), "hard"),
        ("top", (), ("anything",), "same"),
        ("x", ("sh", "-c", "exec top -d 5"), ("top", "-d", "5"), "tolerated"),
        ("x", ("/bin/bash", "-c", "top"), ("top",), "tolerated"),
        ("x", ("bash", "-c", "top"), ("sh", "-c", "top"), "hard"),
        ("x", ("bash", "-c", "make all && . env; exec top -d 5"), ("top", "-d", "5"), "tolerated"),
        ("x", ("bash", "-c", "top; make"), ("top",), "hard"),
        ("x", ("bash", "-c", "echo 'a; top'"), ("top'",), "hard"),
        ("x", ("bash", "-c", "top;"), ("top",), "hard"),
        ("x", ("top",), ("bash", "-c", "make; top"), "tolerated"),
        ("x", ("bash", "-c", "it's"), ("it", "s"), "hard"),
        ("x", ("top",), ("sh", "-c", "exec top"), "hard"),
        ("x", ("top", "-d", "5"), ("/bin/sh", "-c", "top -d 5"), "tolerated"),
        ("x", ("top",), ("sh", "-c", "top; rm x"), "hard"),
        ("bash", ("bash",), ("-bash",), "same"),
        ("bash", ("bash", "-l"), ("bash",), "hard"),
        ("", ("-bash",), ("/bin/bash", "-l"), "same"),
        ("", ("zsh",), ("-bash",), "tolerated"),
        ("", ("htop",), ("-bash",), "tolerated"),
        ("", ("bash",), ("zsh",), "hard"),
        ("", (), ("-fish",), "same"),
        ("", (), ("sleep", "5"), "hard"),
    ],
)
def test_the_own_process_of_a_pane(
    start_command: str, wanted: tuple[str, ...], found: tuple[str, ...], outcome: str
) -> None:
    image = saved(lambda each: replace(each, argv=wanted, start_command=start_command))
    verdict = judge(Expectation(image), None, look(with_pane(LIVE, 1, argv=found)))
    wanted_fields = [] if outcome == "same" else [("pane 0.0", "command")]
    assert hard(verdict) == (wanted_fields if outcome == "hard" else [])
    assert tolerated(verdict) == (wanted_fields if outcome == "tolerated" else [])


def resumed(entry: Entry, line: str, *argv: str) -> Expectation:
    image = saved(lambda each: replace(each, program=argv))
    return Expectation(image, (Resumption(0, 0, entry, line, argv, "the rule"),))


@pytest.mark.parametrize(
    ("expectation", "running", "outcome"),
    [
        (resumed(Entry.TYPED, "top -d 5", "top", "-d", "5"), ("/usr/bin/top", "-d", "5"), "same"),
        (resumed(Entry.TYPED, "top -d 5", "top", "-d", "5"), ("top",), "hard"),
        (resumed(Entry.TYPED, "top -d 5", "top", "-d", "5"), (), "hard"),
        (resumed(Entry.TYPED, "cat $'a\\x09z'", "cat", "a\tz"), ("sleep", "1"), "hard"),
        (
            resumed(Entry.TYPED, "claude --resume 1", "node", "claude"),
            ("claude", "--resume", "1"),
            "tolerated",
        ),
        (resumed(Entry.TYPED, "claude --resume 1", "node", "claude"), (), "hard"),
        (resumed(Entry.HELD, "make", "make"), (), "tolerated"),
        (resumed(Entry.HELD, "make", "make"), ("make",), "same"),
        (resumed(Entry.SKIPPED, "", "a\tb"), (), "tolerated"),
    ],
)
def test_the_program_in_a_shell(expectation: Expectation, running: tuple[str, ...], outcome: str) -> None:
    program = Process(77, running) if running else None
    verdict = judge(expectation, None, look(with_pane(LIVE, 1, program=program)))
    fields = [] if outcome == "same" else [("pane 0.0", "program")]
    assert hard(verdict) == (fields if outcome == "hard" else [])
    assert tolerated(verdict) == (fields if outcome == "tolerated" else [])


AGENT = ("claude", "--resume", "1")


@pytest.mark.parametrize(
    ("command", "found", "outcome"),
    [
        (AGENT, AGENT, "tolerated"),
        (AGENT, ("/opt/claude", "--resume", "1"), "tolerated"),
        (AGENT, ("claude", "", "", ""), "tolerated"),
        (("node", "/opt/claude", "--resume", "1"), ("claude", "", ""), "tolerated"),
        (AGENT, ("claude", "--session-id", "1"), "same"),
        (AGENT, ("claude",), "hard"),
        (AGENT, ("claude", "--resume", "2"), "hard"),
        (AGENT, ("vim", "", "", ""), "hard"),
        (AGENT, ("-bash",), "hard"),
        ((), AGENT, "hard"),
        ((), ("claude", "--session-id", "1"), "same"),
    ],
)
def test_an_agents_own_command_may_be_the_one_that_takes_up_its_conversation(
    command: tuple[str, ...], found: tuple[str, ...], outcome: str
) -> None:
    own = ("claude", "--session-id", "1")
    image = saved(lambda each: replace(each, argv=own, start_command="claude --session-id 1"))
    resumption = Resumption(0, 0, Entry.STARTED, "the line", own, "the rule", True, command)
    verdict = judge(Expectation(image, (resumption,)), None, look(with_pane(LIVE, 1, argv=found)))
    fields = [] if outcome == "same" else [("pane 0.0", "command")]
    assert hard(verdict) == (fields if outcome == "hard" else [])
    assert tolerated(verdict) == (fields if outcome == "tolerated" else [])
    if outcome == "tolerated":
        assert verdict.differences[0].note == f"started as `{' '.join(command)}`: the rule"


def test_what_was_started_in_its_place_is_told_without_secrets() -> None:
    command = ("claude", "--api-key", "hunter2", "--resume", "1")
    image = saved(lambda each: replace(each, argv=("claude",), start_command="claude"))
    resumption = Resumption(0, 0, Entry.STARTED, "claude --api-key hunter2", ("claude",), "x", True, command)
    verdict = judge(Expectation(image, (resumption,)), None, look(with_pane(LIVE, 1, argv=command)))
    assert tolerated(verdict) == [("pane 0.0", "command")]
    assert "hunter2" not in str(verdict.differences)


def test_what_runs_below_an_own_command_is_its_own_doing() -> None:
    image = saved(lambda each: replace(each, argv=AGENT, start_command="x", program=("git", "log")))
    resumption = Resumption(0, 0, Entry.STARTED, "x", AGENT, "the rule", True)
    verdict = judge(Expectation(image, (resumption,)), None, look(with_pane(LIVE, 1, argv=AGENT)))
    assert (hard(verdict), tolerated(verdict)) == ([], [("pane 0.0", "program")])


def test_what_is_held_is_said() -> None:
    verdict = judge(resumed(Entry.HELD, "make -j", "make", "-j"), None, look(LIVE))
    assert verdict.differences[0].note == "held for a person, `make -j` waits to be entered: the rule"


PARTIAL = Expectation(IMAGE, untouched=(("%1", 10), ("%3", 30)), replaced=(("%2", 20),))
"""The plan that respawns the right pane."""

BEFORE = look(with_pane(LIVE, 2, dead=True))
HEALED = with_pane(LIVE, 2, pid=21)


def test_a_respawned_pane_between_untouched_siblings() -> None:
    assert judge(PARTIAL, BEFORE, look(HEALED)) == Verdict(True)


@pytest.mark.parametrize(
    ("live", "differences"),
    [
        (LIVE, [("pane 0.1", "process")]),
        (with_pane(HEALED, 2, dead=True), [("pane 0.1", "process"), ("pane 0.1", "dead")]),
        (with_pane(HEALED, 1, pid=11), [("pane 0.0", "process")]),
        (with_pane(HEALED, 1, dead=True), [("pane 0.0", "process"), ("pane 0.0", "dead")]),
        (
            with_window(HEALED, 0, panes=(LEFT,)),
            [("pane 0.1", "process"), ("window 0", "panes"), ("pane 0.1", "presence")],
        ),
    ],
)
def test_siblings_stay_and_the_replaced_one_does_not(
    live: Session, differences: list[tuple[str, str]]
) -> None:
    assert hard(judge(PARTIAL, BEFORE, look(live))) == differences


def test_a_sibling_goes_on_with_its_own_life() -> None:
    live = with_pane(HEALED, 1, cwd="/else", argv=("htop",), program=Process(5, ("vim",)))
    verdict = judge(PARTIAL, BEFORE, look(live))
    assert verdict.holds
    assert tolerated(verdict) == [("pane 0.0", "cwd"), ("pane 0.0", "command")]


def test_a_sibling_that_ended_by_itself_is_told_and_excused() -> None:
    moved = replace(RIGHT, pid=21, index=0, active=True)
    live = with_window(LIVE, 0, panes=(moved,), layout=signed("80x24,0,0,2"))
    verdict = judge(PARTIAL, BEFORE, look(live))
    assert verdict.holds
    assert tolerated(verdict) == [
        ("pane 0.0", "process"), ("window 0", "panes"), ("window 0", "layout"), ("pane 0.0", "presence"),
        ("pane 0.1", "active"),
    ]  # fmt: skip


def test_a_window_whose_only_pane_ended_by_itself_is_excused() -> None:
    verdict = judge(PARTIAL, BEFORE, look(replace(HEALED, windows=HEALED.windows[:1])))
    assert verdict.holds
    assert tolerated(verdict) == [("pane 1.0", "process"), ("window 1", "presence")]


def test_windows_that_were_renumbered_are_still_known() -> None:
    live = replace(HEALED, windows=(replace(HEALED.windows[0], index=3), replace(HEALED.windows[1], index=4)))
    assert judge(PARTIAL, BEFORE, look(live)).holds


@pytest.mark.parametrize("dead", [True, False])
def test_a_pane_that_was_dead_before_and_is_no_part_of_the_plan(dead: bool) -> None:
    before = look(with_pane(with_pane(LIVE, 2, dead=True), 3, dead=True))
    plan = replace(PARTIAL, untouched=(("%1", 10),))
    live = with_pane(HEALED, 3, dead=True) if dead else replace(HEALED, windows=HEALED.windows[:1])
    verdict = judge(plan, before, look(live))
    assert verdict.holds
    assert tolerated(verdict) == ([("pane 1.0", "dead")] if dead else [("window 1", "presence")])


def test_another_server_has_none_of_the_processes() -> None:
    verdict = judge(PARTIAL, BEFORE, look(HEALED, server=ServerId("boot", 200, 9)))
    assert hard(verdict) == [("server", "life")]


def test_without_an_earlier_look_panes_are_named_by_id() -> None:
    assert hard(judge(PARTIAL, None, look(LIVE))) == [("pane %2", "process")]


@pytest.mark.parametrize("before", [look(LIVE), None])
def test_a_resumed_program_in_a_shell_that_lives_on(before: Look | None) -> None:
    resumption = Resumption(0, 0, Entry.TYPED, "top", ("top",), "rule")
    image = saved(lambda each: replace(each, program=("top",), cwd="/of/the/program"))
    plan = Expectation(image, (resumption,), untouched=(("%1", 10), ("%2", 20), ("%3", 30)))
    assert hard(judge(plan, before, look(LIVE))) == [("pane 0.0", "program")]
    verdict = judge(plan, before, look(with_pane(LIVE, 1, program=Process(99, ("top",)))))
    assert verdict.holds
    assert tolerated(verdict) == [("pane 0.0", "cwd")]


WINDOWS = st.lists(
    st.builds(
        lambda number, count, layout: (number, count, layout),
        st.integers(0, 4), st.integers(0, 3), st.sampled_from([ONE, TWO, "", "garbage"]),
    ),
    unique_by=lambda each: each[0], max_size=4,
)  # fmt: skip


def built(shape: list[tuple[int, int, str]]) -> Session:
    return session(
        *(
            window(number, layout, *(pane(number * 10 + place, place) for place in range(count)))
            for number, count, layout in shape
        )
    )


@given(one=WINDOWS, other=WINDOWS, earlier=WINDOWS)
def test_any_two_sessions_get_a_verdict(
    one: list[tuple[int, int, str]], other: list[tuple[int, int, str]], earlier: list[tuple[int, int, str]]
) -> None:
    image = image_of(built(one), width=80, height=24)
    siblings = tuple((each.id, each.pid) for each in built(earlier).panes())
    for untouched in ((), siblings):
        verdict = judge(Expectation(image, untouched=untouched), look(built(earlier)), look(built(other)))
        assert verdict.holds is (hard(verdict) == [])
        assert all(bool(each.note) is each.tolerated for each in verdict.differences)
    assert judge(Expectation(image), None, look(built(one))).holds
