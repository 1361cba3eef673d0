"""Control groups, both versions: which one holds a process, and what the kernel has killed in it.

The kernel counts in the group of the victim, so a counter that has risen there tells more than the
machine's own. The group has to be known while the process lives: a dead one is in none, for version 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.edges.pressure import GROUPS, groups_of
from sidecar.model.surroundings import MemoryGroup

_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_SPENT = re.compile(r"^usage_usec (\d+)$", re.MULTILINE)
_UNLIMITED = 1 << 60
_MEMORABLE = 10.0
"""Seconds for which a kill that nobody has accounted for may be that of a process whose end is seen now."""


def memory_group(pid: int) -> Path | None:
    """The folder of the memory group that holds the process; None if there is none or it is gone."""
    return next((folder for folder, *_ in groups_of(pid) if folder.is_dir()), None)


def account(folder: Path) -> MemoryGroup:
    """What a group tells of its memory, as far as it may be read."""
    return MemoryGroup(
        name=str(folder),
        oom_kills=oom_kills(folder),
        limit=_number(folder, "memory.max", "memory.limit_in_bytes"),
        peak=_number(folder, "memory.peak", "memory.max_usage_in_bytes"),
        used=_number(folder, "memory.current", "memory.usage_in_bytes"),
    )


def oom_kills(folder: Path) -> int | None:
    """Processes that the kernel has killed for memory in this group; None where it does not say."""
    for name in ("memory.events", "memory.oom_control"):
        found = _KILLS.search(_text(folder / name))
        if found:
            return int(found[1])
    return None


def processor_seconds(folder: Path) -> float | None:
    """The processor time that a group has used; None where it is not counted."""
    spent = _SPENT.search(_text(folder / "cpu.stat"))
    if spent:
        return int(spent[1]) / 1e6
    nanoseconds = _text(folder / "cpuacct.usage").strip()
    return int(nanoseconds) / 1e9 if nanoseconds.isdigit() else None


def processors(folder: Path) -> float | None:
    """How many processors a group may use at most; None without a limit of its own.

    Version 1 may count the time and limit it in two hierarchies; the group of the same name is then asked.
    """
    words = _text(folder / "cpu.max").split()
    if not words:
        home = folder if (folder / "cpu.cfs_quota_us").exists() else _beside(folder, "cpu")
        words = [_text(home / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    quota, period = words
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _beside(folder: Path, controller: str) -> Path:
    """The group of the same name in the hierarchy of another controller."""
    inner = folder.parts[len(GROUPS.parts) + 1 :]
    return GROUPS.joinpath(controller, *inner)


class Kills:
    """A counter of the kernel, and how much of its rise nobody has accounted for yet."""

    def __init__(self, value: int) -> None:
        self._value = value
        self._open = 0
        self._risen = float("-inf")

    def note(self, value: int, now: float) -> None:
        """The counter stands here now, in monotonic seconds."""
        if now - self._risen > _MEMORABLE:
            self._open = 0
        if value > self._value:
            self._open += value - self._value
            self._risen = now
        self._value = value

    def take(self) -> int:
        """How many kills may be that of the process whose end is seen now; one is its own from now on."""
        found = self._open
        self._open = max(found - 1, 0)
        return found


@dataclass(frozen=True, slots=True)
class Survey:
    """Which process is in which memory group, and where the counters stand."""

    groups: Mapping[int, Path]
    kills: Mapping[Path, int]


def survey(pids: Iterable[int], folders: Iterable[Path]) -> Survey:
    """Find the groups of these processes, while they live, and read the counters of these and of the folders.

    Blocks: a few small files for each.
    """
    groups = {pid: folder for pid in pids if (folder := memory_group(pid)) is not None}
    counted = {folder: oom_kills(folder) for folder in {*folders, *groups.values()}}
    return Survey(groups, {folder: count for folder, count in counted.items() if count is not None})


class Groups:
    """The memory groups of the processes that are watched."""

    def __init__(self) -> None:
        self._of: dict[int, Path] = {}
        self._kills: dict[Path, Kills] = {}

    @property
    def folders(self) -> tuple[Path, ...]:
        """The groups in which anything is watched."""
        return tuple(self._kills)

    def note(self, found: Survey, now: float) -> None:
        """Take in a survey: new processes, and how far the counters have risen."""
        self._of.update(found.groups)
        for folder, count in found.kills.items():
            if folder in self._kills:
                self._kills[folder].note(count, now)
            else:
                self._kills[folder] = Kills(count)

    def forget(self, pid: int) -> None:
        """The process is not watched any more."""
        folder = self._of.pop(pid, None)
        if folder is not None and folder not in self._of.values():
            self._kills.pop(folder, None)

    def kills(self, pid: int, now: float) -> tuple[str, int | None]:
        """The group of a process that has just been killed, and how many kills there may be its own."""
        folder = self._of.get(pid)
        count = oom_kills(folder) if folder else None
        if folder is None or folder not in self._kills or count is None:
            return str(folder or ""), None
        self._kills[folder].note(count, now)
        return str(folder), self._kills[folder].take()


def _number(folder: Path, *names: str) -> int | None:
    for name in names:
        text = _text(folder / name).strip()
        if text.isdigit():
            return int(text) if int(text) < _UNLIMITED else None
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
