"""What is found where a file should be, against what has to hold of it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.edges.probes import files
from sidecar.edges.probes.finding import Finding, size, span, worst
from sidecar.model.probe import ProbeFault
from sidecar.model.probe_file import FileProbe, Part

LIMIT = 64 * 1024
"""Bytes that are read."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file at one moment."""

    is_there: bool
    regular: bool = False
    size: int = 0
    written: float = 0.0
    """Wall seconds."""
    content: bytes = b""


def seen(probe: FileProbe) -> Seen:
    """Look, and read the part that is wanted. Blocks, as long as a disk that does not answer.

    Raises:
        OSError: it is there and cannot be read; something of no size and no content is asked for both.
    """
    try:
        facts = files.facts(probe.path)
        content = b""
        if probe.match or probe.no_match:
            read = files.beginning if probe.part is Part.HEAD else files.end
            content = read(probe.path, LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return Seen(False)
    return Seen(True, stat.S_ISREG(facts.st_mode), facts.st_size, facts.st_mtime, content)


def judged(probe: FileProbe, found: Seen, wall: float) -> Finding:
    """What is wrong with it but for its content. The value is its size."""
    if not found.is_there:
        fact = f"{probe.path} is not there"
        return Finding(ProbeFault.MISSING if probe.exists else None, fact)
    if not probe.exists:
        return Finding(ProbeFault.UNWANTED, f"{probe.path} is there, and should not be")
    age = max(wall - found.written, 0.0)
    fact = f"{probe.path} was written {span(age)} ago" + (
        f" and has {size(found.size)}" if found.regular else ""
    )
    good = Finding(None, fact, float(found.size))
    return worst([good, *_ages(probe, fact, age), *_sizes(probe, fact, found)])


def _ages(probe: FileProbe, fact: str, age: float) -> Iterator[Finding]:
    if probe.younger is not None and age >= probe.younger:
        yield Finding(ProbeFault.TOO_OLD, f"{fact}; it has to be younger than {span(probe.younger)}", age)
    if probe.older is not None and age < probe.older:
        yield Finding(ProbeFault.TOO_YOUNG, f"{fact}; it has to be older than {span(probe.older)}", age)


def _sizes(probe: FileProbe, fact: str, found: Seen) -> Iterator[Finding]:
    if (probe.least is not None or probe.most is not None) and not found.regular:
        yield Finding(ProbeFault.NOT_MEASURED, f"{probe.path} is no regular file, and has no size")
        return
    if probe.least is not None and found.size < probe.least:
        yield Finding(ProbeFault.BELOW_LIMIT, f"{fact}; {size(probe.least)} have to be there", found.size)
    if probe.most is not None and found.size > probe.most:
        yield Finding(ProbeFault.ABOVE_LIMIT, f"{fact}; the limit is {size(probe.most)}", found.size)
