import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.resume import MATCHED, Spot, resumption
from sidecar.decide.shells import command_line, typeable
from sidecar.model.plan import Entry, Resumption
from sidecar.model.policy import ResumeRule
from sidecar.model.session import SavedPane

BASH = "/bin/bash"
UUID = "0b9c1f0e-58a4-4b1e-9f43-0a4f6f9b2c11"
AGENT = ResumeRule(r"^claude\b", "claude --resume {id}", "claude --continue")


def pane(
    *program: str, resume: str = "", start_command: str = "", argv: tuple[str, ...] = ("-bash",)
) -> SavedPane:
    return SavedPane(2, "", "/", start_command, argv, program, True, resume)


def answer(saved: SavedPane, *rules: ResumeRule, shell: str = BASH) -> tuple[Entry, str]:
    found = resumption(saved, Spot("web", 4, shell), rules)
    assert found is not None
    return found.entry, found.line


@pytest.mark.parametrize(
    "saved",
    [
        pane(),
        pane("", ""),
        pane(resume="claude --continue"),
        pane("node", "server.js", start_command="npm start", argv=("npm", "start")),
        pane("node", "server.js", start_command="npm start", argv=()),
    ],
    ids=["shell only", "blank", "option without a program", "command", "unknown command"],
)
def test_nothing_to_bring_back(saved: SavedPane) -> None:
    assert resumption(saved, Spot("web", 0, BASH), ()) is None


def test_a_shell_that_was_started_as_a_command_is_typed_into() -> None:
    assert answer(pane("top", start_command="bash -l", argv=("bash", "-l"))) == (Entry.TYPED, "top")


def test_names_the_pane_the_argv_and_the_rule() -> None:
    assert resumption(pane("/usr/bin/top", "-d", "5"), Spot("web", 4, BASH), ()) == Resumption(
        4, 2, Entry.TYPED, "/usr/bin/top -d 5", ("/usr/bin/top", "-d", "5"), "rule ^(top|htop|btop)( |$)"
    )


@pytest.mark.parametrize(
    "argv",
    [
        ("top",),
        ("/usr/bin/htop", "-u", "me"),
        ("tail", "-f", "/var/log/syslog"),
        ("tail", "-n", "50", "-F", "a b.log"),
        ("tail", "-fn100", "x"),
        ("tail", "--follow=name", "x"),
        ("less", "notes.md"),
        ("man", "tmux"),
        ("watch", "-n1", "date; uptime"),
        ("vim",),
        ("nvim", "-p", "a.py", "b.py"),
        ("vim", "-S", "Session.vim"),
        ("nvim", "-S", "work/Session.vim", "-R"),
        ("vim", "+12", "a.py"),
        ("vim", "+/word", "a.py"),
        ("ssh", "host"),
        ("ssh", "-4AY", "me@host.example"),
        ("ssh", "-p", "2222", "-i", "/home/me/a key", "-L8080:localhost:80", "host", "-v"),
        ("ssh", "-o", "ServerAliveInterval=5", "-oUser=me", "ssh://host:22"),
        ("python3",),
        ("/tmp/v/bin/python3.11", "-q"),
        ("python3", "-i"),
        ("/tmp/v/bin/python", "/tmp/v/bin/ipython"),
        ("node",),
        ("ptw",),
        ("/tmp/v/bin/python", "/tmp/v/bin/ptw", "tests", "--", "-x"),
        ("pytest-watch", "-c"),
        ("pytest", "-x", "-f", "tests"),
        ("python", "-m", "pytest", "--looponfail"),
        ("less", "-R", "+F", "log file"),
        ("python3", "-m", "http.server"),
        ("/tmp/v/bin/python3.11", "-u", "-m", "http.server", "8000", "--bind", "127.0.0.1"),
    ],
)
def test_harmless_programs_run_again_as_they_were(argv: tuple[str, ...]) -> None:
    assert answer(pane(*argv)) == (Entry.TYPED, command_line(argv, BASH))


@pytest.mark.parametrize(
    "argv",
    [
        ("make", "deploy"),
        ("top-secret", "--launch"),
        ("tail", "file-f"),
        ("less",),
        ("viking",),
        ("python3", "-c", "import http.server"),
        ("python3", "x.py", "-m", "http.server"),
        ("less", "-R"),
        ("vim", "-"),
        ("vim", "-c", "wq", "x"),
        ("vim", "+wq", "x"),
        ("vim", "+set nu", "x"),
        ("nvim", "--headless", "x"),
        ("nvim", "-l", "x.lua"),
        ("ssh",),
        ("ssh", "-V"),
        ("ssh", "host", "reboot"),
        ("ssh", "-t", "host", "sudo reboot"),
        ("ssh", "host", "-p", "22", "reboot"),
        ("ssh", "-p22", "it's"),
        ("ssh", "-f", "-N", "host"),
        ("ssh", "-O", "exit", "host"),
        ("ssh", "-W", "a:1", "host"),
        ("ssh", "-s", "host", "sftp"),
        ("ssh", "-o", "RemoteCommand=reboot", "host"),
        ("ssh", "-oremotecommand=reboot now", "host"),
        ("ssh", "-o", " RemoteCommand=reboot", "host"),
        ("ssh", "-o", "ProxyCommand=sh x", "host"),
        ("python3", "x.py"),
        ("python3", "-i", "x.py"),
        ("ipython", "x.py"),
        ("node", "server.js"),
        ("pytest",),
        ("pytest", "-rf"),
        ("pytest", "-x", "tests"),
        ("ptw", "--onpass", "deploy"),
        ("pytest-watch", "--runner=deploy"),
        ("watchexec", "make"),
        ("bash",),
        ("echo", "top"),
    ],
)
def test_everything_else_waits_for_a_person(argv: tuple[str, ...]) -> None:
    assert answer(pane(*argv)) == (Entry.HELD, command_line(argv, BASH))


def test_the_pane_option_wins_over_every_rule() -> None:
    saved = pane("claude", "--resume", UUID, resume=" agent resume {id} ")
    assert answer(saved, AGENT) == (Entry.TYPED, "agent resume {id}")


def test_rules_of_the_user_come_before_the_built_in_ones_and_in_order() -> None:
    rules = (ResumeRule("^top", "htop"), ResumeRule("^top", "btop"))
    assert answer(pane("top"), *rules) == (Entry.TYPED, "htop")


@pytest.mark.parametrize(
    ("rule", "argv", "wanted"),
    [
        (AGENT, ("claude", "-r", "x1"), (Entry.TYPED, "claude --resume x1")),
        (AGENT, ("claude",), (Entry.TYPED, "claude --continue")),
        (ResumeRule("^claude", "claude -r {id}", "claude -r {id}"), ("claude",), (Entry.HELD, "claude")),
        (ResumeRule("^claude", ""), ("claude",), (Entry.HELD, "claude")),
        (
            ResumeRule("^job", "nice {argv} # ${HOME}"),
            ("job", "a b"),
            (Entry.TYPED, "nice job 'a b' # ${HOME}"),
        ),
        (ResumeRule("^job", "{argv}"), ("job", "{id}"), (Entry.TYPED, "job '{id}'")),
        (ResumeRule("(", "boom"), ("job",), (Entry.HELD, "job")),
        (ResumeRule("^job", "a\nb"), ("job",), (Entry.SKIPPED, "")),
        (ResumeRule("^job", "a\tb"), ("job",), (Entry.SKIPPED, "")),
    ],
)
def test_rules(rule: ResumeRule, argv: tuple[str, ...], wanted: tuple[Entry, str]) -> None:
    assert answer(pane(*argv), rule) == wanted


@pytest.mark.parametrize("shell", ["/bin/sh", "/usr/bin/fish", "/usr/bin/nu"])
@pytest.mark.parametrize("argv", [("tail", "-f", "a\tb"), ("make", "a\nb"), ("vim", "caf\udce9")])
def test_what_cannot_be_typed_is_skipped_with_a_reason(argv: tuple[str, ...], shell: str) -> None:
    found = resumption(pane(*argv), Spot("web", 0, shell), ())
    assert found is not None
    assert (found.entry, found.line, found.argv) == (Entry.SKIPPED, "", argv)
    assert found.reason.endswith("cannot be typed safely into this shell")


def test_a_pane_option_with_a_newline_is_skipped() -> None:
    assert answer(pane("top", resume="a\nb")) == (Entry.SKIPPED, "")


def test_a_line_without_the_unsafe_arguments_is_typed_all_the_same() -> None:
    assert answer(pane("claude", "a\tb"), AGENT, shell="/bin/sh") == (Entry.TYPED, "claude --continue")


def test_a_title_over_the_argv_leaves_no_blanks_behind() -> None:
    assert answer(pane("agent", "", "", "", "")) == (Entry.HELD, "agent")
    assert answer(pane("grep", "")) == (Entry.HELD, "grep ''")


def test_only_the_beginning_of_a_long_command_line_is_matched() -> None:
    rule = ResumeRule("needle", "found")
    assert answer(pane("job", "x" * 100, "needle"), rule)[0] is Entry.TYPED
    assert answer(pane("job", "x" * MATCHED, "needle"), rule)[0] is Entry.SKIPPED


PROGRAMS = ["top", "tail", "less", "man", "vim", "nvim", "ssh", "python3", "node", "ptw", "pytest", "watch"]
ARGUMENTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "-f", "-F", "-S", "Session.vim", "-p", "22", "host", "-m", "http.server", "-c", "$(id)", "`id`",
            "'", "; id", "&&", "a b", "-o", "X=y", "\\", "!", "*", "~", "#", "{argv}", "{id}", "{flags}",
        ]
    ),
)  # fmt: skip


@given(name=st.sampled_from(PROGRAMS), words=st.lists(ARGUMENTS, max_size=6))
def test_what_a_shipped_rule_enters_is_what_ran_word_by_word(name: str, words: list[str]) -> None:
    found = resumption(pane(name, *words), Spot("web", 0, "/bin/sh"), ())
    assert found is not None
    assert found.entry is Entry.SKIPPED or tuple(shlex.split(found.line)) == found.argv


@given(
    program=st.lists(st.text(max_size=20), max_size=6).map(tuple),
    option=st.text(max_size=10),
    template=st.text(max_size=10) | st.sampled_from(["{argv}", "run {argv} {id}", "{id}"]),
    shell=st.sampled_from(["/bin/bash", "/bin/sh", "/usr/bin/fish", "/bin/csh", "/usr/bin/nu", ""]),
)
def test_any_program_gets_an_answer_that_is_safe_to_type(
    program: tuple[str, ...], option: str, template: str, shell: str
) -> None:
    found = resumption(pane(*program, resume=option), Spot("web", 0, shell), (ResumeRule(".", template),))
    if found is not None:
        assert typeable(found.line)
        assert found.reason
