"""What a workspace file's words come to, and which live window is which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.resume import Spot, resumption
from sidecar.decide.workspace import (
    CommandText,
    PaneText,
    SessionText,
    WindowText,
    declare,
    pair,
    resume_rules,
)
from sidecar.model.plan import Entry
from sidecar.model.policy import ResumeRule
from sidecar.model.session import SavedPane
from sidecar.model.workspace import Command, DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import session


def only_pane(pane_text: PaneText, **session_words: object) -> DeclaredPane:
    """The pane of a session with this one alone."""
    words = SessionText("web", (WindowText((pane_text,)),), **session_words)  # type: ignore[arg-type]
    return declare(words, file="/w/web.yaml", line=1, home="/home/me").windows[0].panes[0]


@pytest.mark.parametrize(
    ("of_session", "of_window", "of_pane", "wanted"),
    [
        (None, None, None, "/home/me"),
        ("/s", None, None, "/s"),
        ("s", None, None, "/w/s"),
        ("../s", "", None, "/s"),
        ("/s", "w", None, "/s/w"),
        ("/s", "./w/../v", "p", "/s/v/p"),
        ("/s", "/w", "..", "/"),
        ("/s", None, "p", "/s/p"),
        (None, "w", "p", "/w/w/p"),
        (None, None, "p", "/w/p"),
        (None, None, "/p", "/p"),
    ],
)
def test_folders(of_session: str | None, of_window: str | None, of_pane: str | None, wanted: str) -> None:
    words = SessionText(
        "web",
        (WindowText((PaneText(start_directory=of_pane),), start_directory=of_window),),
        start_directory=of_session,
    )
    (declared,) = declare(words, file="/w/web.yaml", line=1, home="/home/me").windows
    assert declared.panes[0].cwd == wanted


def test_commands_come_in_order_and_what_is_said_of_one_goes_for_the_next() -> None:
    words = SessionText(
        "web",
        (
            WindowText(
                (
                    PaneText(
                        (CommandText("d", sleep_after=2.0), CommandText("e", enter=True)), sleep_before=1.0
                    ),
                ),
                commands_before=(CommandText("b", enter=False), CommandText("c", sleep_before=0.0)),
            ),
        ),
        commands_before=(CommandText("a"),),
    )
    (declared,) = declare(words, file="/w/web.yaml", line=1, home="/").windows
    assert declared.panes[0].commands == (
        Command(" a", True, 1.0, 0.0),
        Command(" b", False, 1.0, 0.0),
        Command(" c", False, 0.0, 0.0),
        Command(" d", False, 0.0, 2.0),
        Command(" e", True, 0.0, 2.0),
    )


def test_several_lines_are_entered_one_by_one() -> None:
    text = CommandText(
        "for x in a b; do\n\n  echo $x\ndone\n", enter=False, sleep_before=1.0, sleep_after=2.0
    )
    assert only_pane(PaneText((text,)), suppress_history=False).commands == (
        Command("for x in a b; do", True, 1.0, 0.0),
        Command("", True, 0.0, 0.0),
        Command("  echo $x", True, 0.0, 0.0),
        Command("done", False, 0.0, 2.0),
    )


@pytest.mark.parametrize(
    ("of_session", "of_pane", "text"),
    [(None, None, " a"), (False, None, "a"), (False, True, " a"), (True, False, "a")],
)
def test_a_space_keeps_a_line_out_of_the_history(
    of_session: bool | None, of_pane: bool | None, text: str
) -> None:
    words = PaneText((CommandText("a"),), suppress_history=of_pane)
    assert only_pane(words, suppress_history=of_session).commands == (Command(text),)


def test_panes_are_synchronized_once_each_has_got_its_own() -> None:
    options = (("automatic-rename", "off"), ("synchronize-panes", "on"))
    words = SessionText("web", (WindowText(options=options, options_after=(("@x", "y"),)),))
    (declared,) = declare(words, file="/w/web.yaml", line=1, home="/").windows
    assert declared.options == options[:1]
    assert declared.options_after == (options[1], ("@x", "y"))


def workspace(*windows: DeclaredWindow, **words: object) -> Workspace:
    return Workspace("web", windows, file="/w/web.yaml", **words)  # type: ignore[arg-type]


ONE = DeclaredPane("/srv")


def test_windows_are_told_apart_by_index_and_by_turn() -> None:
    a, b, c = DeclaredWindow((ONE,)), DeclaredWindow((ONE,), index=3), DeclaredWindow((ONE,))
    plain = session()
    live = replace(plain, windows=tuple(replace(plain.windows[0], index=index) for index in (1, 3, 5)))
    found = [one and one.index for _, one in pair(workspace(a, b, c), live)]
    assert found == [1, 3, 5]
    assert [one and one.index for _, one in pair(workspace(c, a, b, c), live)] == [1, 5, 3, None]


def commands(*lines: str) -> Workspace:
    pane_text = PaneText(tuple(CommandText(line) for line in lines))
    return declare(SessionText("web", (WindowText((pane_text,)),)), file="/w/web.yaml", line=1, home="/")


@pytest.mark.parametrize(
    ("lines", "argv", "entry"),
    [
        (["npm run dev"], ["node", "/usr/bin/npm", "run", "dev"], Entry.TYPED),
        (["npm run dev"], ["npm", "run", "build"], Entry.HELD),
        (["cd /srv", "make  serve"], ["/usr/bin/make", "serve"], Entry.TYPED),
        (["make serve && echo done"], ["make", "serve"], Entry.HELD),
        (["rm $x"], ["rm", "$x"], Entry.HELD),
    ],
)
def test_what_the_file_starts_may_run_again(lines: list[str], argv: list[str], entry: Entry) -> None:
    saved = SavedPane(0, "", "/", "", ("bash",), tuple(argv), active=True)
    found = resumption(saved, Spot("web", 0, "/bin/bash"), resume_rules(commands(*lines)))
    assert found is not None
    assert found.entry is entry


def test_what_a_built_in_rule_knows_is_left_to_it() -> None:
    assert resume_rules(commands("claude --verbose", "vim", "npm start")) == (
        ResumeRule("^npm\\ start$", "{argv}"),
    )


def test_a_held_line_is_no_promise() -> None:
    held = workspace(DeclaredWindow((replace(ONE, commands=(Command(" make", enter=False),)),)))
    assert resume_rules(held) == ()
