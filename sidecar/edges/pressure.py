"""How hard the machine is pressed, by the kernel's own account where it gives one. Blocks for a moment."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sidecar.model.record import Pressure
from sidecar.model.stress import Room

_LINES = {word: re.compile(rf"^{word} avg10=([0-9.]+)", re.MULTILINE) for word in ("some", "full")}
_KERNEL = Path("/proc/pressure")
_MEMORY = re.compile(r"^(MemTotal|MemAvailable): +(\d+) kB$", re.MULTILINE)
_RECLAIMABLE = re.compile(r"^(?:total_)?inactive_file (\d+)$", re.MULTILINE)

GROUPS = Path("/sys/fs/cgroup")
"""Where control groups of either version are mounted."""
_PROCESSES = Path("/proc")
_LIMIT_V2, _USED_V2 = "memory.max", "memory.current"
_LIMIT_V1, _USED_V1 = "memory.limit_in_bytes", "memory.usage_in_bytes"
_UNLIMITED = 1 << 60
"""Bytes; version 1 says so where there is no limit."""


@dataclass(frozen=True, slots=True)
class Memory:
    """How much there may be of it, and how much of that is left, in bytes."""

    size: int
    left: int

    @property
    def share(self) -> float:
        """What is left, as a share."""
        return self.left / self.size


def memory(file: Path = Path("/proc/meminfo")) -> Memory:
    """The memory of the machine; available is what the kernel could give without swapping.

    Raises:
        OSError: the kernel does not tell.
    """
    found = {name: int(amount) * 1024 for name, amount in _MEMORY.findall(file.read_text())}
    if found.keys() != {"MemTotal", "MemAvailable"} or not found["MemTotal"]:
        raise OSError(errno.ENODATA, f"{file} does not tell how much memory is available")
    return Memory(found["MemTotal"], found["MemAvailable"])


def read(folder: Path = _KERNEL, server: int = 0) -> Pressure:
    """The pressure now.

    ``folder`` holds the kernel's pressure files, which not every kernel has; ``server`` is the process
    whose control group counts, 0 for none.
    """
    return Pressure(
        memory_available=memory().share,
        load=os.getloadavg()[0] / (os.cpu_count() or 1),
        cpu_stalled=stalled(folder / "cpu"),
        memory_stalled=stalled(folder / "memory"),
        memory_blocked=stalled(folder / "memory", "full"),
        group_available=group_available(server) if server else None,
    )


def group_available(pid: int, processes: Path = _PROCESSES, groups: Path = GROUPS) -> float | None:
    """The share of memory that the control group of a process, or the tightest one above it, has left.

    None without a limit. What a group keeps of files that nobody has touched lately counts as free.
    """
    found = group_memory(groups_of(pid, processes, groups))
    return found[0].share if found else None


def group_memory(groups: Iterable[tuple[Path, str, str]]) -> tuple[Memory, Path] | None:
    """The memory of the tightest of these groups, and its folder; None without a limit."""
    found = [(one, group[0]) for group in groups if (one := _memory_of(*group)) is not None]
    return min(found, key=lambda one: one[0].share, default=None)


def groups_above(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """As :func:`groups_of`, for a group by its folder; nothing where that is no memory group."""
    for names in ((_LIMIT_V2, _USED_V2), (_LIMIT_V1, _USED_V1)):
        if (folder / names[1]).is_file():
            for one in (folder, *folder.parents):
                if not (one / names[1]).is_file():
                    return
                yield one, *names
            return


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


def stalled(file: Path, word: str = "some") -> float | None:
    """Percent of the last ten seconds in which some tasks, or all (``full``), waited; None: untold."""
    try:
        found = _LINES[word].search(file.read_text())
    except OSError:
        # Absent, or there and refused, as where pressure accounting is switched off at boot.
        return None
    return float(found[1]) if found else None


def groups_of(
    pid: int, processes: Path = _PROCESSES, groups: Path = GROUPS
) -> Iterator[tuple[Path, str, str]]:
    """The memory groups that a process is in, innermost first, with the names of limit and use."""
    for folder, first in folders_of(pid, "memory", processes, groups):
        yield (folder, _LIMIT_V1, _USED_V1) if first else (folder, _LIMIT_V2, _USED_V2)


def folders_of(
    pid: int, controller: str, processes: Path = _PROCESSES, groups: Path = GROUPS
) -> Iterator[tuple[Path, bool]]:
    """The groups of a controller that a process is in, innermost first; whether they are of version 1."""
    try:
        lines = (processes / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = groups / controller if controllers else groups
        inner = top / path.lstrip("/")
        yield from (
            (folder, bool(controllers)) for folder in (inner, *inner.parents) if folder.is_relative_to(top)
        )


def _memory_of(folder: Path, limit_name: str, used_name: str) -> Memory | None:
    try:
        limit = (folder / limit_name).read_text().strip()
        if not limit.isdigit() or not 0 < int(limit) < _UNLIMITED:
            return None
        used = int((folder / used_name).read_text())
        idle = _RECLAIMABLE.findall((folder / "memory.stat").read_text())
    except OSError:
        # Not mounted here, or a group that has gone meanwhile.
        return None
    left = int(limit) - used + max(map(int, idle), default=0)
    return Memory(int(limit), min(max(left, 0), int(limit)))
