"""Probe commands: what hangs, floods or leaves something behind is cut off, all of it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.clock import SystemClock
from sidecar.edges.probes.prober import Prober
from sidecar.edges.probes.search import found, is_quick
from sidecar.model.probe import CommandProbe, ProbeFault, ProbeResult
from tests.box import eventually


async def run(*argv: str, seconds: float = 10.0, **about: str) -> ProbeResult:
    return await Prober(SystemClock()).probe(CommandProbe(argv), seconds, about)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except OSError:
        return True


@pytest.mark.parametrize(
    ("script", "fault", "fact"),
    [
        ("true", None, "ended with 0"),
        ("echo one; echo two", None, "ended with 0: two"),
        ("echo no >&2; exit 3", ProbeFault.COMMAND_FAILED, "ended with 3: no"),
        ("echo password=hunter2; exit 1", ProbeFault.COMMAND_FAILED, "ended with 1: password=***"),
        ("kill -9 $$", ProbeFault.COMMAND_FAILED, "ended by SIGKILL"),
        ("printf 'a\\033[31mb\\377'; exit 1", ProbeFault.COMMAND_FAILED, "ended with 1: a [31mb"),
    ],
)
async def test_how_it_ends(script: str, fault: ProbeFault | None, fact: str) -> None:
    result = await run("/bin/sh", "-c", script)
    assert (result.fault, result.fact.startswith(fact)) == (fault, True), result


@pytest.mark.parametrize(
    ("facts", "fault", "fact"),
    [
        ({"status": (0, 3)}, None, "ended with 3: two"),
        ({"status": (1,)}, ProbeFault.COMMAND_FAILED, "ended with 3: two"),
        ({"status": (3,), "match": "on[ef]"}, None, "ended with 3: two; 'on[ef]' is in its output"),
        ({"status": (3,), "match": "six"}, ProbeFault.TEXT_MISMATCH, "'six' is not in its output"),
        ({"status": (3,), "no_match": "tw+o"}, ProbeFault.TEXT_MISMATCH, "'tw+o' is in its output"),
        ({"status": (3,), "match": "one", "no_match": "six"}, None, "'six' is not in its output"),
    ],
)
async def test_statuses_and_output(facts: dict[str, Any], fault: ProbeFault | None, fact: str) -> None:
    probe = CommandProbe(shell="(echo one; echo two >&2) | cat; echo two >&2; exit 3", **facts)
    result = await Prober(SystemClock()).probe(probe, 10.0, {})
    assert (result.fault, fact in result.fact) == (fault, True), result
    assert probe.describe().startswith("`(echo one; ")


async def test_what_cannot_be_started(tmp_path: Path) -> None:
    missing = await run(str(tmp_path / "nothing"))
    assert (missing.fault, missing.fact) == (
        ProbeFault.COMMAND_FAILED,
        "cannot be run: no such file or directory",
    )
    (tmp_path / "file").write_text("")
    assert (await run(str(tmp_path / "file"))).fact == "cannot be run: permission denied"


async def test_it_gets_little_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "x")
    script = 'echo "$(pwd) ${API_KEY-unset} $SIDECAR_SESSION $(cat)"'
    assert (await run("/bin/sh", "-c", script, SIDECAR_SESSION="a b")).fact == "ended with 0: / unset a b"


async def test_no_shell_reads_it() -> None:
    assert (await run("/bin/echo", "$(id)", ";", "#(id)")).fact == "ended with 0: $(id) ; #(id)"


async def test_one_that_hangs_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    script = f"sleep 1001 & echo $! > {tmp_path}/child; trap '' TERM; wait"
    result = await run("/bin/sh", "-c", script, seconds=0.5)
    assert (result.fault, result.fact) == (ProbeFault.COMMAND_HUNG, "cut off after 0.5 s")
    child = int((tmp_path / "child").read_text())
    await asyncio.to_thread(eventually, lambda: gone(child), "the end of its child")


async def test_one_that_floods(tmp_path: Path) -> None:
    result = await run("/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; exec yes")
    assert (result.fault, result.fact) == (ProbeFault.COMMAND_FLOODED, "cut off after 64 KiB of output")
    assert gone(int((tmp_path / "pid").read_text()))
    assert result.took < 5.0


async def test_a_flood_of_one_that_ends_at_once() -> None:
    result = await run("/bin/sh", "-c", "head -c 65000 /dev/zero; exit 4")
    assert result.fault is ProbeFault.COMMAND_FAILED
    assert (await run("/bin/sh", "-c", "head -c 70000 /dev/zero")).fault is ProbeFault.COMMAND_FLOODED


DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(1001)
"""


async def test_a_daemon_that_keeps_the_output_open_is_ended(tmp_path: Path) -> None:
    result = await run(sys.executable, "-c", DAEMON, str(tmp_path / "pid"), seconds=5.0)
    assert result.fact == "ended with 0, leaving something running that was killed"
    assert (result.fault, result.took < 5.0) == (None, True)
    await asyncio.to_thread(eventually, lambda: gone(int((tmp_path / "pid").read_text())), "the daemon's end")


async def test_it_is_ended_with_whoever_waits_for_it(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    task = asyncio.create_task(run("/bin/sh", "-c", f"echo $$ > {file}; exec sleep 1001"))
    await asyncio.to_thread(eventually, lambda: file.exists() and file.read_text(), "its start")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(int(file.read_text()))


async def test_only_a_few_run_at_once_and_none_loses_its_time(tmp_path: Path) -> None:
    prober = Prober(SystemClock())
    script = f"ls {tmp_path} | wc -l; touch {tmp_path}/$$; sleep 0.1; rm {tmp_path}/$$"
    probe = CommandProbe(("/bin/sh", "-c", script))
    results = await asyncio.gather(*(prober.probe(probe, 5.0, {}) for _ in range(12)))
    assert {result.fault for result in results} == {None}
    assert max(int(result.fact.rpartition(" ")[2]) for result in results) < 4


async def test_nothing_stays_open() -> None:
    await run("/bin/true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await run("/bin/true")
        await run("/nothing/there")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("pattern", "text", "hit"),
    [
        ("ok", "all ok", True),
        ("ok", "no", False),
        ("o+k", "ook\0", True),
        ("^é+$", "éé", True),
        ("x{2}", "x", False),
    ],
)
async def test_searches(pattern: str, text: str, hit: bool) -> None:
    assert await found(pattern, text, 10.0) is hit


async def test_a_search_without_end_is_ended() -> None:
    assert not is_quick("(a+)+$", ["a" * 60 + "!"])
    assert await found("(a+)+$", "a" * 60 + "!", 0.3) is None
