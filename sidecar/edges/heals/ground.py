"""A folder that may be worked in, held so that nobody can put another one in its place.

It is opened component by component, and no symbolic link is followed on the way. Everything below is
reached from its descriptor alone, on the same mount. What is done there happens in this very folder,
wherever its name leads by then.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sidecar.errors import Permanent
from sidecar.model.heal_folders import forbidden, plain

_WAY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PSEUDO = frozenset(
    "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs mqueue"
    " nsfs proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs".split()
)

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ground:
    """The folder, while it is open."""

    path: str
    descriptor: int
    device: int
    mount: int
    spared: Identity | None
    """The state folder, which is never entered."""

    @contextmanager
    def below(self, parent: int, name: str) -> Iterator[int | None]:
        """A folder in one of ours, opened; None if it is none, or belongs to another mount or to us."""
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=parent)
        except OSError:
            yield None
            return
        try:
            yield descriptor if self._is_ours(descriptor) else None
        finally:
            os.close(descriptor)

    @contextmanager
    def at(self, way: Sequence[str]) -> Iterator[int | None]:
        """The folder at the end of these names, opened one after the other; None if it is not there."""
        with ExitStack() as held:
            here: int | None = self.descriptor
            for name in way:
                here = held.enter_context(self.below(here, name)) if here is not None else None
            yield here

    def _is_ours(self, descriptor: int) -> bool:
        facts = os.fstat(descriptor)
        same = facts.st_dev == self.device and mount_of(descriptor) == self.mount
        return same and (facts.st_dev, facts.st_ino) != self.spared


@contextmanager
def opened(path: str, state: Path, *, deep: bool = False) -> Iterator[Ground]:
    """Open it.

    Raises:
        Permanent: it is not there, is reached through a link, or is one in which nothing may be done.
    """
    path = plain(path)
    homes = {each.pw_dir.rstrip("/") for each in pwd.getpwall()}
    if why := forbidden(path, homes, deep=deep):
        raise Permanent(why, hint="Nothing was touched. Name the folder that the files themselves are in.")
    spared = _identity(state)
    with ExitStack() as held:
        here = held.enter_context(_descriptor("/", None, path, _WAY))
        *names, last = path.split("/")[1:]
        for name, how in (*((each, _WAY) for each in names), (last, _FOLDER)):
            here = held.enter_context(_descriptor(name, here, path, how))
            if _identity(here) == spared:
                raise Permanent(f"{path} belongs to the sidecar itself", hint="Retention keeps it small.")
        mount = mount_of(here)
        if (kind := _kind_of(mount)) in _PSEUDO:
            raise Permanent(f"{path} is no folder of files ({kind})", hint="Nothing was touched.")
        yield Ground(path, here, os.fstat(here).st_dev, mount, spared)


@contextmanager
def _descriptor(name: str, parent: int | None, path: str, how: int) -> Iterator[int]:
    try:
        descriptor = os.open(name, how, dir_fd=parent)
    except OSError as error:
        raise Permanent(f"{path} cannot be worked in: {_why(error, name, parent)}", hint=_HINT) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


_HINT = "Write the folder's real path; no symbolic link is followed. Nothing was touched."


def _why(error: OSError, name: str, parent: int | None) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR) and _is_link(name, parent):
        return f"{name} on the way to it is a symbolic link"
    return f"{name}: {error.strerror}"


def _is_link(name: str, parent: int | None) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _identity(of: int | Path) -> Identity | None:
    try:
        facts = os.stat(of)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def mount_of(descriptor: int) -> int:
    """The number of the mount that an open file lies on; -1 if the kernel does not tell."""
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
        if line.startswith("mnt_id:"):
            return int(line.split()[1])
    return -1


def _kind_of(mount: int) -> str:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if line.split(" ", 1)[0] == str(mount):
            return line.partition(" - ")[2].split(" ", 1)[0]
    return ""
