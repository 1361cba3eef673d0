"""Processes that are there, are not, are too many, too old, too large, or in a bad state."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.edges import process
from sidecar.edges.probes import processes, search, select
from sidecar.edges.probes.prober import Prober
from sidecar.model.probe import FAULTS, Probe, ProbeFault, ProbeResult
from sidecar.model.probe_process import DescriptorsProbe, Never, ProcessProbe, Which
from tests.box import eventually
from tests.clocks import SetClock

Start = Callable[..., subprocess.Popen[bytes]]
ZOMBIE = """
import os, sys, time
if os.fork() == 0:
    os._exit(0)
print("ready", flush=True)
time.sleep(1001)
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts copies of sleep under names that nobody else has."""
    started: list[subprocess.Popen[bytes]] = []

    def run(name: str, *arguments: str) -> subprocess.Popen[bytes]:
        program = tmp_path / name
        if not program.exists():
            shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
        started.append(subprocess.Popen([program, *(arguments or ("1001",))]))
        return started[-1]

    yield run
    for one in started:
        one.kill()
        one.wait()


async def ask(prober: Prober, what: Probe) -> ProbeResult:
    result = await prober.probe(what, 10.0, {})
    assert result.fault is None or result.fault in FAULTS[what.kind]
    return result


async def until(prober: Prober, what: Probe, fault: ProbeFault | None) -> ProbeResult:
    """A walk serves for a moment, so what has just begun may not be seen at once."""
    async with asyncio.timeout(20):
        while (result := await ask(prober, what)).fault is not fault:
            await asyncio.sleep(0.02)
    return result


def name() -> str:
    return f"t{os.getpid()}x"


async def test_by_name(prober: Prober, start: Start) -> None:
    probe = ProcessProbe(Which(name()))
    assert (await ask(prober, probe)).fact == f"no process {name()}"
    one = start(name())
    found = await until(prober, probe, None)
    assert (found.fact, found.value) == (f"1 process {name()} (pid {one.pid})", 1.0)
    one.kill()
    # A zombie does not live.
    assert (await until(prober, probe, ProbeFault.NOT_RUNNING)).value == 0.0


async def test_a_name_that_the_kernel_cuts_off(prober: Prober, start: Start) -> None:
    long = f"{name()}-{'n' * 30}"
    start(long)
    assert (await until(prober, ProcessProbe(Which(long)), None)).value == 1.0
    assert (await ask(prober, ProcessProbe(Which(long[:15])))).fault is None
    assert (await ask(prober, ProcessProbe(Which(long[:-1])))).fault is ProbeFault.NOT_RUNNING


async def test_how_many(prober: Prober, start: Start) -> None:
    for _ in range(3):
        start(name())
    await until(prober, ProcessProbe(Which(name()), 3), None)
    many = await ask(prober, ProcessProbe(Which(name()), most=2))
    assert (many.fault, many.fact.endswith("; there may be 2")) == (ProbeFault.TOO_MANY, True)
    few = await ask(prober, ProcessProbe(Which(name()), 4))
    assert few.fact.startswith(f"3 processes {name()} (pid ")
    assert few.fact.endswith("; there have to be 4")
    assert (await ask(prober, ProcessProbe(Which(name()), 0, 0))).fault is ProbeFault.TOO_MANY


@pytest.mark.parametrize("pattern", ["{} 10[0-9]+$", "{} 1001", "(x+x+)+y|{} 1001"])
async def test_by_command_line(prober: Prober, start: Start, pattern: str) -> None:
    start(name())
    probe = ProcessProbe(Which(cmdline=pattern.format(name())), most=1)
    assert (await until(prober, probe, None)).value == 1.0


async def test_a_search_without_end_is_unknown(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(*_: object) -> None:
        return None

    monkeypatch.setattr(search, "among", endless)
    result = await ask(prober, ProcessProbe(Which(cmdline="a")))
    assert (result.fault, "came to no end" in result.fact) == (ProbeFault.NOT_MEASURED, True)


async def test_by_pidfile(prober: Prober, start: Start, tmp_path: Path) -> None:
    file = tmp_path / "api.pid"
    probe = ProcessProbe(Which(pidfile=str(file)))
    assert (await ask(prober, probe)).fault is ProbeFault.NOT_RUNNING
    file.write_text(f" {start(name()).pid}\n")
    await until(prober, probe, None)
    assert (await ask(prober, ProcessProbe(Which(name(), pidfile=str(file))))).fault is None
    # The number of another one, as after a restart of the machine.
    file.write_text(f"{os.getpid()}\n")
    assert (await ask(prober, probe)).fault is None
    other = await ask(prober, ProcessProbe(Which(name(), pidfile=str(file))))
    assert other.fault is ProbeFault.NOT_RUNNING
    for words in ("", "x", "12 13", "-1"):
        file.write_text(words)
        assert (await ask(prober, probe)).fault is ProbeFault.NOT_RUNNING
    file.unlink()
    os.mkfifo(file)
    assert (await ask(prober, probe)).fact == f"{file}: is no regular file"


async def test_by_group(prober: Prober, start: Start) -> None:
    top = Path("/sys/fs/cgroup/pids")
    group = (top if top.is_dir() else Path("/sys/fs/cgroup")) / f"sidecar-{name()}"
    try:
        (group / "inner").mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    probe = ProcessProbe(Which(cgroup=str(group)))
    one = start(name())
    try:
        assert (await ask(prober, probe)).fault is ProbeFault.NOT_RUNNING
        (group / "inner" / "cgroup.procs").write_text(str(one.pid))
        assert (await until(prober, probe, None)).fact == f"1 process in {group} (pid {one.pid})"
    finally:
        one.kill()
        one.wait()
        (group / "inner").rmdir()
        group.rmdir()
    assert (await ask(prober, probe)).fault is ProbeFault.NOT_RUNNING


async def test_ages_and_sizes(prober: Prober, start: Start) -> None:
    one = start(name())
    await until(prober, ProcessProbe(Which(name())), None)
    young = await ask(prober, ProcessProbe(Which(name()), older=3600.0))
    assert (young.fault, young.fact.endswith(", and not for 1.0 h yet")) == (ProbeFault.TOO_YOUNG, True)
    old = await until(prober, ProcessProbe(Which(name()), younger=0.1), ProbeFault.TOO_OLD)
    assert old.fact.startswith(f"{name()} (pid {one.pid}) has lived for ")
    large = await ask(prober, ProcessProbe(Which(name()), rss=1000))
    assert (large.fault, large.fact.endswith("in memory; the limit is 1.0 kB")) == (
        ProbeFault.ABOVE_LIMIT,
        True,
    )


async def test_one_that_keeps_a_processor_busy(prober: Prober) -> None:
    script = f"import sys\n# {name()}\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", script]) as busy:
        try:
            probe = ProcessProbe(Which(cmdline=f"# {name()}"), cpu=0.1)
            result = await until(prober, probe, ProbeFault.ABOVE_LIMIT)
        finally:
            busy.kill()
    assert "% of a processor; the limit is 10 %" in result.fact


async def test_states(prober: Prober, start: Start) -> None:
    one = start(name())
    probe = ProcessProbe(Which(name()), least=0, never=(Never.STOPPED, Never.ZOMBIE))
    await until(prober, probe, None)
    os.kill(one.pid, signal.SIGSTOP)
    stopped = await until(prober, probe, ProbeFault.BAD_STATE)
    assert stopped.fact == f"1 process {name()} is stopped (pid {one.pid})"
    one.kill()
    async with asyncio.timeout(20):
        while "zombie" not in (result := await ask(prober, probe)).fact:
            await asyncio.sleep(0.02)
    assert result.fault is ProbeFault.BAD_STATE
    one.wait()
    await until(prober, probe, None)


def test_one_that_waits_for_the_kernel() -> None:
    """vfork holds a parent in state D until its child is done; nobody can be put there more gently."""
    script = "import ctypes; libc = ctypes.CDLL(None)\nif libc.vfork() == 0: libc.sleep(1001)"
    with subprocess.Popen([sys.executable, "-c", script], start_new_session=True) as parent:
        try:
            eventually(lambda: process.stat_fields(parent.pid)[0] == b"D", "state D")
            crowd = processes.Processes(SetClock().monotonic).look()
            assert crowd.seen[parent.pid].state == "D"
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


async def test_open_files(prober: Prober, start: Start) -> None:
    probe = DescriptorsProbe(None, 1, Which(name()))
    assert (await ask(prober, probe)).fault is ProbeFault.NOT_RUNNING
    one = start(name())
    many = await until(prober, probe, ProbeFault.ABOVE_LIMIT)
    assert many.fact == f"{name()} (pid {one.pid}) has {int(many.value or 0)} open files; the limit is 1"
    assert (await ask(prober, DescriptorsProbe(1.0, None, Which(name())))).fault is None
    subprocess.run(["prlimit", "--pid", str(one.pid), "--nofile=4:4"], check=True, timeout=10)
    short = await ask(prober, DescriptorsProbe(0.7, None, Which(name())))
    assert (short.fault, "of 4, 75.0 %" in short.fact) == (ProbeFault.ABOVE_LIMIT, True), short


def test_one_walk_serves_all_who_ask_at_about_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    walks = []
    real = processes._walk
    monkeypatch.setattr(processes, "_walk", lambda: walks.append(1) or real())
    clock = SetClock()
    everybody = processes.Processes(clock.monotonic)
    for _ in range(100):
        everybody.look()
    assert len(walks) == 1
    clock.now += 1.0
    everybody.look()
    assert len(walks) == 2


async def test_many_at_once(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    walks = []
    real = processes._walk
    monkeypatch.setattr(processes, "_walk", lambda: walks.append(1) or real())
    probes = (ProcessProbe(Which(f"nobody-{number}")) for number in range(50))
    results = await asyncio.gather(*(ask(prober, probe) for probe in probes))
    assert {one.fault for one in results} == {ProbeFault.NOT_RUNNING}
    assert len(walks) < 25


def test_a_name_with_brackets_and_spaces(start: Start) -> None:
    odd = f"a) S ({os.getpid()}"
    one = start(odd)
    eventually(lambda: process.named_stat(one.pid)[0] == odd.encode()[:15], "the name")
    crowd = processes.Processes(SetClock().monotonic).look()
    assert [each.pid for each in select.selected(Which(odd), crowd)] == [one.pid]
