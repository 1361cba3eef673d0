"""Agents come back with their conversation, as they were set up, and never with somebody else's."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.agents import AGENTS, Arguments, find_agent, sort_arguments
from sidecar.decide.builtin import BUILTIN
from sidecar.decide.claims import Claims, claims
from sidecar.decide.resume import Spot, resumption
from sidecar.decide.shells import typeable
from sidecar.model.conversation import Seat
from sidecar.model.plan import Entry, Resumption
from sidecar.model.policy import ResumeRule
from sidecar.model.session import SavedPane

ONE = "0b9c1f0e-58a4-4b1e-9f43-0a4f6f9b2c11"
TWO = "7d2f4a90-1111-4222-8333-944455556666"
BASH = "/bin/bash"


def pane(*program: str, conversation: str = "", command: str = "", own: tuple[str, ...] = ()) -> SavedPane:
    argv = own or ("-bash",)
    return SavedPane(2, "", "/srv", command, argv, program, True, conversation=conversation)


def told(saved: SavedPane, known: Claims | None = None, *rules: ResumeRule) -> Resumption:
    found = resumption(saved, Spot("web", 4, BASH, known or Claims()), rules)
    assert found is not None
    return found


def seat(session: str, folder: str = "/srv", conversation: str = "", *, live: bool = False) -> Seat:
    return Seat(session, 4, 2, folder, conversation, live)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("claude", "--session-id", ONE), f"claude --resume {ONE}"),
        (("claude", f"--resume={ONE}"), f"claude --resume {ONE}"),
        (("claude", "-r", ONE, "go on"), f"claude --resume {ONE}"),
        (("claude", "--resume", TWO, "--fork-session", "--session-id", ONE), f"claude --resume {ONE}"),
        (
            ("claude", "--model", "opus", "--session-id", ONE, "--permission-mode", "plan", "do it"),
            f"claude --model opus --permission-mode plan --resume {ONE}",
        ),
        (
            ("claude", "--add-dir", "../a", "../b c", "--dangerously-skip-permissions", "-r", ONE),
            f"claude --add-dir ../a '../b c' --dangerously-skip-permissions --resume {ONE}",
        ),
        (("claude", "--verbose", "-w", "feature", "--resume", ONE), f"claude --verbose --resume {ONE}"),
        (("claude", "--not-known-here", "--resume", ONE), f"claude --not-known-here --resume {ONE}"),
        (
            ("claude", "--settings={}", "--resume", ONE, "--", "-p"),
            f"claude '--settings={{}}' --resume {ONE}",
        ),
        (("/opt/claude", "--resume", ONE), f"/opt/claude --resume {ONE}"),
        (
            ("node", "--no-warnings", "/usr/bin/claude", "--resume", ONE, "--model", "opus"),
            f"node --no-warnings /usr/bin/claude --model opus --resume {ONE}",
        ),
        (("/bin/sh", "/home/me/bin/claude", "-r", ONE), f"/bin/sh /home/me/bin/claude --resume {ONE}"),
        (("codex", "resume", ONE, "go on"), f"codex resume {ONE}"),
        (
            ("codex", "-c", "x='y z'", "resume", "--last", ONE, "-m", "o3", "--search"),
            f"""codex resume {ONE} -c 'x='"'"'y z'"'"'' -m o3 --search""",
        ),
        (("gemini", "--resume", ONE, "-m", "pro", "-i", "do it"), f"gemini -m pro --resume {ONE}"),
        (("gemini", "--session-id", ONE, "--yolo"), f"gemini --yolo --resume {ONE}"),
    ],
)
def test_the_conversation_in_the_arguments_is_taken_up(argv: tuple[str, ...], line: str) -> None:
    found = told(pane(*argv))
    assert (found.entry, found.line) == (Entry.TYPED, line)
    assert found.conversation == ONE
    assert found.heavy


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("claude", "--model", "opus"), f"claude --model opus --resume {ONE}"),
        (("claude", "", "", ""), f"claude --resume {ONE}"),
        (("claude", "--resume", TWO), f"claude --resume {ONE}"),
        (("codex", "--oss", "do it"), f"codex resume {ONE} --oss"),
        (("gemini",), f"gemini --resume {ONE}"),
    ],
)
def test_the_conversation_that_was_seen_wins(argv: tuple[str, ...], line: str) -> None:
    found = told(pane(*argv, conversation=ONE))
    assert (found.entry, found.line, found.conversation) == (Entry.TYPED, line, ONE)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("claude",), "claude --continue"),
        (("claude", "-c", "--model", "opus"), "claude --model opus --continue"),
        (("claude", "--resume"), "claude --continue"),
        (("claude", "--resume", "--verbose"), "claude --verbose --continue"),
        (("claude", "--resume", TWO, "--fork-session"), "claude --continue"),
        (("claude", "see " + ONE), "claude --continue"),
        (("claude", ONE), "claude --continue"),
        (("codex", "-m", "o3", "resume", "--last"), "codex resume --last -m o3"),
        (("codex", ONE), "codex resume --last"),
        (("gemini", "-r", "latest"), "gemini --resume latest"),
        (("gemini", "--resume", "5"), "gemini --resume latest"),
        (
            ("/v/bin/python", "/v/bin/aider", "--yes", "--model", "x", "a.py", "b c.py"),
            "/v/bin/python /v/bin/aider --restore-chat-history --yes --model x a.py 'b c.py'",
        ),
        (("aider", "--restore-chat-history"), "aider --restore-chat-history"),
    ],
)
def test_without_an_id_the_latest_is_taken_up_only_where_it_can_be_no_others(
    argv: tuple[str, ...], line: str
) -> None:
    alone = claims([seat("web"), seat("other", "/else")], {})
    found = told(pane(*argv), alone)
    assert (found.entry, found.line, found.conversation) == (Entry.TYPED, line, "")
    for live in (True, False):
        shared = claims([seat("web"), seat("other", live=live)], {})
        found = told(pane(*argv), shared)
        assert (found.entry, found.heavy) == (Entry.HELD, True)
        assert "shares the folder" in found.reason
    empty = told(pane(*argv), claims([seat("web")], {"/srv": frozenset()}))
    assert empty.entry is Entry.HELD
    assert "no conversation to take up" in empty.reason


@pytest.mark.parametrize(
    "argv",
    [
        ("claude", "-p", "do it"),
        ("claude", "--resume", ONE, "--print", "do it"),
        ("claude", "mcp", "serve"),
        ("codex", "exec", "do it"),
        ("codex", "-m", "o3", "mcp-server"),
        ("gemini", "-p", "do it"),
        ("gemini", "extensions", "list"),
        ("aider", "--message", "do it", "a.py"),
        ("aider", "--commit"),
    ],
)
def test_what_was_no_conversation_is_held_as_it_was(argv: tuple[str, ...]) -> None:
    found = told(pane(*argv, conversation=ONE))
    assert (found.entry, found.line) == (Entry.HELD, shlex.join(argv))
    assert "no conversation" in found.reason


def test_arguments_that_may_hide_a_prompt_are_held_with_the_conversation() -> None:
    found = told(pane("claude", "--brand-new", "deploy it", "--resume", ONE))
    assert (found.entry, found.line) == (Entry.HELD, f"claude --brand-new 'deploy it' --resume {ONE}")
    assert "not all of its arguments" in found.reason
    assert not found.conversation


@pytest.mark.parametrize(
    ("others", "entry"),
    [
        ([], Entry.TYPED),
        ([seat("zoo", "/else", ONE)], Entry.TYPED),
        ([seat("zoo", "/srv", TWO)], Entry.TYPED),
        ([seat("api", "/else", ONE)], Entry.HELD),
        ([seat("zoo", "/else", ONE, live=True)], Entry.HELD),
        ([Seat("web", 4, 1, "/srv", ONE, False)], Entry.HELD),
        ([Seat("web", 4, 3, "/srv", ONE, False)], Entry.TYPED),
    ],
)
def test_a_conversation_has_one_pane(others: list[Seat], entry: Entry) -> None:
    known = claims([*others, seat("web", conversation=ONE)], {"/srv": frozenset({ONE})})
    found = told(pane("claude", conversation=ONE), known)
    assert found.entry is entry
    if entry is Entry.HELD:
        assert found.line == "claude"
        assert "has the same conversation" in found.reason


def test_a_conversation_without_transcript_is_held() -> None:
    known = claims([seat("web", conversation=ONE)], {"/srv": frozenset({TWO})})
    found = told(pane("claude", "--resume", ONE, conversation=ONE), known)
    assert (found.entry, found.line) == (Entry.HELD, f"claude --resume {ONE}")
    assert "no transcript" in found.reason


def test_a_rule_of_the_user_is_bound_by_the_same_claims() -> None:
    rule = ResumeRule("^claude", "claude --resume {id}", "claude --continue")
    shared = claims([seat("web"), seat("other")], {})
    assert told(pane("claude"), None, rule).line == "claude --continue"
    assert told(pane("claude"), shared, rule).entry is Entry.HELD
    assert told(pane("claude"), None, rule).heavy


def test_flags_of_an_unknown_program_are_not_guessed() -> None:
    found = told(pane("job", "--fast"), None, ResumeRule("^job", "{program} {flags}"))
    assert (found.entry, found.line) == (Entry.HELD, "job --fast")
    assert "not understood" in found.reason


class TestOwnCommand:
    """Panes that were started as an agent."""

    def test_it_is_started_with_its_conversation(self) -> None:
        saved = pane(command="claude --session-id x", own=("claude", "--model", "opus", "--session-id", ONE))
        found = told(saved)
        assert (found.entry, found.command, found.conversation, found.heavy) == (
            Entry.STARTED, ("claude", "--model", "opus", "--resume", ONE), ONE, True,
        )  # fmt: skip
        assert found.argv == saved.argv
        assert found.line == f"claude --model opus --resume {ONE}"

    @pytest.mark.parametrize(
        ("own", "known"),
        [
            (("claude",), Claims()),
            (("aider", "a.py"), Claims()),
            (("claude", "-p", "do it", "--resume", ONE), Claims()),
            (("claude", "--brand-new", "do it", "--resume", ONE), Claims()),
            (("claude", "--resume", ONE), claims([], {"/srv": frozenset()})),
            (("claude", "-p", "do it", "--resume", ONE), claims([seat("api", "/srv", ONE)], {})),
        ],
    )
    def test_in_doubt_it_is_started_as_it_was_but_in_its_turn(
        self, own: tuple[str, ...], known: Claims
    ) -> None:
        found = told(pane(command="x", own=own), known)
        assert (found.entry, found.command, found.conversation, found.heavy) == (Entry.STARTED, (), "", True)
        assert found.reason.endswith("as it was started")

    @pytest.mark.parametrize(
        ("own", "command"),
        [
            (("claude", "--session-id", ONE), ("claude",)),
            (("claude", "--model", "opus", "--resume", ONE, "go on"), ("claude", "--model", "opus")),
            (("claude", "--brand-new", "do it", "--resume", ONE), ("claude",)),
        ],
    )
    def test_another_panes_conversation_is_not_taken_up_twice(
        self, own: tuple[str, ...], command: tuple[str, ...]
    ) -> None:
        found = told(pane(command="x", own=own), claims([seat("api", "/srv", ONE)], {}))
        assert (found.entry, found.command, found.conversation) == (Entry.STARTED, command, "")
        assert "of api has the same conversation; with a new one" in found.reason

    def test_a_rule_that_needs_a_shell_changes_nothing(self) -> None:
        rule = ResumeRule("^claude", "cd /x && claude --resume {id}")
        assert told(pane(command="x", own=("claude", "-r", ONE)), None, rule).command == ()

    def test_a_light_command_is_none_of_this(self) -> None:
        assert resumption(pane(command="top", own=("top",)), Spot("web", 4, BASH), ()) is None

    def test_a_rule_of_the_user_may_call_a_command_heavy(self) -> None:
        rule = ResumeRule("^train", "{argv}", heavy=True)
        assert told(pane(command="train", own=("train", "-x")), None, rule).heavy


def test_every_rule_of_an_agent_is_heavy_and_every_agent_has_a_rule() -> None:
    for name in AGENTS:
        assert any(rule.heavy and rule.match.startswith(f"^{name}(") for rule in BUILTIN)


WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            ONE, TWO, "--resume", "-r", "--session-id", f"--resume={ONE}", "--model", "--continue", "-c",
            "--", "--fork-session", "resume", "-p", "--add-dir", "$(id)", "`id`", "; id", "a\nb", "--x", "'",
            "--session-id=$(id)", "{id}", "{flags}", "#{pid}", "\x1b[A", "caf\udce9", "-",
        ]
    ),
)  # fmt: skip


@given(
    name=st.sampled_from(sorted(AGENTS)),
    words=st.lists(WORDS, max_size=8),
    conversation=st.one_of(st.just(""), st.just(ONE), st.text(max_size=10)),
)
def test_whatever_ran_only_intended_words_come_back(name: str, words: list[str], conversation: str) -> None:
    argv = (name, *words)
    for shell in (BASH, "/bin/sh", "/usr/bin/fish", "/bin/tcsh", "/usr/bin/nu"):
        found = resumption(pane(*argv, conversation=conversation), Spot("web", 4, shell), ())
        assert found is not None
        assert typeable(found.line)
        if shell != "/bin/sh" or found.entry is Entry.SKIPPED:
            continue
        back = shlex.split(found.line)
        assert back[0] == name
        held = {*words, "--resume", "--continue", "resume", "--last", "latest", "--restore-chat-history"}
        assert set(back[1:]) <= held | {conversation} | set(find_ids(words))


def find_ids(words: list[str]) -> list[str]:
    return [word.partition("=")[2] for word in words if word.startswith("--resume=")]


@given(name=st.sampled_from(sorted(AGENTS)), words=st.lists(WORDS, max_size=8))
def test_sorting_keeps_order_and_invents_nothing(name: str, words: list[str]) -> None:
    kept: Arguments = sort_arguments(name, words)
    rest = iter(words)
    assert all(flag in rest for flag in kept.flags)


def test_an_agent_is_known_by_its_name_alone() -> None:
    assert find_agent(("/opt/x/claude", "-c")) is not None
    assert find_agent(("claudette",)) is None
    assert find_agent(("cat", "/usr/bin/claude")) is None
    assert find_agent(()) is None
