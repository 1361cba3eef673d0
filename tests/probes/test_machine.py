"""Figures of this machine, of real disks and groups that fill, and of prepared files of the kernel."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sidecar.edges.probes import machine, processor
from sidecar.edges.probes.finding import Unmeasured, percent, size, span
from sidecar.edges.probes.prober import Prober
from sidecar.model.probe import FAULTS, Probe, ProbeFault, ProbeKind, ProbeResult
from sidecar.model.probe_machine import (
    CpuProbe,
    DiskProbe,
    LoadProbe,
    MemoryProbe,
    PressureProbe,
    Resource,
    SwapProbe,
    Waiting,
)
from sidecar.model.probe_process import DescriptorsProbe
from tests.clocks import SetClock
from tests.group import memory_group

MEMINFO = "MemTotal: 1000000 kB\nMemFree: 1 kB\nMemAvailable:  {available} kB\n"
NOTHING_WRONG = (
    MemoryProbe(above=1.0),
    MemoryProbe(above=1.0, cgroup="own"),
    SwapProbe(above=1.0),
    DiskProbe(("/",), above=1.0, inodes=1.0),
    CpuProbe(),
    PressureProbe(Resource.CPU, above=1.0),
    PressureProbe(Resource.MEMORY, Waiting.FULL, above=1.0),
    LoadProbe(above=10_000.0),
    LoadProbe(above=10_000.0, minutes=15),
    DescriptorsProbe(above=1.0),
)


async def ask(prober: Prober, what: Probe, seconds: float = 10.0) -> ProbeResult:
    result = await prober.probe(what, seconds, {})
    assert result.fault is None or result.fault in FAULTS[what.kind]
    return result


@pytest.mark.parametrize("what", NOTHING_WRONG, ids=lambda what: what.describe())
async def test_this_machine(prober: Prober, what: Probe) -> None:
    result = await ask(prober, what)
    assert result.fault is None, result
    assert result.fact
    assert (what.address, bool(what.describe())) == ("", True)


def proc(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder


def test_memory_by_what_is_available(tmp_path: Path) -> None:
    short = machine.memory(MemoryProbe(), proc(tmp_path, meminfo=MEMINFO.format(available=100_000)))
    assert (short.fault, short.value) == (ProbeFault.ABOVE_LIMIT, pytest.approx(0.9))
    assert short.fact == "memory 90.0 % used (102.4 MB of 1.0 GB available); the limit is 85 %"
    enough = machine.memory(MemoryProbe(), proc(tmp_path, meminfo=MEMINFO.format(available=151_000)))
    assert (enough.fault, enough.fact) == (None, "memory 84.9 % used (154.6 MB of 1.0 GB available)")


@pytest.mark.parametrize("version", [1, 2])
def test_the_fullest_of_a_group_those_above_it_and_the_machine(tmp_path: Path, version: int) -> None:
    names = (
        ("memory.limit_in_bytes", "memory.usage_in_bytes")
        if version == 1
        else ("memory.max", "memory.current")
    )
    low = tmp_path / "top" / "low"
    low.mkdir(parents=True)
    for folder, most, used in ((low, 1000, 100), (low.parent, 2000, 1900)):
        (folder / names[0]).write_text(f"{most}\n")
        (folder / names[1]).write_text(f"{used}\n")
        (folder / "memory.stat").write_text("inactive_file 0\n")
    files = proc(tmp_path, meminfo=MEMINFO.format(available=500_000))
    found = machine.memory(MemoryProbe(cgroup=str(low)), files)
    assert found.fact == f"memory 95.0 % used (100 B of 2.0 kB available in {low.parent}); the limit is 85 %"
    (low.parent / names[0]).write_text("max\n")
    assert machine.memory(MemoryProbe(cgroup=str(low)), files).value == pytest.approx(0.5)
    with pytest.raises(Unmeasured, match="no control group"):
        machine.memory(MemoryProbe(cgroup=str(tmp_path / "gone")), files)


@pytest.mark.parametrize(
    ("content", "fault", "fact"),
    [
        ("SwapTotal: 0 kB\nSwapFree: 0 kB\n", None, "there is no swap"),
        ("SwapTotal: 1000 kB\nSwapFree: 600 kB\n", None, "swap 40.0 % used (614.4 kB of 1.0 MB free)"),
        (
            "SwapTotal: 1000 kB\nSwapFree: 100 kB\n",
            ProbeFault.ABOVE_LIMIT,
            "swap 90.0 % used (102.4 kB of 1.0 MB free); the limit is 80 %",
        ),
    ],
)
def test_swap(tmp_path: Path, content: str, fault: ProbeFault | None, fact: str) -> None:
    found = machine.swap(SwapProbe(), proc(tmp_path, meminfo=content))
    assert (found.fault, found.fact) == (fault, fact)


def test_pressure(tmp_path: Path) -> None:
    lines = (
        "some avg10=25.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=5.50 avg60=0.00 avg300=0.00 total=0\n"
    )
    files = proc(tmp_path, **{"pressure/io": lines})
    some = machine.stall(PressureProbe(Resource.IO), files)
    assert some.fact == "some task has waited for io 25.0 % of the last 10 s; the limit is 20 %"
    full = machine.stall(PressureProbe(Resource.IO, Waiting.FULL), files)
    assert (full.fault, full.value) == (None, pytest.approx(0.055))
    (tmp_path / "io.pressure").write_text(lines)
    assert machine.stall(PressureProbe(Resource.IO, cgroup=str(tmp_path))).fault is ProbeFault.ABOVE_LIMIT
    with pytest.raises(Unmeasured, match="switched off"):
        machine.stall(PressureProbe(Resource.CPU), files)


def test_load_and_descriptors(tmp_path: Path) -> None:
    each = os.cpu_count() or 1
    files = proc(
        tmp_path, loadavg=f"{each * 5}.00 {each}.00 0.50 1/95 28488\n", **{"sys/fs/file-nr": "900\t0\t1000\n"}
    )
    busy = machine.load(LoadProbe(), files)
    assert (busy.fault, busy.value) == (ProbeFault.ABOVE_LIMIT, 5.0)
    assert machine.load(LoadProbe(minutes=5), files).value == 1.0
    full = machine.descriptors(DescriptorsProbe(), files)
    assert full.fact == "900 of 1000 open files, 90.0 %; the limit is 80 %"


def test_the_processors_between_two_tries(tmp_path: Path) -> None:
    def stat(busy: int, idle: int) -> Path:
        lines = f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\ncpu1 1 0 0 1 0 0 0 0 0 0\n"
        return proc(tmp_path, stat=lines)

    rates, probe, clock = processor.Rates(), CpuProbe(), SetClock()
    first = processor.use(probe, rates, clock.monotonic, stat(0, 0))
    assert (first.fault, first.value) == (None, None)
    busy = processor.use(probe, rates, clock.monotonic, stat(1900, 100))
    assert (busy.fault, busy.value) == (ProbeFault.ABOVE_LIMIT, pytest.approx(0.95))
    soon = processor.use(probe, rates, clock.monotonic, stat(1900, 110))
    assert soon.value == busy.value
    assert processor.use(probe, rates, clock.monotonic, stat(1900, 2100)).value == 0.0


@pytest.mark.parametrize("version", [1, 2])
def test_the_processors_of_a_group(tmp_path: Path, version: int) -> None:
    def spent(seconds: float) -> None:
        if version == 1:
            (tmp_path / "cpuacct.usage").write_text(f"{seconds * 1e9:.0f}\n")
            (tmp_path / "cpu.cfs_quota_us").write_text("50000\n")
            (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
        else:
            (tmp_path / "cpu.stat").write_text(f"usage_usec {seconds * 1e6:.0f}\nuser_usec 1\n")
            (tmp_path / "cpu.max").write_text("50000 100000\n")

    rates, clock, probe = processor.Rates(), SetClock(), CpuProbe(cgroup=str(tmp_path))
    for seconds in (0.0, 4.8):
        spent(seconds)
        found = processor.use(probe, rates, clock.monotonic)
        clock.now += 10.0
    assert found.fact == f"96.0 % of 0.5 processors in {tmp_path} used; the limit is 90 %"
    with pytest.raises(Unmeasured, match="counts no processor time"):
        processor.use(CpuProbe(cgroup=str(tmp_path / "gone")), rates, clock.monotonic)


async def test_a_program_that_keeps_a_processor_busy(prober: Prober) -> None:
    """By the machine's own clock: what is asked is whether it is seen, not how much it is."""
    probe = CpuProbe(above=0.3 / (os.cpu_count() or 1))
    await ask(prober, probe)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            async with asyncio.timeout(30):
                while (await ask(prober, probe)).fault is not ProbeFault.ABOVE_LIMIT:
                    await asyncio.sleep(0.3)
        finally:
            busy.kill()


async def test_a_disk_that_fills(prober: Prober, mount: Callable[[str], Path]) -> None:
    disk = mount("size=1m")
    empty = await ask(prober, DiskProbe((str(disk),), inodes=None))
    assert (empty.fault, empty.fact) == (None, f"{disk} 0.0 % full (1.0 MB of 1.0 MB free)")
    (disk / "log").write_bytes(b"x" * 1_000_000)
    full = await ask(prober, DiskProbe((str(disk), "/"), inodes=None))
    assert (full.fault, full.fact.startswith(f"{disk} 95.7 % full")) == (ProbeFault.ABOVE_LIMIT, True), full
    assert full.value == pytest.approx(0.957, abs=0.001)
    short = await ask(prober, DiskProbe((str(disk),), None, 1_000_000, None))
    assert short.fault is ProbeFault.BELOW_LIMIT
    assert short.fact.endswith("1.0 MB have to be free")


async def test_a_disk_without_inodes_left(prober: Prober, mount: Callable[[str], Path]) -> None:
    disk = mount("size=10m,nr_inodes=20")
    for number in range(19):
        (disk / str(number)).touch()
    with pytest.raises(OSError, match="No space"):
        (disk / "more").touch()
    result = await ask(prober, DiskProbe((str(disk),)))
    assert (result.fault, result.value) == (ProbeFault.ABOVE_LIMIT, 1.0)
    assert result.fact == f"{disk} 100.0 % of the inodes used (0 of 20 free); the limit is 90 %"


async def test_a_path_that_is_not_there_says_nothing(prober: Prober, tmp_path: Path) -> None:
    result = await ask(prober, DiskProbe((str(tmp_path / "gone"), "/"), above=1.0, inodes=1.0))
    assert (result.fault, result.fact) == (
        ProbeFault.NOT_MEASURED,
        f"{tmp_path / 'gone'}: no such file or directory",
    )


async def test_a_disk_that_does_not_answer_holds_nobody_up(
    prober: Prober, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, over = os.statvfs, threading.Event()
    asked: list[str] = []

    def statvfs(path: str) -> os.statvfs_result:
        asked.append(path)
        if path == "/nfs":
            over.wait()
        return real(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    try:
        for _ in range(20):
            result = await ask(prober, DiskProbe(("/nfs", "/"), above=1.0, inodes=1.0), 0.02)
            assert (result.fault, result.fact) == (
                ProbeFault.NO_ANSWER,
                "/nfs has not answered within 0.02 s",
            )
        assert asked.count("/nfs") == 1
        assert (await ask(prober, DiskProbe((str(tmp_path),), above=1.0, inodes=1.0))).fault is None
    finally:
        over.set()


LEAK = """
import sys
held = []
for line in sys.stdin:
    held.append(bytearray(b"x" * int(line)))
    print(len(held), flush=True)
"""


async def test_a_program_that_leaks_within_a_group(prober: Prober) -> None:
    with (
        memory_group(64 * 2**20) as group,
        subprocess.Popen(
            [sys.executable, "-c", LEAK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as leak,
    ):
        probe = MemoryProbe(cgroup=str(group.folder))
        assert leak.stdin is not None
        assert leak.stdout is not None
        try:
            group.add(leak.pid)
            found = []
            for _ in range(8):
                found.append(await ask(prober, probe))
                leak.stdin.write(f"{8 * 2**20}\n")
                leak.stdin.flush()
                leak.stdout.readline()
                if found[-1].fault:
                    break
        finally:
            leak.kill()
    assert found[0].fault is None
    assert (found[-1].fault, found[-1].fact.endswith(f"in {group.folder}); the limit is 85 %")) == (
        ProbeFault.ABOVE_LIMIT,
        True,
    ), found


async def test_what_nobody_can_read_is_told(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "descriptors", lambda what: machine.Finding(None, str(1 // 0)))
    result = await ask(prober, DescriptorsProbe())
    assert result.fault is ProbeFault.NOT_MEASURED


@given(st.text(alphabet="cpu0123456789 \n-.x", max_size=200))
def test_any_text_is_processor_time_or_none(text: str) -> None:
    try:
        used, passed = processor.machine_time(text)
    except Unmeasured:
        return
    assert 0 <= used <= passed


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6))))
def test_a_share_is_never_negative(readings: list[tuple[float, float]]) -> None:
    rates = processor.Rates()
    for used, passed in readings:
        share = rates.share("key", used, passed)
        assert share is None or share >= 0.0


def test_rates_are_not_kept_for_ever() -> None:
    rates = processor.Rates()
    for number in range(11_000):
        rates.share(number, 0.0, 0.0)
    assert rates.share(0, 1.0, 1.0) is None
    assert rates.share(10_999, 1.0, 1.0) == 1.0


def test_figures_for_people() -> None:
    assert (percent(0.9131), size(0), size(1_130_000_000), size(999)) == ("91.3 %", "0 B", "1.1 GB", "999 B")
    assert (span(0.25), span(90.0), span(7200.0), span(864_000.0)) == ("0.2 s", "1.5 min", "2.0 h", "10.0 d")


def test_every_kind_has_its_faults() -> None:
    assert FAULTS.keys() == set(ProbeKind)
    assert {fault for faults in FAULTS.values() for fault in faults} == set(ProbeFault)
