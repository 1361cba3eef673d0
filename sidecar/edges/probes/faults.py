"""Errors of sockets as the words of :class:`~sidecar.model.probe.ProbeFault`."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable
from ipaddress import ip_address

from sidecar.model.probe import ProbeFault

_UNREACHABLE = frozenset(
    {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL,
     errno.EACCES, errno.EPERM}
)  # fmt: skip
_RESET = frozenset({errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE})
_TOTAL_RETRANS = 100
"""Where ``tcpi_total_retrans`` stands in ``struct tcp_info``."""


class NameFault(OSError):
    """A name could not be resolved."""

    def __init__(self, fault: ProbeFault, sentence: str) -> None:
        super().__init__(errno.EIO, sentence)
        self.fault = fault
        self.sentence = sentence


def fault_of(error: OSError) -> ProbeFault:
    """Which word it is."""
    if isinstance(error, NameFault):
        return error.fault
    if isinstance(error, TimeoutError):
        return ProbeFault.TIMED_OUT
    if error.errno == errno.ECONNREFUSED:
        return ProbeFault.REFUSED
    if error.errno in _RESET:
        return ProbeFault.RESET
    return ProbeFault.UNREACHABLE if error.errno in _UNREACHABLE else ProbeFault.BAD_ANSWER


def sentence_of(error: OSError) -> str:
    """What is wrong, in the system's words."""
    if isinstance(error, NameFault):
        return error.sentence
    return os.strerror(error.errno).lower() if error.errno else str(error) or type(error).__name__


def without_connection(hosts: Iterable[str], what: str, seconds: float) -> tuple[ProbeFault, str]:
    """No connection came about in time. On this machine no packet gets lost: there, nobody takes it."""
    if all(is_near(host) for host in hosts):
        return ProbeFault.NO_ANSWER, f"{what}: nobody has taken the connection within {seconds:g} s"
    return ProbeFault.TIMED_OUT, f"{what}: no connection within {seconds:g} s"


def is_near(host: str) -> bool:
    """Whether the address is one of this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def resent(connection: socket.socket) -> int:
    """How many segments this side of a connection has sent again, the first one included; 0 if unknown."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TOTAL_RETRANS + 4)
    except OSError:
        return 0
    if len(info) < _TOTAL_RETRANS + 4:
        return 0
    return int(struct.unpack_from("=I", info, _TOTAL_RETRANS)[0])
