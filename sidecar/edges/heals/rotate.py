"""The heal that rotates logs: a large file's content moves on to ``NAME.1.gz``, the older ones each by one.

Copied and truncated, it is compressed on its way, since a disk that is nearly full has no room for a copy.
Renamed, it stays as it is until nobody writes it any more. Cut off at any point, nothing is lost; the
next one goes on, and may at worst keep the same lines twice.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.heals.aside import aside
from sidecar.edges.heals.ground import Ground, mount_of, opened
from sidecar.edges.heals.writing import Writing
from sidecar.errors import Permanent
from sidecar.model.amounts import listed, several, show_size
from sidecar.model.heal import RotateHeal
from sidecar.model.heal_globs import matches

MOST = 100
"""Files that one heal rotates."""
_SECONDS = 600.0
_HUNG = 660.0
_CHUNK = 256 * 1024
_BREATH = 0.002
"""Seconds of rest after each chunk: at most about half a processor is used."""
_LEVEL = 1
_GZIP = 31
"""``wbits`` that make zlib write the form of gzip."""
_NOT_AGAIN = re.compile(r"\.\d+(\.gz(\.rotating)?)?")
"""How the names end of what was rotated already, or is just being packed."""
_ENDINGS = (".gz", "")
_FRESH = ".{}.rotating"
_SHOWN = 3
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(slots=True)
class _Tally:
    rotated: list[str] = field(default_factory=list)
    freed: int = 0
    left: list[str] = field(default_factory=list)
    """Files that stay as they are, each with the reason."""


class _Stays(Exception):
    """A file stays as it is, and why."""


async def rotate(heal: RotateHeal, state: Path, clock: Clock) -> str:
    """Rotate what is large; one sentence about it.

    Raises:
        Permanent: the folder is not one to work in, or nothing in it could be rotated.
    """
    return await aside(heal.describe(), lambda unwanted: _rotate(heal, state, clock, unwanted), _HUNG)


async def foresee(heal: RotateHeal, state: Path) -> str:
    """What is large enough to be rotated now. Raises as :func:`rotate`."""

    def look(_: threading.Event) -> str:
        with opened(heal.folder, state) as ground:
            return listed([_shown(name) for name in _large(ground, heal)], "file")

    return await aside(heal.describe(), look, _HUNG)


def _rotate(heal: RotateHeal, state: Path, clock: Clock, unwanted: threading.Event) -> str:
    tally, writing = _Tally(), Writing()
    deadline = clock.monotonic() + _SECONDS
    with opened(heal.folder, state) as ground:
        for name in _large(ground, heal):
            if unwanted.is_set() or clock.monotonic() > deadline or len(tally.rotated) == MOST:
                tally.left.append(f"{_shown(name)} (no time was left for it)")
                continue
            try:
                tally.freed += _Log(ground, heal, name, writing, unwanted).rotate()
                tally.rotated.append(name)
            except _Stays as why:
                tally.left.append(f"{_shown(name)} ({why})")
            except OSError as error:
                tally.left.append(f"{_shown(name)} ({error.strerror})")
    return _told(heal, tally)


def _told(heal: RotateHeal, tally: _Tally) -> str:
    left = ", ".join(tally.left[:_SHOWN])
    if tally.left and not tally.rotated:
        raise Permanent(
            f"nothing in {heal.folder} could be rotated: {left}",
            hint="See docs/heals.md for what stays as it is, and why.",
        )
    words = [f"rotated {several(len(tally.rotated), 'file')} in {heal.folder}"]
    if tally.freed:
        words[0] += f" ({show_size(tally.freed)} freed)"
    if tally.left:
        words.append(f"left as they are: {left}")
    return "; ".join(words)


def _large(ground: Ground, heal: RotateHeal) -> list[str]:
    with os.scandir(ground.descriptor) as found:
        return sorted(
            entry.name
            for entry in found
            if matches(entry.name, heal.match)
            and not _is_rotated(entry.name)
            and _is_large(entry, heal.larger)
        )


def _is_large(entry: os.DirEntry[str], larger: int) -> bool:
    try:
        facts = entry.stat(follow_symlinks=False)
    except OSError:
        # It has gone since the folder was read.
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_size >= larger


def _is_rotated(name: str) -> bool:
    return any(_NOT_AGAIN.fullmatch(name, place) for place, each in enumerate(name) if each == ".")


def _shown(name: str) -> str:
    return ascii(name)[1:-1]


@dataclass(frozen=True, slots=True)
class _Log:
    """One large file, and those before it."""

    ground: Ground
    heal: RotateHeal
    name: str
    writing: Writing
    unwanted: threading.Event

    def rotate(self) -> int:
        """Do it. Returns how many bytes the disk has more; the renamed file frees none yet.

        Raises:
            _Stays: it may not be touched.
            OSError: it could not be done.
        """
        before = self._taken()
        with self._held(os.O_RDWR if self.heal.truncate else os.O_RDONLY) as descriptor:
            if self.heal.truncate:
                self._move_content(descriptor)
            else:
                self._shift()
                self._rename(self.name, f"{self.name}.1")
        self._compress_old()
        return max(before - self._taken(), 0)

    @contextmanager
    def _held(self, how: int) -> Iterator[int]:
        """The file itself, once it is known that nothing else is reached by it."""
        seen = os.stat(self.name, dir_fd=self._folder, follow_symlinks=False)
        # Asked before we are among those who have it open.
        if any(not flags & os.O_APPEND for flags in self.writing.flags(seen)) and self.heal.truncate:
            raise _Stays("whoever writes it does not append, and would leave a hole; use truncate: false")
        descriptor = os.open(self.name, how | _FILE, dir_fd=self._folder)
        try:
            facts = os.fstat(descriptor)
            ours = stat.S_ISREG(facts.st_mode) and mount_of(descriptor) == self.ground.mount
            if not ours or not os.path.samestat(facts, seen):
                raise _Stays("it is no regular file of this folder")
            if facts.st_nlink != 1:
                raise _Stays("it has another name, perhaps in another folder")
            yield descriptor
        finally:
            os.close(descriptor)

    @property
    def _folder(self) -> int:
        return self.ground.descriptor

    def _taken(self) -> int:
        """Bytes on disk of the file and all that came before it."""
        names = [self.name, *(self._numbered(n, end) for n in range(self.heal.keep + 2) for end in _ENDINGS)]
        return sum(facts.st_blocks * 512 for each in names if (facts := self._facts(each)) is not None)

    def _facts(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            return None

    def _numbered(self, number: int, ending: str) -> str:
        return f"{self.name}.{number}{ending}"

    def _shift(self) -> None:
        """Make room for the next ``.1``, with no more moved than it takes: a cut-off run has left a gap."""
        free = next((n for n in range(1, self.heal.keep + 1) if not self._there(n)), self.heal.keep)
        for ending in _ENDINGS:
            with contextlib.suppress(FileNotFoundError):
                self._remove(self._numbered(free, ending))
        for number in reversed(range(1, free)):
            for ending in _ENDINGS:
                with contextlib.suppress(FileNotFoundError):
                    self._rename(self._numbered(number, ending), self._numbered(number + 1, ending))

    def _there(self, number: int) -> bool:
        return any(self._facts(self._numbered(number, ending)) is not None for ending in _ENDINGS)

    def _move_content(self, descriptor: int) -> None:
        """Its content, compressed, to ``.1.gz``; then it is empty.

        What is written between the last look at its size and the moment after that is lost.
        """
        with self._packed(descriptor, f"{self.name}.1.gz") as pack:
            self._shift()
            pack.put_in_place()
            # It goes on being written meanwhile, and the form of gzip may be continued.
            while (size := os.fstat(descriptor).st_size) > pack.count:
                pack.add()
            if size < pack.count:
                raise _Stays("somebody else has truncated it meanwhile")
            os.ftruncate(descriptor, 0)

    def _compress_old(self) -> None:
        """What was renamed and is not written any more; where there is no room for it, another time."""
        for number in range(1, self.heal.keep + 1):
            name = self._numbered(number, "")
            facts = self._facts(name)
            if facts is None or not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
                continue
            if self._facts(f"{name}.gz") is not None:
                # Of a run that was cut off, or somebody else's: neither is worth the other.
                continue
            with contextlib.suppress(OSError):
                self._pack_named(name, facts)

    def _pack_named(self, name: str, facts: os.stat_result) -> None:
        with self.writing.held_off(self._folder, name, facts) as unwritten:
            if not unwritten:
                return
        descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=self._folder)
        try:
            with self._packed(descriptor, f"{name}.gz") as pack:
                self._replace(name, facts, pack)
        finally:
            os.close(descriptor)

    def _replace(self, name: str, facts: os.stat_result, pack: _Pack) -> None:
        """Put what is packed in the place of the file, unless somebody has written that meanwhile."""
        # Held off for this moment alone: whoever wants to write would wait as long.
        with self.writing.held_off(self._folder, name, facts) as unwritten:
            now = os.fstat(pack.source)
            same = os.path.samestat(now, facts) and now.st_mtime_ns == facts.st_mtime_ns
            if unwritten and same and now.st_size == pack.count:
                pack.put_in_place()
                self._remove(name)

    @contextmanager
    def _packed(self, source: int, name: str) -> Iterator[_Pack]:
        """A file's content, compressed, which is not in its place yet; it goes if it never comes there."""
        fresh = _FRESH.format(name)
        with contextlib.suppress(FileNotFoundError):
            self._remove(fresh)
        target = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o600, dir_fd=self._folder)
        pack = _Pack(source, target, lambda: self._rename(fresh, name), self.unwanted)
        try:
            pack.add()
            _give(target, os.fstat(source))
            yield pack
        finally:
            if not pack.in_place:
                with contextlib.suppress(OSError):
                    self._remove(fresh)
            os.close(target)

    def _rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _remove(self, name: str) -> None:
        os.unlink(name, dir_fd=self._folder)


@dataclass(slots=True)
class _Pack:
    """The content of one file, compressed into another."""

    source: int
    target: int
    rename: Callable[[], None]
    unwanted: threading.Event
    count: int = 0
    """Bytes of the source that are in it."""
    in_place: bool = False

    def add(self) -> None:
        """What is not in it yet."""
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        while part := os.pread(self.source, _CHUNK, self.count):
            if self.unwanted.wait(_BREATH):
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            self.count += len(part)
            _write(self.target, packer.compress(part))
        _write(self.target, packer.flush())

    def put_in_place(self) -> None:
        """Give it its name, once it is on the disk."""
        os.fsync(self.target)
        self.rename()
        self.in_place = True


def _write(descriptor: int, raw: bytes) -> None:
    while raw:
        raw = raw[os.write(descriptor, raw) :]


def _give(descriptor: int, facts: os.stat_result) -> None:
    """Owner and mode as those of the log; who may not give it away keeps it to himself."""
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, facts.st_uid, facts.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(facts.st_mode))
