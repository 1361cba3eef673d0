"""Process trees from /proc: what each process is, what it takes, and where it waits.

What may hang is read last: a command line and the figures of shared memory wait for whoever changes the
memory of the process, which one that is stuck in the kernel may be doing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar import redact
from sidecar.edges import cgroup
from sidecar.edges.diagnostics import kernel
from sidecar.edges.diagnostics.descriptors import descriptors
from sidecar.edges.diagnostics.reading import Notes
from sidecar.edges.process import tree
from sidecar.model.diagnostics import MOST_PROCESSES, ProcessFacts, Subject, Tree

PROC = Path("/proc")

_PARENT, _SESSION, _THREADS, _STARTED, _PAGES = 1, 3, 17, 19, 21
_TIMES = slice(11, 13)
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LONGEST = 400
"""Characters of a command line."""
_RAW = 8_192
"""Bytes of one that are looked at: more than that are cut before they are searched for secrets."""
_MAPS = 1 << 20
_WEIGHED = 16
"""Processes whose shared memory is divided up: the kernel goes through all their pages."""
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
_SHARE = re.compile(r"^Pss: +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Stat:
    """What /proc/PID/stat tells; the numbers stand where they do there, counted from the state on."""

    name: str
    state: str
    numbers: Sequence[int]


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
    for name in names:
        if name.isdigit() and (stat := _stat(proc / name)) is not None:
            yield int(name), stat


def _stat(folder: Path) -> _Stat | None:
    head, _, rest = kernel.text(folder / "stat").rpartition(") ")
    fields = rest.split()
    return _Stat(head.partition("(")[2], fields[0], [0, *map(int, fields[1:])]) if fields else None


def _pids(subject: Subject, everybody: Mapping[int, _Stat]) -> list[int]:
    """Parents before their children; what has lost its parents stands behind."""
    if not subject.whole:
        return [subject.pid] if subject.pid in everybody else []
    children: dict[int, list[int]] = {}
    for pid, stat in everybody.items():
        children.setdefault(stat.numbers[_PARENT], []).append(pid)
    orphans = (pid for pid, stat in everybody.items() if stat.numbers[_SESSION] == subject.pid)
    members = {pid for pid in tree([subject.pid, *orphans], children) if pid in everybody}
    tops = [pid for pid in sorted(members) if everybody[pid].numbers[_PARENT] not in members]
    ordered: list[int] = sorted(tops, key=lambda pid: pid != subject.pid)
    for pid in ordered:
        ordered += sorted(child for child in children.get(pid, ()) if child in members)
    return ordered


def _safe(folder: Path, pid: int, stat: _Stat, subject: Subject, notes: Notes[Found]) -> ProcessFacts:
    notes.at = f"process {pid}"
    numbers = stat.numbers
    several = numbers[_THREADS] > 1
    return ProcessFacts(
        pid=pid,
        parent=numbers[_PARENT],
        name=redact.text(stat.name),
        state=stat.state,
        started=numbers[_STARTED],
        age=max(_uptime(folder.parent) - numbers[_STARTED] / _TICKS, 0.0),
        cpu_seconds=sum(numbers[_TIMES]) / _TICKS,
        memory_bytes=numbers[_PAGES] * _PAGE,
        threads=numbers[_THREADS],
        waits_in=kernel.waits_in(folder),
        system_call=kernel.system_call(folder) if subject.firm else "",
        stack=kernel.stack(folder) if subject.firm else (),
        threads_in=kernel.threads(folder) if subject.firm and several else (),
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
    raw = _bytes(folder / "cmdline", _RAW)
    words = raw.removesuffix(b"\0").decode("utf-8", "replace").split("\0") if raw else []
    return redact.command(words)[:_LONGEST]


def _is_python(folder: Path) -> bool:
    try:
        program = os.readlink(folder / "exe")
    except OSError:
        return False
    if _PYTHON.fullmatch(program.removesuffix(" (deleted)").rpartition("/")[2]):
        return True
    return b"/libpython" in _bytes(folder / "maps", _MAPS)


def _bytes(file: Path, most: int) -> bytes:
    """The beginning of a file of /proc, which is given out in pieces; nothing if it cannot be read."""
    parts = bytearray()
    try:
        with file.open("rb", buffering=0) as source:
            while len(parts) < most and (part := source.read(most - len(parts))):
                parts += part
    except OSError:
        pass
    return bytes(parts)


def _uptime(proc: Path) -> float:
    words = kernel.text(proc / "uptime").split()
    return float(words[0]) if words else 0.0
