"""How often an address may fail to show who it is.

A right token always gets in: the throttle slows down guessing, and must not be a way to lock somebody
else out who shares the address (all of loopback does). What it saves is work (a password takes long to
compare) and lines in the log.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from math import ceil

from sidecar.clock import Clock

BURST = 20
"""Failures in a row that an address is forgiven."""
SECONDS_EACH = 3.0
"""After which one of them is forgotten."""
MOST_ADDRESSES = 1024
"""That are remembered; whoever has failed longest ago is forgotten first."""


@dataclass(slots=True)
class _Account:
    failures: float
    at: float


class Throttle:
    """Failures by address, in bounded memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def failed(self, address: str) -> bool:
        """Count a failure; whether it is the one with which the address is throttled."""
        key, now = _network(address), self._clock.monotonic()
        account = self._accounts.pop(key, None) or _Account(0.0, now)
        before = _left(account, now)
        account.failures, account.at = min(before + 1, BURST + 1), now
        self._accounts[key] = account
        while len(self._accounts) > MOST_ADDRESSES:
            self._accounts.popitem(last=False)
        return before < BURST <= account.failures

    def wait(self, address: str) -> int:
        """Seconds until the address may fail again; 0 while it may."""
        account = self._accounts.get(_network(address))
        if account is None:
            return 0
        over = _left(account, self._clock.monotonic()) - BURST
        return max(ceil((over + 1) * SECONDS_EACH), 1) if over >= 0 else 0


def _left(account: _Account, now: float) -> float:
    return max(account.failures - (now - account.at) / SECONDS_EACH, 0.0)


def _network(address: str) -> str:
    """One account for a whole /64: a host has all of its addresses."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)
