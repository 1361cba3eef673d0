"""A script of a workspace file runs once, to its end, within its time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from sidecar.edges.script import end_script, run_script
from sidecar.errors import Permanent
from tests.box import eventually


async def test_it_runs_where_and_with_what_it_is_given(tmp_path: Path) -> None:
    script = 'pwd > out; echo "$ODD $1 ${HOME-unset}" >> out; cat >> out'
    await run_script(["/bin/sh", "-c", script, "up", "a b"], str(tmp_path), {"ODD": "é"})
    assert (tmp_path / "out").read_text() == f"{tmp_path}\né a b unset\n"


@pytest.mark.parametrize(
    ("arguments", "cwd", "words"),
    [
        (["/bin/sh", "-c", "exit 3"], ".", "'/bin/sh' ended with 3"),
        (["./no-such-script"], ".", "cannot be started in .*No such file"),
        (["/bin/true"], "gone", "cannot be started in .*gone: No such file"),
    ],
)
async def test_it_did_not_go_well(tmp_path: Path, arguments: list[str], cwd: str, words: str) -> None:
    with pytest.raises(Permanent, match=words):
        await run_script(arguments, str(tmp_path / cwd), {})


async def test_one_that_takes_too_long_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    script = "sleep 1000 & echo $! > pid; wait"
    with pytest.raises(Permanent, match=r"did not end within 0.5 s"):
        await run_script(["/bin/sh", "-c", script], str(tmp_path), {"PATH": os.environ["PATH"]}, 0.5)
    pid = (tmp_path / "pid").read_text().strip()
    eventually(
        lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    )


async def test_what_a_run_of_ours_that_was_killed_has_left_running_is_ended(tmp_path: Path) -> None:
    """It and what it has started, and nothing that another recovery has."""

    def left(mark: str) -> subprocess.Popen[bytes]:
        script = "sleep 1000 & echo $! > $0; wait"
        return subprocess.Popen(
            ["/bin/sh", "-c", script, str(tmp_path / mark)], env={**os.environ, "SIDECAR_RECOVERY": mark}
        )

    with left("t-1") as mine, left("t-12") as other:
        eventually(lambda: all((tmp_path / mark).exists() for mark in ("t-1", "t-12")))
        assert await asyncio.to_thread(end_script, "t-1") == 2
        assert mine.wait(10) == -signal.SIGKILL
        assert other.poll() is None
        assert end_script("t-12") == 2
    assert end_script("t-1") == 0
