"""The door to this machine: figures that are read at once, and disks that may not answer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial

from sidecar.clock import Clock
from sidecar.edges.probes import condition, content, disk, machine, processor, search, select, units
from sidecar.edges.probes.apart import Apart
from sidecar.edges.probes.finding import Finding, Unmeasured, worst
from sidecar.edges.probes.panes import Panes
from sidecar.edges.probes.processes import Crowd, Processes, Seen
from sidecar.model.probe import Probe, ProbeFault, ProbeKind, ProbeResult
from sidecar.model.probe_file import FileProbe, Part
from sidecar.model.probe_machine import (
    CpuProbe,
    DiskProbe,
    LoadProbe,
    MemoryProbe,
    PressureProbe,
    SwapProbe,
)
from sidecar.model.probe_process import DescriptorsProbe, ProcessProbe, Which
from sidecar.model.probe_tended import PaneProbe, UnitProbe

_MANAGERS = 4
"""Programs that ask systemd at once."""
_WHOSE = {ProbeKind.PANE: "tmux", ProbeKind.UNIT: "systemctl"}


class LocalProber:
    """Asks the kernel, tmux and systemd. What may take its time has a thread of its own, or a process."""

    def __init__(self, clock: Clock, panes: Panes | None = None) -> None:
        self._clock = clock
        self._panes = panes
        self._managers = asyncio.Semaphore(_MANAGERS)
        self._apart = Apart()
        self._rates = processor.Rates()
        self._everybody = Processes(clock.monotonic)

    async def probe(self, what: Probe, seconds: float) -> ProbeResult:
        """One look within ``seconds``. Never raises for what it finds."""
        began = self._clock.monotonic()
        if isinstance(what, DiskProbe):
            found = await self._disks(what, seconds)
        else:
            whose = _WHOSE.get(what.kind, "the kernel")
            silence = ProbeFault.NOT_MEASURED
            if isinstance(what, FileProbe):
                whose, silence = what.path, ProbeFault.NO_ANSWER
            found = await _within(seconds, self._look(what, seconds), whose, silence)
        return ProbeResult(found.fault, self._clock.monotonic() - began, found.fact, value=found.value)

    async def close(self) -> None:
        """Wait for no disk any more."""
        await self._apart.close()

    async def _look(self, what: Probe, seconds: float) -> Finding:
        match what:
            case MemoryProbe():
                return await self._read(what, partial(machine.memory, what), group=what.cgroup)
            case SwapProbe():
                return machine.swap(what)
            case CpuProbe():
                read = partial(processor.use, what, self._rates, self._clock.monotonic)
                return await self._read(what, read, group=what.cgroup)
            case PressureProbe():
                return await self._read(what, partial(machine.stall, what), group=what.cgroup)
            case LoadProbe():
                return machine.load(what)
            case DescriptorsProbe(which=which) if not which.named:
                return machine.descriptors(what)
            case DescriptorsProbe(which=which):
                found, _ = await self._processes(which, seconds)
                living = [one for one in found if one.lives]
                return await self._apart.ask(what, partial(condition.descriptors, what, living))
            case UnitProbe():
                async with self._managers:
                    return await units.unit(what, seconds)
            case PaneProbe():
                if self._panes is None:
                    raise Unmeasured("no tmux server is looked after here")
                return await self._panes.look(what, seconds)
            case FileProbe():
                return await self._file(what, seconds)
            case ProcessProbe():
                return condition.judged(what, *await self._processes(what.which, seconds), self._rates)
        raise TypeError(f"no door for {what!r}")

    async def _read(self, what: Probe, read: Callable[[], Finding], *, group: str) -> Finding:
        # The kernel may have to add up what is below a group.
        return await self._apart.ask(what, read) if group else read()

    async def _processes(self, which: Which, seconds: float) -> tuple[list[Seen], Crowd]:
        """Those that are meant, among all."""
        found, lines, crowd = await self._apart.ask(which, partial(self._select, which))
        if which.cmdline:
            hits = await search.among(which.cmdline, lines, seconds)
            if hits is None:
                raise Unmeasured(f"the search for {which.cmdline!r} in command lines came to no end")
            found = [one for number, one in enumerate(found) if number in hits]
        return found, crowd

    def _select(self, which: Which) -> tuple[list[Seen], list[str], Crowd]:
        crowd = self._everybody.look()
        found = select.selected(which, crowd)
        return found, [crowd.line(one.pid) for one in found] if which.cmdline else [], crowd

    async def _file(self, probe: FileProbe, seconds: float) -> Finding:
        seen = await self._apart.ask(("file", probe), partial(content.seen, probe))
        found = content.judged(probe, seen, self._clock.wall())
        if found.fault is not None or not (probe.match or probe.no_match):
            return found
        where = f"{'the first' if probe.part is Part.HEAD else 'the last'} {len(seen.content)} bytes"
        words = seen.content.decode("utf-8", "ignore")
        right, told = await search.judged(probe, words, seconds, where)
        fault = None if right else ProbeFault.TEXT_MISMATCH
        return Finding(fault, f"{found.fact}; {told}", found.value)

    async def _disks(self, probe: DiskProbe, seconds: float) -> Finding:
        # One that hangs does not hide what is wrong with another.
        looks = (
            _within(seconds, self._disk(probe, path), path, ProbeFault.NO_ANSWER) for path in probe.paths
        )
        return worst(await asyncio.gather(*looks))

    async def _disk(self, probe: DiskProbe, path: str) -> Finding:
        facts = await self._apart.ask(("disk", path), partial(os.statvfs, path))
        return disk.judged(probe, path, facts)


async def _within(seconds: float, looking: Awaitable[Finding], what: str, silence: ProbeFault) -> Finding:
    """What is found in time; ``silence`` is what is wrong where nothing is."""
    try:
        async with asyncio.timeout(seconds):
            return await looking
    except TimeoutError:
        return Finding(silence, f"{what} has not answered within {seconds:g} s")
    except Unmeasured as error:
        return Finding(ProbeFault.NOT_MEASURED, str(error))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Finding(ProbeFault.NOT_MEASURED, f"{error.filename or what}: {reason}")
    except (ValueError, LookupError, ArithmeticError) as error:
        return Finding(ProbeFault.NOT_MEASURED, f"what {what} tells cannot be read: {error}")
