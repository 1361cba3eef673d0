"""Two images of a session: every field that differs is named, and every field is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sidecar.decide.compare import compare
from sidecar.decide.layout import checksum
from sidecar.model.session import SavedPane, SavedWindow, ServerOrigin, ServerSettings, SessionImage

BODY = "80x24,0,0{40x24,0,0,1,39x24,41,0,2}"
OTHER_BODY = "80x24,0,0{50x24,0,0,1,29x24,51,0,2}"


def signed(body: str) -> str:
    return f"{checksum(body)},{body}"


PANES = (
    SavedPane(0, "one", "/a", "", ("-bash",), (), True, "", "", False, (("@x", "1"),)),
    SavedPane(1, "two", "/b", "top", ("top",), (), False, "", "", True, ()),
)
WINDOW = SavedWindow(3, "w", signed(BODY), False, True, False, False, PANES, (("status-left", "#(x)"),), "L")
SETTINGS = ServerSettings(
    (("escape-time", "500"),),
    (("status", "on"),),
    (("mode-keys", "vi"),),
    ("bind-key -T prefix a send-keys a",),
)
ORIGIN = ServerOrigin((("PATH", "/bin"),), "/", "/etc/tmux.conf", SETTINGS)
IMAGE = SessionImage(
    "web", 80, 24, "/bin/bash", "", (("A", "1"), ("B", None)), (WINDOW,), ORIGIN, (("prefix", "C-a"),), "G"
)


def in_window(**changes: Any) -> SessionImage:
    return replace(IMAGE, windows=(replace(WINDOW, **changes),))


def in_pane(**changes: Any) -> SessionImage:
    return in_window(panes=(PANES[0], replace(PANES[1], **changes)))


def in_server(edit: Callable[[ServerSettings], ServerSettings] = lambda s: s, **changes: Any) -> SessionImage:
    return replace(IMAGE, origin=replace(ORIGIN, settings=edit(SETTINGS), **changes))


def test_an_image_is_like_itself_and_everything_in_it_was_compared() -> None:
    comparison = compare(IMAGE, IMAGE)
    assert comparison.differences == ()
    assert comparison.compared["pane cwd"] == 2
    assert comparison.compared["session environment"] == 2
    assert comparison.compared["window presence"] == 1
    assert comparison.compared["server binding"] == 1


@pytest.mark.parametrize(
    ("found", "where", "field", "values"),
    [
        (replace(IMAGE, width=81), "session web", "size", ("80x24", "81x24")),
        (replace(IMAGE, group=""), "session web", "group", ("G", "")),
        (replace(IMAGE, default_shell="x"), "session web", "default shell", ("/bin/bash", "x")),
        (replace(IMAGE, default_command="x"), "session web", "default command", ("", "x")),
        (
            replace(IMAGE, options=(("prefix", "C-b"),)),
            "session web",
            "option prefix",
            ("C-a", "C-b"),
        ),
        (replace(IMAGE, options=()), "session web", "option prefix", ("C-a", "not set")),
        (
            replace(IMAGE, options=(("prefix", "C-a"), ("update-environment", None))),
            "session web",
            "option update-environment",
            ("not set", "set and empty"),
        ),
        (in_window(index=3, name="v"), "window 3", "name", ("w", "v")),
        (in_window(layout=signed(OTHER_BODY)), "window 3", "layout", None),
        (in_window(zoomed=True), "window 3", "zoomed", ("False", "True")),
        (in_window(active=False), "window 3", "active", ("True", "False")),
        (in_window(last=True), "window 3", "last", ("False", "True")),
        (in_window(automatic_rename=True), "window 3", "automatic rename", ("False", "True")),
        (in_window(options=()), "window 3", "option status-left", ("#(x)", "not set")),
        (in_window(link=""), "window 3", "link", ("L", "")),
        (in_window(panes=PANES[:1]), "pane 3.1", "presence", ("present", "absent")),
        (in_pane(title="x"), "pane 3.1", "title", ("two", "x")),
        (in_pane(cwd="/x"), "pane 3.1", "cwd", ("/b", "/x")),
        (in_pane(start_command="x"), "pane 3.1", "start command", ("top", "x")),
        (in_pane(argv=("a b", "")), "pane 3.1", "command", ("top", "'a b' ''")),
        (in_pane(program=("x",)), "pane 3.1", "program", ("", "x")),
        (in_pane(active=True), "pane 3.1", "active", ("False", "True")),
        (in_pane(last=False), "pane 3.1", "last", ("True", "False")),
        (in_pane(resume="x"), "pane 3.1", "resume", ("", "x")),
        (in_pane(scrollback="x"), "pane 3.1", "scrollback", ("", "x")),
        (in_pane(options=(("@y", ""),)), "pane 3.1", "option @y", ("not set", "")),
        (in_server(cwd="/x"), "server", "cwd", ("/", "/x")),
        (in_server(config_files=""), "server", "configuration", ("/etc/tmux.conf", "")),
        (in_server(lambda s: replace(s, server=())), "server", "option escape-time", ("500", "not set")),
        (in_server(lambda s: replace(s, session=())), "server", "session option status", ("on", "not set")),
        (in_server(lambda s: replace(s, window=())), "server", "window option mode-keys", ("vi", "not set")),
        (
            in_server(lambda s: replace(s, bindings=("bind-key -r -T prefix a send-keys a",))),
            "server",
            "binding prefix a",
            ("bind-key -T prefix a send-keys a", "bind-key -r -T prefix a send-keys a"),
        ),
    ],
)
def test_each_difference_is_named(
    found: SessionImage, where: str, field: str, values: tuple[str, str] | None
) -> None:
    (difference,) = compare(IMAGE, found).differences
    assert (difference.where, difference.field, difference.tolerated) == (where, field, False)
    assert values in (None, (difference.wanted, difference.found))


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ((("A", "2"), ("B", None)), ("environment A", "set", "set to something else")),
        ((("B", None),), ("environment A", "set", "not set")),
        ((("A", None), ("B", None)), ("environment A", "set", "removed")),
        ((("A", "1"), ("B", "removed")), ("environment B", "removed", "set")),
    ],
)
def test_values_of_variables_are_not_told(
    variables: tuple[tuple[str, str | None], ...], told: tuple[str, str, str]
) -> None:
    (difference,) = compare(IMAGE, replace(IMAGE, environment=variables)).differences
    assert (difference.field, difference.wanted, difference.found) == told


def test_a_window_more_or_less_is_one_difference() -> None:
    more = replace(IMAGE, windows=(WINDOW, replace(WINDOW, index=7)))
    assert [(d.where, d.field) for d in compare(IMAGE, more).differences] == [("window 7", "presence")]
    assert [(d.where, d.found) for d in compare(more, IMAGE).differences] == [("window 7", "absent")]


def test_pane_ids_do_not_matter_in_layouts() -> None:
    assert not compare(IMAGE, in_window(layout=signed("80x24,0,0{40x24,0,0,8,39x24,41,0,9}"))).differences


def test_how_a_window_came_to_name_itself_does_not_matter() -> None:
    explicit = in_window(options=(("automatic-rename", "off"), *WINDOW.options))
    assert not compare(IMAGE, explicit).differences


def test_options_are_left_out_where_they_were_never_recorded() -> None:
    old = replace(
        in_window(options=(), link=""), options=None, origin=replace(ORIGIN, settings=ServerSettings())
    )
    comparison = compare(old, IMAGE)
    assert comparison.differences == ()
    assert not [field for field in comparison.compared if "option" in field or "server" in field]


def test_only_what_was_asked_for_is_compared() -> None:
    comparison = compare(IMAGE, in_pane(title="x", cwd="/x"), fields={"pane title"})
    assert [each.field for each in comparison.differences] == ["title"]
    assert comparison.compared == {"pane title": 2}


def test_a_difference_is_told_without_its_secrets() -> None:
    found = replace(IMAGE, options=(("@api_token", "hunter2"), ("@note", "curl -u me:hunter2 x")))
    differences = compare(IMAGE, found).differences
    assert {one.field for one in differences} >= {"option @api_token", "option @note"}
    assert "hunter2" not in str(differences)
    other = replace(IMAGE, options=(("@api_token", "hunter3"),))
    assert "option @api_token" in {one.field for one in compare(found, other).differences}
