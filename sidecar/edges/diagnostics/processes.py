"""Process trees from /proc: what each process is, what it takes, and where it waits.

What may hang is read last: a command line and the figures of shared memory wait for whoever changes the
memory of the process, which one that is stuck in the kernel may be doing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar import redact
from sidecar.edges import cgroup
from sidecar.edges.diagnostics import kernel
from sidecar.edges.diagnostics.descriptors import descriptors
from sidecar.edges.diagnostics.reading import Notes
from sidecar.edges.process import small_file, tree
from sidecar.model.diagnostics import MOST_PROCESSES, ProcessFacts, Subject, Tree

PROC = Path("/proc")

_Stat = Sequence[bytes]
"""What /proc/PID/stat tells: the name, and all that stands behind it."""

_NAME, _STATE, _PARENT, _SESSION, _THREADS, _STARTED, _PAGES = 0, 1, 2, 4, 18, 20, 22
_TIMES = slice(12, 14)
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LONGEST = 400
"""Characters of a command line."""
_RAW = 8_192
"""Bytes of one that are looked at: more than that are cut before they are searched for secrets."""
_PART = 1 << 16
_PARTS = 256
_WEIGHED = 16
"""Processes whose shared memory is divided up: the kernel goes through all their pages."""
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
_SHARE = re.compile(r"^Pss: +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """A step of the reading: what is known of one subject by now."""

    key: str
    tree: Tree


def read(subjects: Sequence[Subject], notes: Notes[Found], proc: Path = PROC) -> None:
    """Look at the subjects, the first first; each is noted as soon as it is known, and again when more is."""
    notes.at = "the list of all processes"
    everybody = dict(_known(subjects, proc))
    left = MOST_PROCESSES
    for subject in subjects:
        pids = _pids(subject, everybody)
        chosen = pids[:left]
        left -= len(chosen)
        facts = [_safe(proc / str(pid), pid, everybody[pid], subject, notes) for pid in chosen]
        found = Tree(tuple(facts), len(pids) - len(chosen))
        notes.found.append(Found(subject.key, found))
        _go_on(subject, found, notes, proc)


def _go_on(subject: Subject, found: Tree, notes: Notes[Found], proc: Path) -> None:
    """What may hang, process after process."""
    facts = list(found.processes)
    # One that has ended is in none any more.
    alive = next((one.pid for one in facts if one.state != "Z"), 0)
    folder = cgroup.memory_group(alive) if alive and proc == PROC else None
    group = cgroup.account(folder) if folder is not None else None
    for number, one in enumerate(facts):
        facts[number] = _risky(proc / str(one.pid), one, number < _WEIGHED, subject, notes)
        notes.found.append(Found(subject.key, replace(found, processes=tuple(facts), group=group)))


def _known(subjects: Sequence[Subject], proc: Path) -> Iterable[tuple[int, _Stat]]:
    """All processes; or only those that are asked for, where none is wanted with what comes from it."""
    names = os.listdir(proc) if any(one.whole for one in subjects) else [str(one.pid) for one in subjects]
    for name in filter(str.isdigit, names):
        raw = small_file(f"{proc}/{name}/stat")
        head, bracket, rest = raw.rpartition(b") ")
        if bracket:
            yield int(name), [head.partition(b"(")[2], *rest.split()]


def _pids(subject: Subject, everybody: Mapping[int, _Stat]) -> list[int]:
    """Parents before their children; what has lost its parents stands behind."""
    if not subject.whole:
        return [subject.pid] if subject.pid in everybody else []
    children: dict[int, list[int]] = {}
    for pid, stat in everybody.items():
        children.setdefault(int(stat[_PARENT]), []).append(pid)
    leader = str(subject.pid).encode()
    orphans = (pid for pid, stat in everybody.items() if stat[_SESSION] == leader)
    members = {pid for pid in tree([subject.pid, *orphans], children) if pid in everybody}
    tops = [pid for pid in sorted(members) if int(everybody[pid][_PARENT]) not in members]
    ordered: list[int] = sorted(tops, key=lambda pid: pid != subject.pid)
    for pid in ordered:
        ordered += sorted(child for child in children.get(pid, ()) if child in members)
    return ordered


def _safe(folder: Path, pid: int, stat: _Stat, subject: Subject, notes: Notes[Found]) -> ProcessFacts:
    notes.at = f"process {pid}"
    started, threads = int(stat[_STARTED]), int(stat[_THREADS])
    return ProcessFacts(
        pid=pid,
        parent=int(stat[_PARENT]),
        name=redact.text(stat[_NAME].decode("utf-8", "replace")),
        state=stat[_STATE].decode(),
        started=started,
        age=max(_uptime(folder.parent) - started / _TICKS, 0.0),
        cpu_seconds=sum(map(int, stat[_TIMES])) / _TICKS,
        memory_bytes=int(stat[_PAGES]) * _PAGE,
        threads=threads,
        waits_in=kernel.waits_in(folder),
        system_call=kernel.system_call(folder) if subject.firm else "",
        stack=kernel.stack(folder) if subject.firm else (),
        threads_in=kernel.threads(folder) if subject.firm and threads > 1 else (),
    )


def _risky(
    folder: Path, one: ProcessFacts, weighed: bool, subject: Subject, notes: Notes[Found]
) -> ProcessFacts:
    notes.at = f"the descriptors of process {one.pid}"
    open_files = descriptors(folder)
    notes.at = f"the command line of process {one.pid}"
    command = _command(folder)
    notes.at = f"the memory of process {one.pid}"
    share = _SHARE.search(kernel.text(folder / "smaps_rollup")) if weighed else None
    return replace(
        one,
        command=command,
        shared_out_bytes=int(share[1]) * 1024 if share else None,
        descriptors=open_files,
        python=subject.firm and _is_python(folder),
    )


def _command(folder: Path) -> str:
    raw = small_file(f"{folder}/cmdline", _RAW)
    words = raw.removesuffix(b"\0").decode("utf-8", "replace").split("\0") if raw else []
    return redact.command(words)[:_LONGEST]


def _is_python(folder: Path) -> bool:
    try:
        program = os.readlink(folder / "exe")
    except OSError:
        return False
    if _PYTHON.fullmatch(program.removesuffix(" (deleted)").rpartition("/")[2]):
        return True
    return any(b"/libpython" in part for part in _maps(folder))


def _maps(folder: Path) -> Iterator[bytes]:
    """What is mapped into the memory of the process; the kernel gives it out a page at a time."""
    with suppress(OSError), (folder / "maps").open("rb", buffering=0) as source:
        for _ in range(_PARTS):
            part = source.read(_PART)
            if not part:
                return
            yield part


def _uptime(proc: Path) -> float:
    words = kernel.text(proc / "uptime").split()
    return float(words[0]) if words else 0.0
