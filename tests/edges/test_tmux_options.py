"""Options, hooks and bindings: what tmux prints is read to the letter, and set again to the letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.options import (
    change_binding_lines,
    change_lines,
    hook_names,
    read_bindings,
    read_hooks,
    read_options,
    set_lines,
)
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.text import command, script
from sidecar.errors import TmuxAbsent, TmuxUnknown
from sidecar.model.session import Options
from tests.box import TmuxBox
from tests.edges.test_tmux_text import on_one_server, words

HOOKS = frozenset({"pane-died", "client-attached"})


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        ("", ()),
        ("status 2\n", (("status", "2"),)),
        ("prefix C-\\\n", (("prefix", "C-\\"),)),
        ('prefix2 "\n', (("prefix2", '"'),)),
        ("command-alias\n", (("command-alias", None),)),
        ("word-separators \\;\n", (("word-separators", ";"),)),
        ("@e ''\n", (("@e", ""),)),
        ("@sidecar off\n@sidecar_resume top\n", (("@sidecar", "off"), ("@sidecar_resume", "top"))),
        ("@sidecar_armed 1\n@sidecar_start =top\n@sidecar_link x\n", ()),
        ('b[1] "x y"\na[0] z\n', (("a[0]", "z"), ("b[1]", "x y"))),
        ('pane-died[3] send-keys "\\$b" ; kill-pane\n', (("pane-died[3]", 'send-keys "\\$b" ; kill-pane'),)),
        ('@a b "c d"\n', ()),
    ],
)  # fmt: skip
def test_options_are_read_as_they_are_printed(printed: str, read: Options) -> None:
    assert read_options(printed, HOOKS) == read


@pytest.mark.parametrize("printed", ["status on off\n", "\n", " x\n"])
def test_anything_else_is_an_error(printed: str) -> None:
    with pytest.raises(ValueError, match="option"):
        read_options(printed)


def test_hooks_without_a_command_are_none() -> None:
    printed = "after-new-session\nclient-attached[2] display-message a\npane-died\n"
    assert read_hooks(printed) == (("client-attached[2]", "display-message a"),)
    assert hook_names(printed) == {"after-new-session", "client-attached", "pane-died"}


def test_bindings_lose_only_their_columns() -> None:
    printed = 'bind-key    -T root     F5   display-message  "a  b"\n'
    printed += "bind-key -r -T prefix  \\;  send-keys \\\\\nx\n"
    assert read_bindings(printed) == (
        'bind-key -T root F5 display-message  "a  b"',
        "bind-key -r -T prefix \\; send-keys \\\\",
    )


def start(tmux: TmuxBox) -> None:
    if not tmux.server_pid():
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        tmux.run("new-session", "-d", "-s", "twin", "sleep 1000")


async def shown(runner: TmuxRunner, *arguments: str) -> str:
    return (await runner.call(*arguments)).decode("utf-8", "surrogateescape")


@on_one_server
@given(texts=st.lists(words, min_size=20, max_size=20))
async def test_a_value_comes_back_to_the_letter(texts: list[str], tmux: TmuxBox, runner: TmuxRunner) -> None:
    start(tmux)
    wanted = tuple(sorted((f"@t{number}", text) for number, text in enumerate(texts)))
    await runner.source(script(*set_lines(("-t", "=web:"), wanted)))
    printed = await shown(runner, "show-options", "-H", "-t", "=web:")
    assert read_options(printed)[:20] == wanted
    assert not (tmux.folder / "pwned").exists()


HOSTILE = (
    ("@sidecar_resume", "top; #(touch pwned)"),
    ("client-attached[2]", 'display-message "x #(touch pwned) \\$HOME" ; run-shell "echo \\"#{pid}\\""'),
    ("client-detached[0]", 'if-shell -F "#{x}" { send-keys a ; send-keys "b ; c" } { send-keys d }'),
    ("default-command", "exec env -i 'sh' # \"x\""),
    ("default-shell", "/bin/sh"),
    ("prefix", "C-\\"),
    ("status", "2"),
    ("status-format[0]", "#[align=left]#(touch pwned)\n\t$HOME ${HOME} ~ 'q' \"d\" \\ é \U0001f600;"),
    ("status-format[7]", ";"),
    ("status-left", "~"),
    ("status-style", "bg=red,fg=colour3"),
    ("update-environment", None),
    ("word-separators", " \"'\\$;#{}"),
)  # fmt: skip


async def test_every_kind_of_option_is_set_again_and_nothing_runs(tmux: TmuxBox, runner: TmuxRunner) -> None:
    start(tmux)
    hooks = hook_names(await shown(runner, "show-hooks", "-g"))
    await runner.source(script(*set_lines(("-t", "=web:"), HOSTILE)))
    printed = await shown(runner, "show-options", "-H", "-t", "=web:")
    assert read_options(printed, hooks) == HOSTILE
    await runner.source(script(*set_lines(("-t", "=twin:"), read_options(printed, hooks))))
    assert await shown(runner, "show-options", "-H", "-t", "=twin:") == printed
    assert not (tmux.folder / "pwned").exists()


async def settings(runner: TmuxRunner, flag: str) -> Options:
    options = read_options(await shown(runner, "show-options", flag))
    return (*options, *read_hooks(await shown(runner, "show-hooks", flag)))


async def test_global_options_are_changed_only_where_they_differ(tmux: TmuxBox, runner: TmuxRunner) -> None:
    start(tmux)
    before = await settings(runner, "-g")
    tmux.run("set-option", "-g", "status-left", "#(touch pwned)")
    tmux.run("set-option", "-g", "update-environment[1]", "OTHER")
    tmux.run("set-option", "-g", "@mine", "x y")
    tmux.run("set-hook", "-g", "client-attached[4]", "display-message #{pid}")
    changed = await settings(runner, "-g")
    back = list(change_lines(("-g",), before, changed))
    assert len(back) == 4 + len([name for name, _ in before if name.startswith("update-environment")])
    await runner.source(script(*back))
    assert await settings(runner, "-g") == before
    await runner.source(script(*change_lines(("-g",), changed, before)))
    assert await settings(runner, "-g") == changed
    assert list(change_lines(("-g",), changed, changed)) == []
    assert not (tmux.folder / "pwned").exists()


def test_an_option_of_another_release_keeps_its_value() -> None:
    found = (("@mine", "1"), ("client-attached[0]", "kill-pane"), ("new-option", "on"))
    lines = list(change_lines(("-g",), (), found))
    assert [line.split("'")[-2] for line in lines] == ["@mine", "client-attached"]


BINDINGS = [
    "bind-key -T root F5 display-message -p \"a;b\" \\; display-message '#(touch pwned) $HOME'",
    "bind-key -r -T prefix \\; if-shell -F x { display-message 'a { b' ; kill-pane } { kill-window }",
    command("bind-key", "-T", "mine", '"', "send-keys", "-l", "é \\ ~ ' \" {}"),
    command("bind-key", "-T", "prefix", "c", "new-window", "-c", "#{pane_current_path}"),
    command("unbind-key", "-T", "prefix", "d"),
    command("bind-key", "-T", "prefix", "\\", "send-keys", "a\nb"),
]


async def bindings(runner: TmuxRunner) -> tuple[str, ...]:
    return read_bindings(await shown(runner, "list-keys"))


async def test_bindings_are_changed_only_where_they_differ(tmux: TmuxBox, runner: TmuxRunner) -> None:
    start(tmux)
    before = await bindings(runner)
    await runner.source(script(*BINDINGS))
    changed = await bindings(runner)
    assert len(set(before) ^ set(changed)) == 8
    back = list(change_binding_lines(before, changed))
    await runner.source(script(*back))
    assert (len(back), set(await bindings(runner))) == (6, set(before))
    await runner.source(script(*change_binding_lines(changed, before)))
    assert set(await bindings(runner)) == set(changed)
    assert not (tmux.folder / "pwned").exists()


async def test_a_binding_that_this_tmux_does_not_know_spoils_no_other(
    tmux: TmuxBox, runner: TmuxRunner
) -> None:
    start(tmux)
    before = await bindings(runner)
    wanted = (*before, "bind-key -T root F6 no-such-command {", "bind-key -T root F7 kill-pane")
    client = await runner.start(runner.argv("source-file", "-"))
    await runner.exchange(client, "source-file", stdin=script(*change_binding_lines(wanted, before)))
    assert "bind-key -T root F7 kill-pane" in await bindings(runner)


CHANGES = [
    ("set-option", "-t", "=web:", "status", "2"),
    ("set-option", "-w", "-t", "=web:", "main-pane-width", "33"),
    ("set-option", "-p", "-t", "=web:", "window-style", "bg=red"),
    ("set-hook", "-t", "=web:", "session-renamed", "kill-pane"),
    ("set-environment", "-t", "=web:", "A", "1"),
]
CHANGES_OF_ALL = [
    ("set-option", "-g", "status", "2"),
    ("set-environment", "-g", "A", "1"),
    ("bind-key", "F5", "kill-pane"),
    ("set-option", "-s", "escape-time", "7"),
]


@pytest.mark.parametrize("change", [*CHANGES, *CHANGES_OF_ALL])
async def test_a_fingerprint_tells_of_every_change(
    tmux: TmuxBox, door: TmuxDoor, change: tuple[str, ...]
) -> None:
    start(tmux)
    sessions = (await door.look()).sessions
    before = await door.fingerprints(sessions)
    assert before.keys() == {"web", "twin"}
    assert await door.fingerprints(sessions) == before
    tmux.run(*change)
    after = await door.fingerprints(sessions)
    assert after["web"] != before["web"]
    assert (after["twin"] == before["twin"]) == (change in CHANGES)


async def test_a_session_that_has_gone_has_no_fingerprint(tmux: TmuxBox, door: TmuxDoor) -> None:
    start(tmux)
    sessions = (await door.look()).sessions
    before = await door.fingerprints(sessions)
    tmux.run("kill-session", "-t", "=web:")
    assert await door.fingerprints(sessions) == {"twin": before["twin"]}
    tmux.run("kill-server")
    with pytest.raises((TmuxAbsent, TmuxUnknown)):
        await door.fingerprints(sessions)
