"""Figures of the machine and of its control groups, as the kernel tells them just now. Blocks for a moment.

Nothing here waits for a disk. The files of a control group may take a while on a large machine; they are
for a thread.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sidecar.edges import pressure
from sidecar.edges.probes.finding import Finding, Unmeasured, below, limit, percent, size
from sidecar.model.probe_machine import (
    OWN,
    LoadProbe,
    MemoryProbe,
    PressureProbe,
    SwapProbe,
)
from sidecar.model.probe_process import DescriptorsProbe

PROC = Path("/proc")
_SWAP = re.compile(r"^(SwapTotal|SwapFree): +(\d+) kB$", re.MULTILINE)
_AVERAGES = {1: 0, 5: 1, 15: 2}


def memory(probe: MemoryProbe, proc: Path = PROC) -> Finding:
    """The fullest of the group, those above it, and the machine."""
    told, where = pressure.memory(proc / "meminfo"), ""
    if probe.cgroup:
        group = pressure.group_memory(_memory_groups(probe.cgroup, proc))
        if group is not None and group[0].share < told.share:
            told, where = group[0], f" in {group[1]}"
    fact = f"memory {percent(1 - told.share)} used ({size(told.left)} of {size(told.size)} available{where})"
    return below(1 - told.share, probe.above, fact, limit(probe.above))


def _memory_groups(named: str, proc: Path) -> list[tuple[Path, str, str]]:
    if named == OWN:
        return list(pressure.groups_of(os.getpid(), proc))
    found = list(pressure.groups_above(Path(named)))
    if not found:
        raise Unmeasured(f"{named} is no control group for memory, or is gone")
    return found


def swap(probe: SwapProbe, proc: Path = PROC) -> Finding:
    """What the kernel has put there."""
    found = {name: int(amount) * 1024 for name, amount in _SWAP.findall((proc / "meminfo").read_text())}
    total, free = found.get("SwapTotal", 0), found.get("SwapFree", 0)
    if not total:
        return Finding(None, "there is no swap", 0.0)
    share = 1 - free / total
    fact = f"swap {percent(share)} used ({size(free)} of {size(total)} free)"
    return below(share, probe.above, fact, limit(probe.above))


def stall(probe: PressureProbe, proc: Path = PROC) -> Finding:
    """The kernel's average of ten seconds."""
    file = (
        Path(probe.cgroup) / f"{probe.resource}.pressure"
        if probe.cgroup
        else proc / "pressure" / probe.resource
    )
    stalled = pressure.stalled(file, probe.waiting)
    if stalled is None:
        raise Unmeasured(f"the kernel does not tell of pressure: {file} is not there, or is switched off")
    who = "some task" if probe.waiting == "some" else "every task"
    fact = f"{who} has waited for {probe.resource} {percent(stalled / 100)} of the last 10 s"
    return below(stalled / 100, probe.above, fact, limit(probe.above))


def load(probe: LoadProbe, proc: Path = PROC) -> Finding:
    """The kernel's average, for each processor that there is."""
    average = float((proc / "loadavg").read_text().split()[_AVERAGES[probe.minutes]])
    processors = os.cpu_count() or 1
    each = average / processors
    fact = f"load {each:.2f} for each processor ({average:.2f} for {processors}) over {probe.minutes} min"
    return below(each, probe.above, fact, f"{probe.above:g}")


def descriptors(probe: DescriptorsProbe, proc: Path = PROC) -> Finding:
    """Open files of all processes together."""
    held, _, most = map(int, (proc / "sys/fs/file-nr").read_text().split())
    fact = f"{held} of {most} open files, {percent(held / most)}"
    share = held / most
    return below(share, probe.above, fact, limit(probe.above)) if probe.above else Finding(None, fact, share)
