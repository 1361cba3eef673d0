"""A control group with a limit of memory, where this machine and this user may have one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.box import eventually

_V1 = Path("/sys/fs/cgroup/memory")
_V2 = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Group:
    """One group of our own."""

    folder: Path

    def add(self, pid: int) -> None:
        """Move a process into it; its children to come are born there."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def _set(self, name: str, value: str) -> None:
        # Swap would put off what is waited for; not every kernel counts it.
        with contextlib.suppress(OSError):
            (self.folder / name).write_text(value)


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[Group]:
    """A group in which all processes may hold so many bytes together; without one the test is skipped."""
    top = _V1 if _V1.is_dir() else _V2
    group = Group(top / f"sidecar-test-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        group.folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error.strerror}")
    try:
        name = "memory.limit_in_bytes" if top == _V1 else "memory.max"
        try:
            (group.folder / name).write_text(str(limit))
        except OSError as error:
            pytest.skip(f"no limit of memory can be set here: {error.strerror}")
        group._set("memory.memsw.limit_in_bytes", str(limit))
        group._set("memory.swap.max", "0")
        yield group
    finally:
        eventually(lambda: _removed(group.folder), "the end of the control group")


def _removed(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        folder.rmdir()
    return not folder.exists()
