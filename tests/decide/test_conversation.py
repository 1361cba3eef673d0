"""Which conversation is whose: by what was told, named or written, and none in doubt."""

from __future__ import annotations

import pytest

from sidecar.decide.conversation import agent_name, alone, conversation_id, named, written
from sidecar.model.conversation import Speaker, Transcript

ONE = "0b9c1f0e-58a4-4b1e-9f43-0a4f6f9b2c11"
TWO = "7d2f4a90-1111-4222-8333-944455556666"


def speaker(*argv: str, reported: str = "", started: float | None = 1_000.0, folder: str = "/srv") -> Speaker:
    return Speaker(argv or ("claude",), reported, started, folder)


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (("claude", "--resume", ONE), ONE),
        (("claude", f"--resume={ONE}", "-p"), ONE),
        (("claude", "-r", "abc-1"), "abc-1"),
        (("claude", "--resume", "old", "--fork-session", "--session-id", ONE), ONE),
        (("claude", "--resume", ONE, "--fork-session"), ""),
        (("codex", "resume", ONE), ONE),
        (("claude", "-r", "--verbose"), ""),
        (("claude", "-r"), ""),
        (("claude", "--session-id", "$(id)"), ""),
        (("claude", "--session-id", "a" * 200), ""),
        (("claude", "--session-id", f"{ONE}\n"), ""),
        (("claude", "see " + ONE), ""),
        (("claude", "--model", ONE), ""),
        (("agent", "--resume", "x1"), "x1"),
        (("agent", "-r=x1"), "x1"),
        (("agent", "go", ONE), ONE),
        (("agent", "--resume", "$(id)"), ""),
        ((ONE,), ""),
    ],
)
def test_the_conversation_in_an_argv(argv: tuple[str, ...], found: str) -> None:
    assert conversation_id(argv) == found


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("claude", "", ""), "claude"),
        (("node", "/usr/bin/claude"), "claude"),
        (("/v/bin/python", "/v/bin/aider"), "aider"),
        (("bash", "-c", "claude"), ""),
        (("-bash",), ""),
        ((), ""),
    ],
)
def test_the_agent_in_an_argv(argv: tuple[str, ...], name: str) -> None:
    assert agent_name(argv) == name


@pytest.mark.parametrize(
    ("reported", "found"),
    [
        (f"claude:{ONE}:1000", ONE),
        (f"claude:{ONE}:5000", ONE),
        (f"claude:{ONE}:999", ONE),
        (f"claude:{ONE}:900", TWO),
        (f"codex:{ONE}:1000", TWO),
        (f"claude:{ONE}", TWO),
        (f"claude:{ONE}:", TWO),
        (f"claude:{ONE}:1000\n", TWO),
        ("claude:$(id):1000", TWO),
        (f"claude:{ONE};id:1000", TWO),
        (ONE, TWO),
        ("", TWO),
    ],
)
def test_what_the_hook_told_of_this_process_comes_before_its_arguments(reported: str, found: str) -> None:
    assert named(speaker("claude", "--resume", TWO, reported=reported)) == found


def test_a_report_is_not_believed_where_the_start_is_not_known() -> None:
    assert named(speaker(reported=f"claude:{ONE}:1000", started=None)) == ""


def test_a_report_holds_for_a_program_that_hides_its_arguments() -> None:
    assert named(speaker("claude", "", "", "", reported=f"claude:{ONE}:1000")) == ONE


@pytest.mark.parametrize(
    ("transcripts", "others", "found"),
    [
        ([], [], ""),
        ([Transcript(ONE, 1_000.0)], [], ONE),
        ([Transcript(ONE, 1_500.0), Transcript(TWO, 900.0)], [], ONE),
        ([Transcript(ONE, 1_500.0), Transcript(TWO, 1_200.0)], [], ""),
        ([Transcript(ONE, 1_500.0), Transcript(TWO, 1_200.0)], [TWO], ONE),
        ([Transcript(ONE, 1_500.0)], [ONE], ""),
        ([Transcript(ONE, 999.0)], [], ""),
        ([Transcript("agent-1234", 1_500.0)], [], ""),
        ([Transcript("$(id)", 1_500.0)], [], ""),
    ],
)
def test_the_one_transcript_that_went_on(
    transcripts: list[Transcript], others: list[str], found: str
) -> None:
    assert written(speaker(), transcripts, frozenset(others)) == found


def test_a_transcript_says_nothing_about_a_process_of_unknown_age() -> None:
    assert written(speaker(started=None), [Transcript(ONE, 1_500.0)], frozenset()) == ""


def test_two_agents_in_a_folder_are_not_told_apart() -> None:
    three = [("%1", speaker()), ("%2", speaker()), ("%3", speaker(folder="/else"))]
    assert alone(three) == {"/else": "%3"}
