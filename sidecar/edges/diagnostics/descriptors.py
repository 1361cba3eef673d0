"""The open file descriptors of a process: how many, of which kinds, and how many it may have."""

from __future__ import annotations

import os
from collections import Counter
from itertools import islice
from pathlib import Path

from sidecar.model.diagnostics import Descriptors

_MOST = 1_000
"""Descriptors that are asked for their kind; what leaks is of one kind long before."""
_LIMIT = b"Max open files"
_PLAIN = {"socket": "socket", "pipe": "pipe", "anon_inode": "anonymous"}


def descriptors(folder: Path) -> Descriptors | None:
    """Those of the process with this folder in /proc; None where they may not be read."""
    try:
        numbers = os.listdir(folder / "fd")
    except OSError:
        return None
    kinds = Counter(kind for number in islice(numbers, _MOST) if (kind := _kind(folder / "fd" / number)))
    return Descriptors(len(numbers), _limit(folder), dict(kinds.most_common()), min(len(numbers), _MOST))


def _kind(link: Path) -> str:
    """Of what it is, by its name alone: a file on a dead disk is not asked. Empty if it was closed."""
    try:
        target = os.readlink(link)
    except OSError:
        return ""
    plain = _PLAIN.get(target.partition(":")[0])
    if plain is not None:
        return plain
    if target.startswith(("/dev/pts/", "/dev/tty", "/dev/ptmx")):
        return "terminal"
    return "device" if target.startswith("/dev/") and not target.startswith("/dev/shm/") else "file"


def _limit(folder: Path) -> int | None:
    try:
        lines = (folder / "limits").read_bytes().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(_LIMIT):
            soft = line.removeprefix(_LIMIT).split()[0]
            return int(soft) if soft.isdigit() else None
    return None
