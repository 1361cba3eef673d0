"""Which disks folders lie on, by the kernel's table of mounts: no disk is asked, so none is waited for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
_VIRTUAL = frozenset(
    {
        "autofs", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
        "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "securityfs", "sysfs", "tracefs",
    }
)  # fmt: skip
_OCTAL = re.compile(r"\\([0-7]{3})")


def disks(folders: Iterable[str], state: str, table: Path = MOUNTINFO) -> tuple[str, ...]:
    """Mount points of the disks that these folders lie on, but for that of ``state``.

    Disks that cannot be written, and what is no disk, never fill up and are left out. Blocks for a moment.

    Raises:
        OSError: the table cannot be read.
    """
    mounts = _mounts(table.read_text("utf-8", "surrogateescape"))
    own = _of(state, mounts)
    found: dict[str, str] = {}
    for folder in folders:
        mount = _of(folder, mounts)
        if mount is None or (own is not None and mount[1] == own[1]):
            continue
        point, device, usable = mount
        if usable:
            # One disk may be mounted in several places.
            found.setdefault(device, point)
    return tuple(sorted(found.values()))


_Mount = tuple[str, str, bool]
"""Mount point, device number, and whether it may fill up."""


def _mounts(text: str) -> dict[str, _Mount]:
    found: dict[str, _Mount] = {}
    for line in text.splitlines():
        own, _, rest = line.partition(" - ")
        fields, kind = own.split(" "), rest.split(" ")[0]
        point = _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), fields[4])
        # What is mounted last over a folder is what is seen there.
        found[point] = (point, fields[2], kind not in _VIRTUAL and "ro" not in fields[5].split(","))
    return found


def _of(folder: str, mounts: dict[str, _Mount]) -> _Mount | None:
    """The mount that a folder is in, by its path alone."""
    path = folder.rstrip("/") or "/"
    while path not in mounts:
        if path in ("", "/"):
            return None
        path = path.rpartition("/")[0] or "/"
    return mounts[path]
