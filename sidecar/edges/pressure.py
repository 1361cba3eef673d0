"""How hard the machine is pressed, by the kernel's own account where it gives one. Blocks for a moment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from sidecar.model.record import Pressure
from sidecar.model.stress import Room

_LINES = {word: re.compile(rf"^{word} avg10=([0-9.]+)", re.MULTILINE) for word in ("some", "full")}
_KERNEL = Path("/proc/pressure")
_MEMORY = re.compile(r"^(MemTotal|MemAvailable): +(\d+) kB$", re.MULTILINE)
_RECLAIMABLE = re.compile(r"^(?:total_)?inactive_file (\d+)$", re.MULTILINE)

_GROUPS = Path("/sys/fs/cgroup")
_PROCESSES = Path("/proc")
_LIMIT_V2, _USED_V2 = "memory.max", "memory.current"
_LIMIT_V1, _USED_V1 = "memory.limit_in_bytes", "memory.usage_in_bytes"
_UNLIMITED = 1 << 60
"""Bytes; version 1 says so where there is no limit."""


def read(folder: Path = _KERNEL, server: int = 0) -> Pressure:
    """The pressure now.

    ``folder`` holds the kernel's pressure files, which not every kernel has; ``server`` is the process
    whose control group counts, 0 for none.
    """
    memory = {name: int(amount) for name, amount in _MEMORY.findall(Path("/proc/meminfo").read_text())}
    return Pressure(
        memory_available=memory["MemAvailable"] / memory["MemTotal"],
        load=os.getloadavg()[0] / (os.cpu_count() or 1),
        cpu_stalled=_stalled(folder / "cpu"),
        memory_stalled=_stalled(folder / "memory"),
        memory_blocked=_stalled(folder / "memory", "full"),
        group_available=group_available(server) if server else None,
    )


def group_available(pid: int, processes: Path = _PROCESSES, groups: Path = _GROUPS) -> float | None:
    """The share of memory that the control group of a process, or the tightest one above it, has left.

    None without a limit. What a group keeps of files that nobody has touched lately counts as free.
    """
    shares = [share for group in groups_of(pid, processes, groups) if (share := _share(*group)) is not None]
    return min(shares, default=None)


def room(folder: Path) -> Room | None:
    """What is left on the disk of a folder; None if it cannot be asked."""
    try:
        facts = os.statvfs(folder)
    except OSError:
        return None
    return Room(
        free=facts.f_bavail * facts.f_frsize,
        size=facts.f_blocks * facts.f_frsize,
        inodes=facts.f_favail if facts.f_files else None,
    )


def _stalled(file: Path, word: str = "some") -> float | None:
    try:
        found = _LINES[word].search(file.read_text())
    except OSError:
        # Absent, or there and refused, as where pressure accounting is switched off at boot.
        return None
    return float(found[1]) if found else None


def groups_of(
    pid: int, processes: Path = _PROCESSES, groups: Path = _GROUPS
) -> Iterator[tuple[Path, str, str]]:
    """The memory groups that a process is in, innermost first, with the names of limit and use."""
    try:
        lines = (processes / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = groups / "memory" if controllers else groups
        names = (_LIMIT_V1, _USED_V1) if controllers else (_LIMIT_V2, _USED_V2)
        inner = top / path.lstrip("/")
        yield from ((folder, *names) for folder in (inner, *inner.parents) if folder.is_relative_to(top))


def _share(folder: Path, limit_name: str, used_name: str) -> float | None:
    try:
        limit = (folder / limit_name).read_text().strip()
        if not limit.isdigit() or not 0 < int(limit) < _UNLIMITED:
            return None
        used = int((folder / used_name).read_text())
        idle = _RECLAIMABLE.findall((folder / "memory.stat").read_text())
    except OSError:
        # Not mounted here, or a group that has gone meanwhile.
        return None
    return min(max(1.0 - (used - max(map(int, idle), default=0)) / int(limit), 0.0), 1.0)
