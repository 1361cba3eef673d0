"""Quoting, held against the real tmux: what goes in comes out, and nothing is run on the way."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.text import (
    command,
    join_arguments,
    literal,
    message,
    quote,
    read_environment,
    script,
    split_arguments,
    unvis,
)
from tests.box import TmuxBox

NASTY = [
    "a b",
    "'", '"', "\\", "\\\\", "\\n", "`id`", "$HOME", "${HOME}", "$(id)", "~", "~root", "{", "}", ";", "a;",
    "\\;", "#", "##", "#{pid}", "#(touch pwned)", "##(touch pwned)", "#[x]", "##[x", "###[", "#,", "%1", "%H",
    "-x", "--", "=a", "é ü €", "\U0001f600", "\n", "a\nb", "\\\n", "\t", "\r", "\x1b[31m", "\x7f", "x\\", " ",
    "a  b", "'\"'", "it's", "\n\n",
]  # fmt: skip
words = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12),
    st.text(st.sampled_from("#[{}(),;'\"\\$~% \n\tx"), max_size=12),
)
on_one_server = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize(
    ("printed", "meant"),
    [
        ("a", "a"),
        ("\\\\", "\\"),
        ("a\\tb\\nc", "a\tb\nc"),
        ("\\303\\251\\033", "é\x1b"),
        ("\\377x", "\udcffx"),
    ],
)
def test_what_tmux_prints_of_a_name_is_undone(printed: str, meant: str) -> None:
    assert unvis(printed) == meant


@on_one_server
@given(texts=st.lists(words, min_size=20, max_size=20))
async def test_a_quoted_argument_arrives_to_the_letter(
    texts: list[str], tmux: TmuxBox, runner: TmuxRunner
) -> None:
    if not tmux.server_pid():
        tmux.run("new-session", "-d", "sleep 1000")
    lines = [f"set-option -g @t{number} {quote(text)}" for number, text in enumerate(texts)]
    shown = [command("display-message", "-p", f"#{{n:@t{number}}}:#{{@t{number}}}") for number in range(20)]
    answer = await runner.source(script(*lines, *shown))
    assert answer.decode() == "".join(f"{len(text.encode())}:{text}\n" for text in texts)


@on_one_server
@given(argvs=st.lists(st.lists(words, min_size=1, max_size=5), min_size=10, max_size=10))
async def test_a_start_command_is_split_as_it_was_given(
    argvs: list[list[str]], tmux: TmuxBox, runner: TmuxRunner
) -> None:
    if not tmux.server_pid():
        tmux.run("new-session", "-d", "sleep 1000")
        tmux.run("set-option", "-g", "remain-on-exit", "on")
    lines = [
        command("new-window", "-d", "-P", "-F", "#{pane_start_command}", "--", "/bin/true", *argv)
        for argv in argvs
    ]
    # Each answer is read by itself, since a command may hold a newline in tmux's escaped form only.
    answer = await runner.source(script(*lines))
    assert [split_arguments(line) for line in answer.decode().splitlines()] == [
        ("/bin/true", *argv) for argv in argvs
    ]
    await runner.source(script("kill-window -a"))


@given(argv=st.lists(st.text(), max_size=5).map(tuple))
def test_a_command_that_is_written_is_read_back(argv: tuple[str, ...]) -> None:
    assert split_arguments(join_arguments(argv)) == argv


@on_one_server
@given(texts=st.lists(words, min_size=10, max_size=10))
async def test_a_literal_is_not_expanded(texts: list[str], tmux: TmuxBox, runner: TmuxRunner) -> None:
    if not tmux.server_pid():
        tmux.run("new-session", "-d", "sleep 1000")
    names = [f"x{text}" for text in texts]
    lines = [
        command(
            "new-window", "-d", "-P", "-F", "#{n:window_name}:#{window_name}", "-n", literal(name), "sleep 9"
        )
        for name in names
    ]
    answer = await runner.source(script(*lines))
    assert answer.decode() == "".join(f"{len(name.encode())}:{name}\n" for name in names)
    assert not (tmux.folder / "pwned").exists()
    await runner.source(script("kill-window -a"))


@on_one_server
@given(texts=st.lists(words, min_size=20, max_size=20))
async def test_a_message_is_shown_to_the_letter(texts: list[str], tmux: TmuxBox, runner: TmuxRunner) -> None:
    if not tmux.server_pid():
        tmux.run("new-session", "-d", "sleep 1000")
    answer = await runner.source(
        script(*(command("display-message", "-p", "--", message(text)) for text in texts))
    )
    assert answer.decode() == "".join(f"{text}\n" for text in texts)


@on_one_server
@given(
    values=st.dictionaries(
        st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.none() | words, min_size=1, max_size=10
    )
)
async def test_an_environment_is_read_back(
    values: dict[str, str | None], tmux: TmuxBox, runner: TmuxRunner
) -> None:
    if not tmux.server_pid():
        tmux.run("new-session", "-d", "sleep 1000")
    variables = [
        word for key, value in values.items() if value is not None for word in ("-e", f"{key}={value}")
    ]
    lines = [command("new-session", "-d", "-E", "-s", "env", *variables, "sleep 1000")]
    lines += [
        command("set-environment", "-r", "-t", "=env:", key) for key, value in values.items() if value is None
    ]
    answer = await runner.source(script(*lines, "show-environment -s -t =env:", "kill-session -t =env:"))
    assert read_environment(answer.decode()) == values


@pytest.mark.parametrize("text", ["A", 'A="', 'A="x"; export A', "unset A", 'A="x\\"; export A;\n', "\n"])
def test_a_cut_environment_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="environment"):
        read_environment(text)
