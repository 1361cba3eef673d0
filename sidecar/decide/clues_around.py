"""What the machine tells about one broken part: the kernel's log and counters, memory and disks."""

from __future__ import annotations

from sidecar.decide.clues import Clues
from sidecar.model.incident import Evidence, Exit
from sidecar.model.surroundings import KernelLine

_KILLED = -9
_TIGHT = 0.05
"""Share of the memory below which there is next to none."""
_FULL = 0.01
"""Share of a disk below which it is as good as full."""
_MB = 1_000_000


def kernel_says_memory(clues: Clues) -> Evidence | None:
    line = _kernel_line(clues, "ill")
    return Evidence("kernel log", line.text) if line else None


def kernel_says_crash(clues: Clues) -> Evidence | None:
    line = _kernel_line(clues, "fault", "protection", "trap")
    return Evidence("kernel log", line.text) if line else None


def kernel_is_silent(clues: Clues) -> Evidence | None:
    around = clues.context.surroundings
    if not _sigkilled(clues) or around is None or around.kernel is None or kernel_says_memory(clues):
        return None
    return Evidence("kernel log", "it tells of no kill for memory of this process")


def counted_in_group(clues: Clues) -> Evidence | None:
    end = next((end for end in _sigkilled(clues) if end.group_kills), None)
    if end is None:
        return None
    return Evidence("control group", f"{end.group}: the kernel has just killed {end.group_kills} for memory")


def quiet_in_group(clues: Clues) -> Evidence | None:
    ends = _sigkilled(clues)
    if not ends or any(end.group_kills != 0 for end in ends):
        return None
    return Evidence("control group", f"{ends[0].group}: nothing was killed for memory there")


def counted_on_machine(clues: Clues) -> Evidence | None:
    end = next((end for end in _sigkilled(clues) if end.oom_kills), None)
    if end is None:
        return None
    return Evidence("/proc/vmstat", f"the kernel has just killed {end.oom_kills} for memory")


def quiet_on_machine(clues: Clues) -> Evidence | None:
    ends = _sigkilled(clues)
    if not ends or any(end.oom_kills for end in ends):
        return None
    return Evidence("/proc/vmstat", "the kernel has killed nothing for memory lately")


def memory_is_tight(clues: Clues) -> Evidence | None:
    around = clues.context.surroundings
    if not _sigkilled(clues) or around is None or around.pressure is None:
        return None
    free = around.pressure.memory_available
    return (
        Evidence("/proc/meminfo", f"{free * 100:.1f} % of the memory is available") if free < _TIGHT else None
    )


def disk_is_full(clues: Clues) -> Evidence | None:
    around, code = clues.context.surroundings, clues.part.code
    if clues.whole or around is None or not code or code < 0:
        return None
    for use, room in around.rooms.items():
        if room.inodes == 0:
            return Evidence("disk", f"{use}: no file can be made there any more")
        if room.free < room.size * _FULL:
            return Evidence(
                "disk", f"{use}: {room.free // 1_000_000} MB of {room.size // 1_000_000} MB are free"
            )
    return None


def _sigkilled(clues: Clues) -> tuple[Exit, ...]:
    return tuple(end for end in clues.fatal if end.code == _KILLED)


def _kernel_line(clues: Clues, *words: str) -> KernelLine | None:
    around = clues.context.surroundings
    if around is None or around.kernel is None:
        return None
    lines = (line for line in around.kernel if line.pid in clues.pids)
    return next((line for line in lines if any(word in line.text for word in words)), None)
