"""Names to addresses, as every program of this machine would have it, without ever waiting on the loop.

The system's resolver blocks for tens of seconds where no server answers. It gets a few threads of its
own, so that nobody else's thread is taken, and so that a hung one holds nobody up: not another name,
not the end of the service.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

from sidecar.edges.probes.apart import Apart
from sidecar.edges.probes.faults import NameFault
from sidecar.model.probe import ProbeFault

_AT_ONCE = 4
_NOT_FOUND = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})

Address = tuple[socket.AddressFamily, tuple[Any, ...]]


class Resolver:
    """Asks for each name once at a time, however many wait for the answer."""

    def __init__(self) -> None:
        self._apart = Apart(_AT_ONCE)

    async def resolve(self, host: str, port: int, family: int = socket.AF_UNSPEC) -> list[Address]:
        """The addresses for a stream. Whoever asks limits the time.

        Raises:
            NameFault: there are none.
        """
        return await self._apart.ask((host, port, family), partial(_look_up, host, port, family))

    async def close(self) -> None:
        """Wait for nobody any more."""
        await self._apart.close()


def _look_up(host: str, port: int, family: int) -> list[Address]:
    try:
        return [(one[0], one[4]) for one in socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as problem:
        raise _name_fault(host, problem) from problem


def _name_fault(host: str, problem: OSError | UnicodeError) -> NameFault:
    if isinstance(problem, UnicodeError) or problem.errno in _NOT_FOUND:
        return NameFault(ProbeFault.NAME_NOT_FOUND, f"{host} is not known")
    reason = (problem.strerror or str(problem)).lower()
    return NameFault(ProbeFault.NAME_SERVER_FAILED, f"{host} cannot be resolved: {reason}")
