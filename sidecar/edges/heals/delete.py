"""The heal that deletes old files: in one folder, regular files alone, and only so many in one go.

What is to go is gathered first, and looked at once more right before it goes: the same file, as old as it
was, in a folder that was reached from ours without leaving it. So whoever swaps folders for links
meanwhile, or moves them about, has nothing deleted that was not in the folder.
"""

from __future__ import annotations

import heapq
import itertools
import os
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.heals.aside import aside
from sidecar.edges.heals.ground import Ground, opened
from sidecar.edges.heals.writing import Writing
from sidecar.errors import Permanent
from sidecar.model.amounts import listed, several, show_size
from sidecar.model.heal import DeleteHeal
from sidecar.model.heal_globs import matches

MOST = 10_000
"""Files that one heal deletes; the rest is for the next one."""
_IN_A_ROW = 100
_BREATH = 0.001
"""Seconds of rest for everybody else, after so many files in a row."""
_DEEPEST = 32
_SECONDS = 60.0
_LOOKING = 30.0
"""Seconds within which what is to go is gathered; of a folder that takes longer, what was found by then."""
_HUNG = 120.0
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Old:
    """A file that may go."""

    way: tuple[str, ...]
    """The names of the folders that lead to it from ours."""
    name: str
    facts: os.stat_result

    @property
    def shown(self) -> str:
        """Its path for people, whatever characters it has."""
        return ascii("/".join((*self.way, self.name)))[1:-1]

    @property
    def frees(self) -> int:
        """Bytes on disk; none where the file has another name that stays."""
        return self.facts.st_blocks * 512 if self.facts.st_nlink == 1 else 0

    def same(self, now: os.stat_result) -> bool:
        """Whether it is the same file, and was not written meanwhile."""
        return os.path.samestat(now, self.facts) and now.st_mtime_ns == self.facts.st_mtime_ns


@dataclass(slots=True)
class _Tally:
    gone: int = 0
    freed: int = 0
    written: int = 0
    kept_from: list[str] = field(default_factory=list)
    """Why files could not be deleted, each with its name."""
    left: int = 0


async def delete(heal: DeleteHeal, state: Path, clock: Clock) -> str:
    """Delete what is old enough; one sentence about what has gone.

    Raises:
        Permanent: the folder is not one to delete in, or nothing in it can be deleted.
    """
    return await aside(heal.describe(), lambda unwanted: _delete(heal, state, clock, unwanted), _HUNG)


async def foresee(heal: DeleteHeal, state: Path, clock: Clock) -> str:
    """What :func:`delete` would delete now, but for what is being written. Raises as that."""

    def look(unwanted: threading.Event) -> str:
        with opened(heal.folder, state, deep=heal.deep) as ground:
            old = _gathered(ground, heal, clock, unwanted)
        size = show_size(sum(each.frees for each in old))
        return listed([each.shown for each in old], "file", f" of {size}")

    return await aside(heal.describe(), look, _HUNG)


def _delete(heal: DeleteHeal, state: Path, clock: Clock, unwanted: threading.Event) -> str:
    tally, writing = _Tally(), Writing()
    deadline = clock.monotonic() + _SECONDS
    with opened(heal.folder, state, deep=heal.deep) as ground:
        old = _gathered(ground, heal, clock, unwanted)
        for number, each in enumerate(old):
            if unwanted.is_set() or clock.monotonic() > deadline:
                tally.left = len(old) - number
                break
            if number % _IN_A_ROW == 0:
                unwanted.wait(_BREATH)
            _remove(ground, each, writing, tally)
    return _told(heal, tally, len(old))


def _remove(ground: Ground, old: Old, writing: Writing, tally: _Tally) -> None:
    with ground.at(old.way) as folder:
        if folder is None:
            return
        try:
            with writing.held_off(folder, old.name, old.facts) as unwritten:
                if not old.same(os.stat(old.name, dir_fd=folder, follow_symlinks=False)):
                    return
                if not unwritten:
                    tally.written += 1
                    return
                os.unlink(old.name, dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError as error:
            tally.kept_from.append(f"{old.shown} ({error.strerror})")
            return
    tally.gone += 1
    tally.freed += old.frees


def _told(heal: DeleteHeal, tally: _Tally, old: int) -> str:
    if tally.kept_from and not tally.gone:
        raise Permanent(
            f"nothing in {heal.folder} could be deleted: {', '.join(tally.kept_from[:_SHOWN])}",
            hint="The folder has to belong to the user that the sidecar runs as.",
        )
    words = [f"deleted {several(tally.gone, 'file')} in {heal.folder} ({show_size(tally.freed)} freed)"]
    if tally.written:
        words.append(f"{several(tally.written, 'file')} being written stayed")
    if tally.kept_from:
        words.append(f"{len(tally.kept_from)} could not be deleted: {', '.join(tally.kept_from[:_SHOWN])}")
    if tally.left or old == MOST:
        words.append("there may be more, for the next time")
    return "; ".join(words)


def _gathered(ground: Ground, heal: DeleteHeal, clock: Clock, unwanted: threading.Event) -> list[Old]:
    """What is old enough, but for the newest that match."""
    limit = clock.wall() - heal.older
    newest = _Newest(heal.keep)
    old: list[Old] = []
    until = clock.monotonic() + _LOOKING
    for each in _matching(ground, heal, lambda: unwanted.is_set() or clock.monotonic() > until):
        outdone = newest.outdone_by(each)
        if outdone is not None and outdone.facts.st_mtime < limit:
            old.append(outdone)
        if len(old) == MOST:
            break
    return old


class _Newest:
    """So many of the newest that have come so far. Nothing is sorted: that would hold up everybody."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._found: list[tuple[int, int, Old]] = []
        self._number = itertools.count()

    def outdone_by(self, one: Old) -> Old | None:
        """Who cannot be among the newest any more now that this one has come, whoever comes yet."""
        found = (one.facts.st_mtime_ns, next(self._number), one)
        if len(self._found) < self._count:
            heapq.heappush(self._found, found)
            return None
        return heapq.heappushpop(self._found, found)[2]


def _matching(ground: Ground, heal: DeleteHeal, over: Callable[[], bool]) -> Iterator[Old]:
    """The regular files whose names match, as long as there is time."""
    for way, entry in _entries(ground, ground.descriptor, (), heal.deep):
        if over():
            return
        if not matches(entry.name, heal.match):
            continue
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode):
            yield Old(way, entry.name, facts)


def _entries(
    ground: Ground, folder: int, way: tuple[str, ...], deep: bool
) -> Iterator[tuple[tuple[str, ...], os.DirEntry[str]]]:
    """What is in the folder, and in those below it where that is wanted."""
    inner: list[str] = []
    with os.scandir(folder) as found:
        for entry in found:
            yield way, entry
            if deep and len(way) < _DEEPEST and entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
    for name in inner:
        with ground.below(folder, name) as below:
            if below is not None:
                yield from _entries(ground, below, (*way, name), deep)
