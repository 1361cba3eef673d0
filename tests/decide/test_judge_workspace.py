"""A session that was built as declared, against what is declared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sidecar.decide.judge import judge
from sidecar.decide.layout import checksum, named_skeleton, skeleton
from sidecar.model.plan import Expectation, Verdict
from sidecar.model.session import Look, Pane, Presence, Session, Window
from sidecar.model.workspace import NAMED_LAYOUTS, Command, DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import absent, look, pane, session

PLAIN = DeclaredPane("/srv")
TYPED = DeclaredPane("/srv", commands=(Command(" make"),))
STACKED = "200x50,0,0[200x25,0,0,1,200x24,0,26,2]"
LAYOUT = f"{checksum(STACKED)},{STACKED}"
ALONE = f"{checksum('200x50,0,0,1')},200x50,0,0,1"


def workspace(*windows: DeclaredWindow) -> Workspace:
    return Workspace("web", windows)


CODE = DeclaredWindow((PLAIN, PLAIN), name="code")
LOGS = DeclaredWindow((PLAIN,), name="logs", index=7)
DECLARED = workspace(CODE, LOGS)


def window(number: int, name: str, *panes: Pane, **changes: Any) -> Window:
    plain = replace(session().windows[0], id=f"@{number}", index=number, name=name, layout=ALONE, panes=panes)
    return replace(plain, active=number == 0, **changes)


def live(*windows: Window, **changes: Any) -> Session:
    return replace(session(), windows=windows, **changes)


FIRST, SECOND = replace(pane(1), active=False), replace(pane(2), active=True)
LIVE = live(window(0, "code", FIRST, SECOND, layout=LAYOUT), window(7, "logs", pane(1)))


def told(after: Look, wanted: Workspace = DECLARED, **words: Any) -> Verdict:
    return judge(Expectation(None, workspace=wanted, **words), None, after)


def fields(verdict: Verdict, *, tolerated: bool) -> list[tuple[str, str]]:
    return [(one.where, one.field) for one in verdict.differences if one.tolerated is tolerated]


def with_panes(*panes: Pane, **changes: Any) -> Look:
    return look(live(window(0, "code", *panes, layout=LAYOUT, **changes), LIVE.windows[1]))


def test_what_is_as_declared_holds() -> None:
    verdict = told(look(LIVE))
    assert verdict == Verdict(True)
    assert verdict.compared == {
        **{f"window {field}": 2 for field in ("name", "panes", "layout", "active")},
        **{f"pane {field}": 3 for field in ("active", "title", "cwd", "command")},
    }


def test_without_an_answer_or_a_session_nothing_holds() -> None:
    assert fields(told(Look(Presence.UNKNOWN, 0.0)), tolerated=False) == [("server", "presence")]
    assert fields(told(absent()), tolerated=False) == [("session web", "presence")]


@pytest.mark.parametrize(
    ("after", "differences"),
    [
        (look(live(LIVE.windows[0])), [("window 'logs'", "presence")]),
        (look(live(*LIVE.windows, window(9, "x", pane(1)))), [("window 9", "presence")]),
        (look(live(replace(LIVE.windows[0], name="x"), LIVE.windows[1])), [("window 'code'", "name")]),
        (with_panes(FIRST), [("window 'code'", "panes")]),
        (with_panes(FIRST, replace(SECOND, dead=True)), [("window 'code' pane 1", "dead")]),
        (with_panes(FIRST, replace(SECOND, cwd="/")), [("window 'code' pane 1", "cwd")]),
        (with_panes(FIRST, replace(SECOND, argv=("vim",))), [("window 'code' pane 1", "command")]),
        (with_panes(FIRST, replace(SECOND, argv=())), [("window 'code' pane 1", "command")]),
        (
            with_panes(replace(FIRST, active=True), replace(SECOND, active=False)),
            [("window 'code' pane 0", "active"), ("window 'code' pane 1", "active")],
        ),
        (
            look(live(replace(LIVE.windows[0], active=False), replace(LIVE.windows[1], active=True))),
            [("window 'code'", "active"), ("window 'logs'", "active")],
        ),
        (
            look(live(replace(LIVE.windows[0], layout=ALONE), LIVE.windows[1])),
            [("window 'code'", "layout")],
        ),
    ],
)
def test_what_is_not_as_declared_is_named(after: Look, differences: list[tuple[str, str]]) -> None:
    verdict = told(after)
    assert not verdict.holds
    assert fields(verdict, tolerated=False) == differences


def test_where_something_was_typed_the_pane_goes_on_by_itself() -> None:
    wanted = workspace(DeclaredWindow((TYPED, TYPED), name="code"), LOGS)
    moved = replace(FIRST, cwd="/elsewhere", argv=("make",))
    verdict = told(with_panes(moved, SECOND), wanted)
    assert verdict.holds
    assert fields(verdict, tolerated=True) == [
        ("window 'code' pane 0", "cwd"),
        ("window 'code' pane 0", "command"),
    ]
    assert told(with_panes(FIRST), wanted).holds
    assert told(look(live(LIVE.windows[1])), wanted).holds
    assert not told(with_panes(FIRST, SECOND, SECOND), wanted).holds


def test_a_pane_with_a_command_of_its_own_is_no_shell() -> None:
    wanted = workspace(DeclaredWindow((PLAIN, DeclaredPane("/srv", shell="vim")), name="code"), LOGS)
    assert told(with_panes(FIRST, replace(SECOND, argv=("vim",))), wanted).holds
    tool = live(window(0, "code", FIRST, replace(SECOND, argv=("x",)), layout=LAYOUT), LIVE.windows[1])
    assert told(look(replace(tool, default_command="x"))).holds
    odd = live(window(0, "code", FIRST, replace(SECOND, argv=("own",)), layout=LAYOUT), LIVE.windows[1])
    assert told(look(replace(odd, default_shell="/opt/own"))).holds


def test_folders_that_are_links_or_are_gone() -> None:
    wanted = workspace(DeclaredWindow((DeclaredPane("/link"), DeclaredPane("/gone")), name="code"), LOGS)
    after = with_panes(FIRST, replace(SECOND, cwd="/"))
    verdict = told(after, wanted, folders=(("/link", "/srv"),), tolerated_cwd=("/gone",))
    assert verdict.holds
    assert fields(verdict, tolerated=True) == [("window 'code' pane 1", "cwd")]
    assert not told(after, wanted).holds


def test_whoever_is_attached_may_change_sizes_and_selections() -> None:
    windows = (replace(LIVE.windows[0], active=False), replace(LIVE.windows[1], active=True))
    assert told(look(live(*windows, attached=1))).holds


def test_titles_are_told_but_belong_to_programs() -> None:
    wanted = workspace(DeclaredWindow((replace(PLAIN, title="server"), PLAIN), name="code"), LOGS)
    verdict = told(look(LIVE), wanted)
    assert verdict.holds
    assert fields(verdict, tolerated=True) == [("window 'code' pane 0", "title")]


def test_windows_without_a_name_and_a_layout_of_their_own() -> None:
    wanted = workspace(DeclaredWindow((PLAIN, PLAIN), layout=LAYOUT, focus=True), LOGS)
    assert told(look(LIVE), wanted).holds
    assert fields(told(look(live(LIVE.windows[1])), wanted), tolerated=False)[0] == (
        "window number 1",
        "presence",
    )


@pytest.mark.parametrize("name", ["", *NAMED_LAYOUTS])
def test_a_named_layout_has_a_cell_for_each_pane(name: str) -> None:
    for panes in range(1, 30):
        assert named_skeleton(name, panes).count(".") == panes
    assert named_skeleton(name, 1) == "."


def test_the_tree_of_a_window_is_the_tree_that_is_expected() -> None:
    assert skeleton(LAYOUT) == named_skeleton("", 2) == "[.,.]"
