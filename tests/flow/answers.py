"""A prober that answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.model.probe import Probe, ProbeResult
from tests.flow.corridor import HandClock


@dataclass
class Answers:
    """A prober that gives whatever the test says; what has no answer hangs."""

    clock: HandClock
    given: dict[Probe, list[ProbeResult]] = field(default_factory=dict)
    always: dict[Probe, ProbeResult] = field(default_factory=dict)
    asked: list[tuple[Probe, str]] = field(default_factory=list)

    async def probe(self, what: Probe, seconds: float, about: Mapping[str, str]) -> ProbeResult:
        self.asked.append((what, about.get("SIDECAR_SESSION", "")))
        if self.given.get(what):
            return self.given[what].pop(0)
        if what in self.always:
            return self.always[what]
        await asyncio.Event().wait()
        raise AssertionError

    def count(self, what: Probe) -> int:
        return [probe for probe, _ in self.asked].count(what)
