"""Which processes are meant. Blocks: a pidfile may lie on a disk that does not answer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from sidecar.edges.probes.files import beginning
from sidecar.edges.probes.processes import Crowd, Seen
from sidecar.model.probe_process import Which

_NAME = 15
"""Bytes that the kernel keeps of a name."""
_GROUPS = 10_000
_PID = re.compile(r"\s*([0-9]{1,10})\s*(?:\n|\Z)")


def selected(which: Which, crowd: Crowd) -> list[Seen]:
    """Those that it is true of, zombies included, but for the command line: that is the caller's to search.

    Raises:
        OSError: the pidfile is there and cannot be read.
    """
    found = list(crowd)
    if which.pidfile:
        pid = _pid(which.pidfile)
        found = [one for one in found if one.pid == pid]
    if which.cgroup:
        pids = set(_members(Path(which.cgroup)))
        found = [one for one in found if one.pid in pids]
    if which.name:
        found = [one for one in found if _is_called(one, which.name, crowd)]
    return found


def _is_called(one: Seen, name: str, crowd: Crowd) -> bool:
    if one.name == name or (not one.lives and one.name == _cut(name)):
        # A zombie has nothing but the name that the kernel kept.
        return True
    arguments = crowd.arguments(one.pid)
    return bool(arguments) and os.path.basename(arguments[0]) == name


def _cut(name: str) -> str:
    return name.encode("utf-8", "replace")[:_NAME].decode("utf-8", "replace")


def _pid(pidfile: str) -> int:
    """0, as nobody has, where there is no pidfile or it has no pid."""
    try:
        words = beginning(pidfile, 64)
    except FileNotFoundError:
        return 0
    match = _PID.match(words.decode("ascii", "replace"))
    return int(match[1]) if match else 0


def _members(folder: Path) -> Iterator[int]:
    for number, (where, _, _) in enumerate(os.walk(folder)):
        if number >= _GROUPS:
            return
        try:
            yield from map(int, Path(where, "cgroup.procs").read_text().split())
        except (OSError, ValueError):
            # A group that has gone meanwhile, or one for threads only.
            continue
