"""How processes are, against what has to hold of them. Pure but for the open files, which it counts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from sidecar.edges.probes.finding import Finding, below, limit, percent, size, span, worst
from sidecar.edges.probes.processes import Crowd, Seen
from sidecar.edges.probes.processor import Rates
from sidecar.model.probe import ProbeFault
from sidecar.model.probe_process import DescriptorsProbe, Never, ProcessProbe

_NAMED = 5
_LETTERS = {Never.ZOMBIE: "ZX", Never.BLOCKED: "D", Never.STOPPED: "Tt"}


def judged(probe: ProcessProbe, found: Sequence[Seen], crowd: Crowd, rates: Rates) -> Finding:
    """What is wrong with their number, else with one of them, else how many they are."""
    living = [one for one in found if one.lives]
    told = f"{_count(len(living))} {probe.which}{_pids(living)}"
    number = float(len(living))
    if len(living) < probe.least:
        wanted = f"; there have to be {probe.least}" if probe.least > 1 else ""
        return Finding(ProbeFault.NOT_RUNNING, told + wanted, number)
    if probe.most is not None and len(living) > probe.most:
        return Finding(ProbeFault.TOO_MANY, f"{told}; there may be {probe.most}", number)
    ills = [*_states(probe, found), *_ages(probe, living, crowd), *_sizes(probe, living, crowd, rates)]
    return worst([Finding(None, told, number), *ills])


def _count(count: int) -> str:
    return {0: "no process", 1: "1 process"}.get(count, f"{count} processes")


def _pids(found: Sequence[Seen]) -> str:
    if not found:
        return ""
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f" (pid {', '.join(str(one.pid) for one in found[:_NAMED])}{more})"


def _states(probe: ProcessProbe, found: Sequence[Seen]) -> Iterator[Finding]:
    for state in probe.never:
        ill = [one for one in found if one.state in _LETTERS[state]]
        if ill:
            fact = f"{_count(len(ill))} {probe.which} {'is' if len(ill) == 1 else 'are'} {state}{_pids(ill)}"
            yield Finding(ProbeFault.BAD_STATE, fact, float(len(ill)))


def _ages(probe: ProcessProbe, living: Sequence[Seen], crowd: Crowd) -> Iterator[Finding]:
    for one in living:
        age = crowd.age(one)
        fact = f"{_one(one)} has lived for {span(age)}"
        if probe.younger is not None and age >= probe.younger:
            yield Finding(ProbeFault.TOO_OLD, f"{fact}; the limit is {span(probe.younger)}", age)
        if probe.older is not None and age < probe.older:
            yield Finding(ProbeFault.TOO_YOUNG, f"{fact}, and not for {span(probe.older)} yet", age)


def _sizes(probe: ProcessProbe, living: Sequence[Seen], crowd: Crowd, rates: Rates) -> Iterator[Finding]:
    for one in living:
        if probe.rss is not None and one.rss >= probe.rss:
            fact = f"{_one(one)} has {size(one.rss)} in memory; the limit is {size(probe.rss)}"
            yield Finding(ProbeFault.ABOVE_LIMIT, fact, float(one.rss))
        if probe.cpu is not None:
            share = rates.share((probe, one.pid, one.started), one.cpu, crowd.uptime)
            if share is not None and share >= probe.cpu:
                fact = f"{_one(one)} uses {percent(share)} of a processor; the limit is {limit(probe.cpu)}"
                yield Finding(ProbeFault.ABOVE_LIMIT, fact, share)


def _one(one: Seen) -> str:
    return f"{one.name} (pid {one.pid})"


def descriptors(probe: DescriptorsProbe, living: Sequence[Seen]) -> Finding:
    """Of the process that is nearest to its limit. Blocks for a moment.

    Raises:
        OSError: they are another user's, and may not be seen.
    """
    found = [one for each in living for one in _open_files(probe, each)]
    return worst(found) if found else Finding(ProbeFault.NOT_RUNNING, f"no process {probe.which}")


def _open_files(probe: DescriptorsProbe, one: Seen) -> Iterator[Finding]:
    try:
        # Newer kernels tell their number as the size of the folder.
        held = os.stat(f"/proc/{one.pid}/fd").st_size or len(os.listdir(f"/proc/{one.pid}/fd"))
        most = _limit(one.pid)
    except (FileNotFoundError, ProcessLookupError):
        return
    fact = f"{_one(one)} has {held} open files"
    if probe.most is not None:
        over = held > probe.most
        fault = ProbeFault.ABOVE_LIMIT if over else None
        yield Finding(fault, f"{fact}; the limit is {probe.most}" if over else fact, float(held))
    if probe.above is not None:
        share = held / most if most else 0.0
        shown = f"{fact} of {most}, {percent(share)}" if most else f"{fact}, without a limit"
        yield below(share, probe.above, shown, limit(probe.above))


def _limit(pid: int) -> int:
    """The soft limit; 0 without one."""
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        words = next((line.split() for line in file if line.startswith("Max open files")), [])
    return int(words[3]) if len(words) > 3 and words[3].isdigit() else 0
