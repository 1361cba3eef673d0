"""The door to the service manager: sd_notify, by hand, since it is one datagram.

Where no manager has asked to be told (``NOTIFY_SOCKET`` is not set) nothing is ever sent. Telling
never waits and never fails: a manager that does not listen must not stop the service.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

_LONGEST = 2_048
"""Bytes of a status line; the manager shows one line."""


class Notifier:
    """Tells the manager how the service is. ``environment`` is what the manager started us with."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(environment)
        """Seconds within which it wants to be fed; None if it keeps no watchdog over us."""
        self._told = ""

    def ready(self) -> None:
        """The start, or a reload, is over."""
        self._send("READY=1")

    def reloading(self, now: float) -> None:
        """A reload has begun, which :meth:`ready` ends. ``now`` is monotonic seconds."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(now * 1_000_000)}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def feed(self) -> None:
        """The service is alive and well."""
        self._send("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """One line for people, sent when it has changed."""
        if sentence != self._told:
            self._told = sentence
            self._send("STATUS=" + " ".join(sentence.split())[:_LONGEST])

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.setblocking(False)
            door.sendto(message.encode("utf-8", "replace"), self._address)


def _address(named: str) -> bytes | None:
    """The socket's address: a path, or with @ in front a name that no file system holds."""
    if named.startswith("@"):
        return b"\0" + os.fsencode(named[1:])
    return os.fsencode(named) if named.startswith("/") else None


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """As sd_watchdog_enabled(3) reads it: meant for us, and a number above zero."""
    period, meant_for = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not period.isdecimal() or not int(period) or (meant_for and meant_for != str(os.getpid())):
        return None
    return int(period) / 1_000_000
