"""Probes of the machine: figures of the kernel, and the limits that they have to keep.

A share is of the whole, 0 to 1. Where a control group is named, ``own`` is the sidecar's; what holds for
a group holds for those above it and for the machine too, since it can take no more than they have.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidecar.model.probe import Local, ProbeKind

OWN = "own"
"""Instead of a folder: the control group that the sidecar itself is in."""


@dataclass(frozen=True, slots=True)
class MemoryProbe(Local):
    """Memory that is in use, by what the kernel says is available."""

    above: float = 0.85
    """The share from which on it is too much."""
    cgroup: str = ""
    """Folder of a control group of either version, or ``own``; by default the machine alone counts. The
    groups above it and the machine count too: the fullest of them is told."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.MEMORY

    def describe(self) -> str:
        return f"memory{_of(self.cgroup)} below {_percent(self.above)}"


@dataclass(frozen=True, slots=True)
class SwapProbe(Local):
    """Swap space that is in use. A machine without any is well."""

    above: float = 0.8
    """The share from which on it is too much."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.SWAP

    def describe(self) -> str:
        return f"swap below {_percent(self.above)}"


@dataclass(frozen=True, slots=True)
class DiskProbe(Local):
    """Space and inodes on the disks of some paths, as ``df`` counts them."""

    paths: tuple[str, ...]
    """Full paths; of a path that is not there, nothing is known."""
    above: float | None = 0.9
    """The share of the space from which on it is too much; None: it does not matter."""
    free: int | None = None
    """Bytes that have to be free for users."""
    inodes: float | None = 0.9
    """The share of the inodes from which on it is too much."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.DISK

    def describe(self) -> str:
        return f"the disk of {', '.join(self.paths)}"


@dataclass(frozen=True, slots=True)
class CpuProbe(Local):
    """Processor time that was used since the try before this one. The first one only begins to measure."""

    above: float = 0.9
    """The share of all processors, or of what a control group may have, from which on it is too much."""
    cgroup: str = ""
    """Folder of a control group, or ``own``; by default the machine."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.CPU

    def describe(self) -> str:
        return f"cpu{_of(self.cgroup)} below {_percent(self.above)}"


class Resource(StrEnum):
    """What tasks wait for."""

    CPU = "cpu"
    MEMORY = "memory"
    IO = "io"


class Waiting(StrEnum):
    """Who waits."""

    SOME = "some"
    """At least one task."""
    FULL = "full"
    """All that have something to do."""


@dataclass(frozen=True, slots=True)
class PressureProbe(Local):
    """Time that tasks have waited for a resource, over the last ten seconds (PSI)."""

    resource: Resource
    """``cpu``, ``memory`` or ``io``."""
    waiting: Waiting = Waiting.SOME
    """``some``: at least one task waits; ``full``: all that have something to do wait."""
    above: float = 0.2
    """The share of the time from which on it is too much."""
    cgroup: str = ""
    """Folder of a control group of version 2; by default the machine."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.PRESSURE

    def describe(self) -> str:
        return f"{self.resource} pressure ({self.waiting}){_of(self.cgroup)} below {_percent(self.above)}"


@dataclass(frozen=True, slots=True)
class LoadProbe(Local):
    """The load of the machine for each processor."""

    above: float = 4.0
    """The load for each processor from which on it is too much."""
    minutes: int = 1
    """Over which time: 1, 5 or 15."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.LOAD

    def describe(self) -> str:
        return f"load of {self.minutes} min below {self.above:g} for each processor"


def _of(cgroup: str) -> str:
    return f" of {'the own group' if cgroup == OWN else cgroup}" if cgroup else ""


def _percent(share: float) -> str:
    return f"{share * 100:g} %"
