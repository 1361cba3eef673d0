"""The door to anything that listens: can a connection be made?"""

from __future__ import annotations

import asyncio
import socket

from sidecar.clock import Clock
from sidecar.edges.probes.faults import NameFault, fault_of, resent, sentence_of, without_connection
from sidecar.edges.probes.resolve import Address, Resolver
from sidecar.model.probe import ProbeFault, ProbeResult, TcpProbe


async def probe_tcp(probe: TcpProbe, seconds: float, resolver: Resolver, clock: Clock) -> ProbeResult:
    """Connect, and close again at once. Never raises for what it finds."""
    began = clock.monotonic()

    def result(fault: ProbeFault | None, fact: str, again: int = 0) -> ProbeResult:
        return ProbeResult(fault, clock.monotonic() - began, fact, again)

    addresses: list[Address] = []
    try:
        async with asyncio.timeout(seconds):
            addresses = await resolver.resolve(probe.host, probe.port)
            again = await _connect_any(addresses, seconds)
    except TimeoutError:
        if addresses:
            return result(*without_connection((a[0] for _, a in addresses), probe.address, seconds))
        return result(ProbeFault.NAME_TIMED_OUT, f"{probe.host} was not resolved within {seconds:g} s")
    except NameFault as error:
        return result(error.fault, sentence_of(error))
    except OSError as error:
        return result(fault_of(error), f"{probe.address}: {sentence_of(error)}")
    return result(None, f"{probe.address} takes connections", again)


async def _connect_any(addresses: list[Address], seconds: float) -> int:
    """Try one after the other, each with its share of the time; how many segments were sent again."""
    share = seconds / len(addresses)
    for family, address in addresses[:-1]:
        try:
            async with asyncio.timeout(share):
                return await _connect(family, address)
        except OSError:
            # One address of a name may well be dead; the last one tells.
            continue
    return await _connect(*addresses[-1])


async def _connect(family: socket.AddressFamily, address: tuple[object, ...]) -> int:
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)
        return resent(connection)
