"""What the machine is short of, and what is done less of because of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.model.policy import Budget


class Resource(StrEnum):
    """The ``resource`` label: what a machine can run out of."""

    MEMORY = "memory"
    CPU = "cpu"
    DISK = "disk"


class CheckpointMode(StrEnum):
    """The ``mode`` label: how much of a session is stored, most first."""

    FULL = "full"
    STRUCTURE = "structure"
    """Everything but what panes have printed since; texts that are stored are named again."""
    PAUSED = "paused"
    """Nothing new. What is stored stays, and is what a recovery uses."""


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """When memory, processor and disk count as short. What happens then: operations.md."""

    memory_free: float = 4.0
    """Percent of the memory, of the machine or of the tmux server's control group, that has to be available
    before anything is started again. 0 never waits for that."""
    memory_stalled: float = 20.0
    """Percent of the last 10 s in which all tasks waited for memory, above which nothing is started."""
    memory_wait: float = 120.0
    """Seconds that a recovery waits for memory at the most; then it is tried all the same, alone."""
    oom_period: float = 600.0
    """Seconds for which care is taken after the kernel has killed for memory: recoveries one at a time, the
    smallest first, heavy programs as ``oom_starts`` allows, and a session that dies of it again waits."""
    oom_starts: Budget = field(default_factory=lambda: Budget(1, 10.0))
    """Heavy programs that may start at once in that time, in place of ``recovery.starts``."""
    cpu_stalled: float = 90.0
    """Percent of the last 10 s in which some task waited for a processor, above which it is overloaded."""
    load: float = 4.0
    """Runnable tasks for each processor that mean the same where the kernel does not tell of stalls."""
    recoveries: int = 2
    """Recoveries that run at once while the processor is overloaded, the smallest first."""
    disk_low_bytes: int = 64_000_000
    """Room on the disk of the state folder, free pages of the database included, below which checkpoints
    leave scrollback out; never more than a tenth of the disk."""
    disk_least_bytes: int = 16_000_000
    """Free room on that disk below which nothing is checkpointed; never more than a thirtieth of the disk."""
    inodes_low: int = 100
    """Files that can still be made there, below which checkpoints leave scrollback out: a pane's old text
    takes a file of its own on its way back. A checkpoint itself takes none."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is left on a disk."""

    free: int
    """Bytes that we may still write."""
    size: int
    """Bytes in all."""
    inodes: int | None = None
    """Files that can still be made; None where there is no limit."""
    spare: int = 0
    """Bytes within the database file that hold nothing."""


@dataclass(frozen=True, slots=True)
class Stress:
    """What is short now. Each sentence says why, for people; an empty one says that there is enough."""

    memory: str = ""
    cpu: str = ""
    disk: str = ""
    checkpoints: CheckpointMode = CheckpointMode.FULL

    def why(self, resource: Resource) -> str:
        """The sentence about one resource."""
        return {Resource.MEMORY: self.memory, Resource.CPU: self.cpu, Resource.DISK: self.disk}[resource]
