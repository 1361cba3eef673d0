"""All probes as one door."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.probes.dns import RESOLV_CONF, probe_dns
from sidecar.edges.probes.http import probe_http
from sidecar.edges.probes.local import LocalProber
from sidecar.edges.probes.panes import Panes
from sidecar.edges.probes.programs import probe_command
from sidecar.edges.probes.resolve import Resolver
from sidecar.edges.probes.tcp import probe_tcp
from sidecar.model.probe import CommandProbe, DnsProbe, HttpProbe, Probe, ProbeResult, TcpProbe

_COMMANDS = 4
"""Probe commands at once; more wait for their turn, and their time begins with it."""


class Prober:
    """Asks whatever can be asked. Nothing that is at the other end makes it raise, or take longer."""

    def __init__(
        self,
        clock: Clock,
        resolv_conf: Path = RESOLV_CONF,
        commands: int = _COMMANDS,
        panes: Panes | None = None,
    ) -> None:
        """``panes`` is the door to those that may be asked about, if any."""
        self._clock = clock
        self._resolv_conf = resolv_conf
        self._resolver = Resolver()
        self._commands = asyncio.Semaphore(commands)
        self._local = LocalProber(clock, panes)

    async def probe(self, what: Probe, seconds: float, about: Mapping[str, str]) -> ProbeResult:
        """One try within ``seconds``; ``about`` are variables that tell a command whom it is for."""
        match what:
            case HttpProbe():
                return await probe_http(what, seconds, self._resolver, self._clock)
            case TcpProbe():
                return await probe_tcp(what, seconds, self._resolver, self._clock)
            case DnsProbe():
                return await probe_dns(what, seconds, self._clock, self._resolv_conf)
            case CommandProbe():
                async with self._commands:
                    return await probe_command(what, seconds, self._clock, about)
            case _:
                return await self._local.probe(what, seconds)

    async def close(self) -> None:
        """Wait for no name and no disk any more."""
        await self._resolver.close()
        await self._local.close()
