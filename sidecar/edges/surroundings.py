"""All that the machine tells around a failure, in one go. Blocks, as long as a disk that does not answer."""

from __future__ import annotations

from pathlib import Path

from sidecar.edges import cgroup, kernel_log, pressure
from sidecar.model.surroundings import Question, Surroundings


def read(question: Question) -> Surroundings:
    """Ask the kernel's log, the control groups, the disks and the pressure files."""
    folders = {pid: folder for pid in question.pids if (folder := cgroup.memory_group(pid)) is not None}
    rooms = {use: pressure.room(Path(folder)) for use, folder in question.folders.items()}
    return Surroundings(
        kernel=kernel_log.read(question.pids, question.since),
        groups={pid: cgroup.account(folder) for pid, folder in folders.items()},
        rooms={use: room for use, room in rooms.items() if room is not None},
        pressure=pressure.read(),
    )
