"""Heals that are commands: run to their end, and not beside each other."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from sidecar.edges import process
from sidecar.edges.script import MARK
from sidecar.errors import Permanent, Temporary
from sidecar.model.heal import CommandHeal
from tests.box import eventually
from tests.heals.bench import call, door


def sh(line: str, seconds: float = 20.0, undo: tuple[str, ...] = ()) -> CommandHeal:
    return CommandHeal(("/bin/sh", "-c", line), seconds, undo)


async def test_it_ends_well_and_says_its_last_line(tmp_path: Path) -> None:
    said = await door(tmp_path).heal(call(sh("echo one; echo two; echo password=hunter2")))
    assert said.startswith("/bin/sh ended with 0: password=*** after ")


async def test_it_is_told_on_whose_behalf_it_runs(tmp_path: Path) -> None:
    heal = sh(f'echo "$SIDECAR_CHECK $SIDECAR_SUBJECT [$SIDECAR_AGAIN] ${MARK}"')
    assert "ended with 0: api web [] trace-1 after" in await door(tmp_path).heal(call(heal))
    assert "ended with 0: api web [1] trace-2" in await door(tmp_path).heal(
        call(heal, mark="trace-2", again=True)
    )


async def test_a_line_for_the_shell_only_where_it_is_asked_for(tmp_path: Path) -> None:
    assert "ended with 0: 5" in await door(tmp_path).heal(call(CommandHeal(("echo $((2 + 3))",), shell=True)))
    said = await door(tmp_path).heal(call(CommandHeal(("/bin/echo", "$((2 + 3))"))))
    assert "ended with 0: $((2 + 3))" in said


@pytest.mark.parametrize(
    ("heal", "kind", "words"),
    [
        (sh("echo no; exit 3"), Temporary, "ended with 3: no"),
        (sh("kill -9 $$"), Temporary, "ended by SIGKILL"),
        (sh("/nowhere/program"), Permanent, "ended with 127"),
        (CommandHeal(("/nowhere/program",)), Permanent, "cannot be run: no such file"),
        (CommandHeal(("tr\0ue",)), Permanent, "cannot be run: embedded null byte"),
        (sh("sleep 1001 & echo started"), Permanent, "leaving something running that was killed: started"),
    ],
)
async def test_what_does_not_end_well(
    heal: CommandHeal, kind: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words) as caught:
        await door(tmp_path).heal(call(heal))
    assert getattr(caught.value, "hint", "")


async def test_one_that_talks_without_end_is_heard_to_its_end(tmp_path: Path) -> None:
    said = await door(tmp_path).heal(call(sh("yes | head -c 3000000; echo; echo over")))
    assert "ended with 0: over" in said


async def test_what_takes_too_long_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    heal = sh(f"setsid sleep 1002 >/dev/null 2>&1 & echo $! > {tmp_path}/child; sleep 1003", 0.5)
    with pytest.raises(Temporary, match=r"did not end within 0\.5 s"):
        await door(tmp_path).heal(call(heal))
    child = int((tmp_path / "child").read_text())
    await asyncio.to_thread(eventually, lambda: process.state(child) is None, "the end of its child")


async def test_what_stays_without_holding_the_output_may_stay(tmp_path: Path) -> None:
    await door(tmp_path).heal(call(sh(f"sleep 1004 >/dev/null 2>&1 & echo $! > {tmp_path}/child")))
    child = int((tmp_path / "child").read_text())
    assert process.state(child) is not None
    os.kill(child, 9)


async def test_what_an_attempt_that_was_cut_off_left_running_is_ended_first(tmp_path: Path) -> None:
    left = subprocess.Popen(["sleep", "1005"], env={MARK: "trace-1"})
    other = subprocess.Popen(["sleep", "1006"], env={MARK: "trace-11"})
    try:
        await door(tmp_path).heal(call(sh("true"), again=True))
        assert left.wait(timeout=10) == -9
        assert other.poll() is None
    finally:
        for each in (left, other):
            each.kill()
            each.wait()


async def test_it_is_taken_back_by_its_own_command(tmp_path: Path) -> None:
    file = tmp_path / "file"
    heal = CommandHeal(("/bin/touch", str(file)), undo=("/bin/rm", str(file)))
    await door(tmp_path).heal(call(heal))
    assert file.exists()
    assert (await door(tmp_path).take_back(call(heal))).startswith("/bin/rm ended with 0 after")
    assert not file.exists()
    with pytest.raises(Temporary, match="/bin/rm ended with 1"):
        await door(tmp_path).take_back(call(heal))
