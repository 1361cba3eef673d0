"""Commands that people paste: whatever a session is called, they concern it and do nothing else."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.by_hand import again_commands, asking, tmux_at, undo_commands
from sidecar.model.heal import CommandHeal
from sidecar.model.plan import Expectation, Plan, Step, StepKind, Strategy
from tests.decide.test_choose import finding


@pytest.mark.parametrize(
    ("session", "command"),
    [
        ("web", "sidecar recover web"),
        ("a `id` $HOME", "sidecar recover 'a `id` $HOME'"),
        ("-dash", "sidecar recover -- -dash"),
        ("", "sidecar status"),
    ],
)
def test_asking(session: str, command: str) -> None:
    assert asking("recover", session) == command


@given(st.text(min_size=1))
def test_any_name_is_one_word(session: str) -> None:
    assert shlex.split(asking("adopt", session))[-1] == session


def test_what_has_no_name_is_looked_up() -> None:
    assert again_commands("web") == ("sidecar explain web", "sidecar recover web")
    assert again_commands("") == ("sidecar status",)


@given(st.text(min_size=1).map("/run/{}/box".format))
def test_what_was_built_is_removed_from_the_very_server(socket: str) -> None:
    """A session of the same name in another server, a person's own perhaps, is not meant."""
    step = Step(StepKind.REBUILD_SESSION)
    plan = Plan("web", Strategy.RESTORE_CHECKPOINT, (step,), Expectation(None), finding())
    line, again = undo_commands(plan, step, tmux_at(socket))
    assert shlex.split(line) == ["tmux", "-S", socket, "kill-session", "-t", "=web"]
    assert again == "sidecar recover web"


def test_what_takes_a_heal_back_is_the_command_that_it_names_without_its_secrets() -> None:
    heal = CommandHeal(("up",), undo=("scale", "down now", "--token", "hunter2"))
    step = Step(StepKind.HEAL_TRIAL, what="api", heal=heal)
    plan = Plan("check:api", Strategy.HEAL_CHECK, (step,), Expectation(None), finding())
    assert undo_commands(plan, step, "tmux") == ("scale 'down now' --token ***",)
