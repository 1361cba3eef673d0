"""Commands that people paste: whatever a session is called, they concern it and do nothing else."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.by_hand import again_commands, asking


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
