"""What surrounds a failure, for people: facts that name no cause by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.model.incident import Evidence
from sidecar.model.surroundings import Surroundings

_STALLED = 10.0
"""Percent of the last 10 s from which waiting for memory or a processor is worth a word."""
_LOW = 0.05
"""Share of a disk, or of the memory, that is worth a word."""
_MB = 1_000_000


def told(around: Surroundings | None) -> tuple[Evidence, ...]:
    """The facts that stand out, and each source that is closed here."""
    return () if around is None else (*_kernel(around), *_memory(around), *_disks(around))


def _kernel(around: Surroundings) -> Iterator[Evidence]:
    if around.kernel is None:
        yield Evidence("kernel log", "not readable here")
        return
    for line in around.kernel:
        yield Evidence("kernel log", line.text)


def _memory(around: Surroundings) -> Iterator[Evidence]:
    for group in {group.name: group for group in around.groups.values()}.values():
        if group.limit is not None and group.peak is not None and group.peak >= group.limit * (1 - _LOW):
            used, limit = group.peak // _MB, group.limit // _MB
            yield Evidence("control group", f"{group.name}: has held {used} MB of at most {limit} MB")
    pressure = around.pressure
    if pressure is None:
        return
    if pressure.memory_available < _LOW:
        yield Evidence("/proc/meminfo", f"{pressure.memory_available * 100:.1f} % of the memory is available")
    for resource, stalled in (("memory", pressure.memory_stalled), ("cpu", pressure.cpu_stalled)):
        if stalled is not None and stalled >= _STALLED:
            yield Evidence(
                f"/proc/pressure/{resource}", f"some tasks waited {stalled:.0f} % of the last 10 s"
            )


def _disks(around: Surroundings) -> Iterator[Evidence]:
    for use, room in around.rooms.items():
        if room.inodes == 0:
            yield Evidence("disk", f"{use}: no file can be made there any more")
        elif room.free < room.size * _LOW:
            yield Evidence("disk", f"{use}: {room.free // _MB} MB of {room.size // _MB} MB are free")
