"""The door to probe commands: how they end, and what they say."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sidecar.clock import Clock
from sidecar.edges.probes import search
from sidecar.edges.probes.command import LINGER, OUTPUT_LIMIT, Ran, ending, run
from sidecar.model.probe import CommandProbe, ProbeFault, ProbeResult


async def probe_command(
    probe: CommandProbe, seconds: float, clock: Clock, environment: Mapping[str, str]
) -> ProbeResult:
    """Run it. Never raises for what it does."""
    began = clock.monotonic()
    try:
        ran = await run(probe.words, seconds, environment)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return ProbeResult(ProbeFault.COMMAND_FAILED, clock.monotonic() - began, f"cannot be run: {reason}")
    fault, fact = _judged(ran, seconds, probe.status)
    if fault is None and (probe.match or probe.no_match):
        left = max(seconds - (clock.monotonic() - began), LINGER)
        right, found = await search.judged(probe, ran.output.decode("utf-8", "ignore"), left, "its output")
        fault, fact = None if right else ProbeFault.TEXT_MISMATCH, f"{fact}; {found}"
    return ProbeResult(fault, clock.monotonic() - began, fact)


def _judged(ran: Ran, seconds: float, statuses: Collection[int]) -> tuple[ProbeFault | None, str]:
    if ran.flooded:
        return ProbeFault.COMMAND_FLOODED, f"cut off after {OUTPUT_LIMIT // 1024} KiB of output"
    if ran.status is None:
        return ProbeFault.COMMAND_HUNG, f"cut off after {seconds:g} s"
    return None if ran.status in statuses else ProbeFault.COMMAND_FAILED, ending(ran, ran.status)
