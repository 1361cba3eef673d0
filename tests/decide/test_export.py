"""A checkpoint as a tmuxp workspace; that tmuxp builds the same from it is tested on a real one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sidecar.decide.export import workspace
from sidecar.model.plan import Entry, Resumption
from sidecar.model.session import SavedPane, SavedWindow, SessionImage

SHELL = SavedPane(0, "", "/srv", "", ("-bash",), (), True)
WINDOW = SavedWindow(3, "main", "b25e,80x24,0,0,1", False, True, False, False, (SHELL,))
IMAGE = SessionImage("web", 80, 24, "/bin/bash", "", (("API_KEY", "hunter2"),), (WINDOW,))


def pane_of(pane: SavedPane, entry: Entry | None = None, line: str = "", argv: tuple[str, ...] = ()) -> Any:
    answer = None if entry is None else Resumption(3, 0, entry, line, argv, "a rule")
    image = replace(IMAGE, windows=(replace(WINDOW, panes=(pane,)),))
    return workspace(image, lambda *_: answer)["windows"][0]["panes"][0]


def test_the_frame() -> None:
    assert workspace(IMAGE, lambda *_: None) == {
        "session_name": "web",
        "options": {"default-size": "80x24", "default-shell": "/bin/bash"},
        "windows": [
            {
                "window_name": "main",
                "window_index": 3,
                "layout": "b25e,80x24,0,0,1",
                "focus": True,
                "panes": [{"start_directory": "/srv", "focus": True, "shell_command": []}],
            }
        ],
    }


def test_a_layout_that_would_not_fit_is_left_out() -> None:
    image = replace(IMAGE, windows=(replace(WINDOW, layout="junk", active=False, automatic_rename=True),))
    (window,) = workspace(image, lambda *_: None)["windows"]
    assert "layout" not in window
    assert "focus" not in window
    assert window["options_after"] == {"automatic-rename": "on"}


@pytest.mark.parametrize(
    ("entry", "line", "argv", "commands"),
    [
        (Entry.TYPED, "top", ("top",), [{"cmd": "top"}]),
        (Entry.HELD, "make run", ("make", "run"), [{"cmd": "make run", "enter": False}]),
        (Entry.SKIPPED, "", ("x",), []),
        (Entry.TYPED, "echo '$HOME'", ("echo", "$HOME"), [{"cmd": "echo '$''HOME'"}]),
        (Entry.TYPED, "cd $HOME", ("cd", "/root"), [{"cmd": "cd $HOME"}]),
        (
            Entry.TYPED,
            "psql --password x",
            ("psql", "--password", "x"),
            [{"cmd": "psql --password ***", "enter": False}],
        ),
    ],
)
def test_what_ran_in_a_shell(
    entry: Entry, line: str, argv: tuple[str, ...], commands: list[dict[str, Any]]
) -> None:
    assert pane_of(SHELL, entry, line, argv)["shell_command"] == commands


@pytest.mark.parametrize(
    ("start", "argv", "wanted"),
    [
        ('"sleep 5"', ("sleep", "5"), {"shell": "sleep 5", "shell_command": []}),
        ('"a && b"', ("sh", "-c", "a && b"), {"shell": "sh -c 'a && b'", "shell_command": []}),
        ('"a && b"', (), {"shell": "a && b", "shell_command": []}),
        ("sleep 5", (), {"shell": "sleep 5", "shell_command": []}),
        ('"sleep', (), {"shell": '"sleep', "shell_command": []}),
        ("bash", ("bash",), {"shell_command": []}),
        ("x", ("x", "--token", "t"), {"shell_command": [{"cmd": "x --token ***", "enter": False}]}),
    ],
)
def test_what_was_started_as_a_command(start: str, argv: tuple[str, ...], wanted: dict[str, Any]) -> None:
    pane = replace(SHELL, start_command=start, argv=argv)
    assert pane_of(pane) == {"start_directory": "/srv", "focus": True, **wanted}


def test_options_that_tmuxp_hands_on() -> None:
    kept = (("mode-keys", "vi"), ("@mine", "#(x)"), ("status-left", ""))
    left = (
        ("update-environment", None), ("after-new-window[0]", "x"), ("@token", "abc"), ("@x", "$HOME"),
        ("@y", "~/x"), ("@z", "./x"), ("@bytes", "\udcff"),
    )  # fmt: skip
    window = replace(WINDOW, options=(*kept, *left), automatic_rename=True)
    body = workspace(replace(IMAGE, options=(*left, *kept), windows=(window,)), lambda *_: None)
    assert body["options"].items() >= dict(kept).items()
    assert len(body["options"]) == len(kept) + 2
    assert body["windows"][0]["options_after"] == {**dict(kept), "automatic-rename": "on"}


def test_what_a_rule_starts_instead() -> None:
    pane = replace(SHELL, start_command="claude", argv=("claude",))
    answer = Resumption(3, 0, Entry.STARTED, "", ("claude",), "rule", command=("claude", "--resume", "a b"))
    image = replace(IMAGE, windows=(replace(WINDOW, panes=(pane,)),))
    (shown,) = workspace(image, lambda *_: answer)["windows"][0]["panes"]
    assert shown["shell"] == "claude --resume 'a b'"


def test_nothing_is_expanded() -> None:
    pane = replace(SHELL, cwd="/a#(touch x)/$HOME/${X}/$")
    assert pane_of(pane)["start_directory"] == "/a##(touch x)/#{l:$}HOME/#{l:$}{X}/$"
    image = replace(IMAGE, name="a.b:#$c", windows=(replace(WINDOW, name="~x\udcff"),))
    body = workspace(image, lambda *_: None)
    assert body["session_name"] == "a_b___c"
    assert body["windows"][0]["window_name"] == "#{l:~}x?"


def test_no_environment() -> None:
    assert "hunter2" not in str(workspace(IMAGE, lambda *_: None))
