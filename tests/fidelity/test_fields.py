"""Each thing that a session is made of: lost with its server, and there again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import eventually
from tests.fidelity.conftest import Patient


def read_cases() -> dict[str, tuple[str, ...]]:
    """The sessions of ``sessions.conf``: ``## name``, perhaps ``# as: another``, and commands."""
    text = Path(__file__).with_name("sessions.conf").read_text()
    cases: dict[str, tuple[str, ...]] = {}
    for block in text.split("\n## ")[1:]:
        name, *lines = block.splitlines()
        cases[name] = tuple(_commands(lines, cases))
    return cases


def _commands(lines: list[str], known: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for line in lines:
        if line.startswith("# as: "):
            yield from known[line.removeprefix("# as: ")]
        elif line:
            yield line


CASES = read_cases()


@pytest.mark.parametrize("case", CASES)
async def test_a_session_comes_back_as_it_was(patient: Patient, case: str) -> None:
    await patient.do(*CASES[case])
    assert await patient.round_trip() == []
    assert not (patient.tmux.folder / "pwned").exists()


@pytest.mark.parametrize("case", CASES)
async def test_a_session_comes_back_in_a_server_that_lives(patient: Patient, case: str) -> None:
    await patient.do("new-session -d -s keeper 'sleep 1000'", *CASES[case])
    before = await patient.take()
    sessions = [capture for name, capture in before.items() if name != "keeper"]
    processes = patient.tmux.show("=keeper:", "#{pid} #{pane_pid}")
    sessions_now = (await patient.door.look()).sessions
    await patient.do(*(f"kill-session -t '{each.id}:'" for each in sessions_now if each.name != "keeper"))
    await patient.restore(sessions)
    assert await patient.differences(before) == []
    assert patient.tmux.show("=keeper:", "#{pid} #{pane_pid}") == processes
    assert not (patient.tmux.folder / "pwned").exists()


async def test_hooks_do_not_run_for_the_rebuild_of_what_they_belong_to(patient: Patient) -> None:
    await patient.do(*CASES["four panes"], "new-session -d -s twin -t =web:")
    run = "run-shell 'touch pwned'"
    await patient.do(
        f'set-hook -w -t =web:4 window-layout-changed "{run}"',
        f'set-hook -w -t =web:4 window-pane-changed "{run}"',
        f'set-hook -t =web: session-renamed "{run}"',
        f'set-hook -t =web: after-select-window "{run}"',
        f'set-hook -p -t =web:4.1 pane-title-changed "{run}"',
    )
    assert await patient.round_trip() == []
    await asyncio.to_thread(patient.tmux.run, "run-shell", "true")
    assert not (patient.tmux.folder / "pwned").exists()
    await patient.do("select-layout -t =web:4 tiled")
    await asyncio.to_thread(eventually, (patient.tmux.folder / "pwned").exists, "the hook")
