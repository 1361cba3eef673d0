"""How much of the processors was used between two tries."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

from sidecar.edges import cgroup, pressure
from sidecar.edges.probes.finding import Finding, Unmeasured, below, limit, percent
from sidecar.edges.probes.machine import PROC
from sidecar.model.probe_machine import OWN, CpuProbe

_LEAST = 0.2
"""Seconds between two readings that say anything: the kernel counts in hundredths."""
_KEPT = 10_000
_IDLE = slice(3, 5)
"""Among the numbers of the first line of /proc/stat: idle, and waiting for a disk."""
_COUNTED = 8
"""The time of guests, behind these, is counted among them already."""


@dataclass(frozen=True, slots=True)
class _Reading:
    used: float
    passed: float
    share: float | None


class Rates:
    """What two readings, one after the other, say together."""

    def __init__(self) -> None:
        self._last: dict[Hashable, _Reading] = {}

    def share(self, key: Hashable, used: float, passed: float) -> float | None:
        """How much of what ``passed`` was ``used`` since the last reading, in seconds; None the first time.

        Readings that follow too closely say what the last one said.
        """
        last = self._last.get(key)
        if last is not None and passed - last.passed < _LEAST:
            return last.share
        share = max((used - last.used) / (passed - last.passed), 0.0) if last else None
        # The one that was asked least lately goes first.
        self._last.pop(key, None)
        self._last[key] = _Reading(used, passed, share)
        while len(self._last) > _KEPT:
            self._last.pop(next(iter(self._last)))
        return share


def use(probe: CpuProbe, rates: Rates, monotonic: Callable[[], float], proc: Path = PROC) -> Finding:
    """The share since the last try of the same probe."""
    if not probe.cgroup:
        used, passed = machine_time((proc / "stat").read_text())
        share, whole = rates.share(probe, used, passed), f"{os.cpu_count() or 1} processors"
    else:
        folder = _folder(probe.cgroup, proc)
        spent = cgroup.processor_seconds(folder)
        if spent is None:
            raise Unmeasured(f"{folder} counts no processor time, or is gone")
        quota = cgroup.processors(folder) or float(os.cpu_count() or 1)
        rate = rates.share(probe, spent, monotonic())
        share, whole = rate if rate is None else rate / quota, f"{quota:g} processors in {folder}"
    if share is None:
        return Finding(None, f"the use of {whole} is known from the next try on")
    return below(share, probe.above, f"{percent(share)} of {whole} used", limit(probe.above))


def machine_time(text: str) -> tuple[float, float]:
    """Seconds since boot in which a processor was used, and all seconds, on average, by /proc/stat.

    Raises:
        Unmeasured: it has another form.
    """
    lines = text.splitlines()
    words = lines[0].split() if lines else []
    count = sum(line.startswith("cpu") and line[3:4].isdigit() for line in lines)
    if len(words) < 6 or words[0] != "cpu" or not count or not all(map(str.isdigit, words[1:])):
        raise Unmeasured("/proc/stat does not tell how the processors are used")
    ticks = [int(word) for word in words[1 : 1 + _COUNTED]]
    scale = os.sysconf("SC_CLK_TCK") * count
    return (sum(ticks) - sum(ticks[_IDLE])) / scale, sum(ticks) / scale


def _folder(named: str, proc: Path) -> Path:
    if named != OWN:
        return Path(named)
    for controller in ("cpuacct", "cpu"):
        for folder, _ in pressure.folders_of(os.getpid(), controller, proc):
            if cgroup.processor_seconds(folder) is not None:
                return folder
    raise Unmeasured("no control group counts the processor time of this process")
