"""Users of a web-config file: a name and a password that is kept as a bcrypt hash.

Comparing takes bcrypt some 50 ms on purpose, so it happens in a thread, one at a time, and what was right
is remembered: a scrape every few seconds stays cheap. What is remembered is a digest under a key that
lives only in this process.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping

_MOST_REMEMBERED = 64
_MOST_WAITING = 16
_BCRYPT_BYTES = 72
"""Of a password count for bcrypt; Go's ignores the rest, and so does this."""
_NOBODY = "abcdefghijklmnopqrstuuTrUKQ0hj6vA0xyVLXOfKJZ6Dv6G.oBe"
"""Salt and digest of no password."""


class TooBusy(Exception):
    """So many passwords wait to be compared that another one is not taken."""


class Passwords:
    """Compares, and remembers what was right."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._one = asyncio.Lock()
        self._waiting = 0

    def known(self, users: Mapping[str, str], name: str, password: str) -> bool:
        """Whether this has been found right before. Quick."""
        stored = users.get(name)
        return stored is not None and self._digest(name, password, stored) in self._right

    async def right(self, users: Mapping[str, str], name: str, password: str) -> bool:
        """Whether it is this user's password. Slow unless it is :meth:`known`.

        Raises:
            TooBusy: nothing was compared.
        """
        if self.known(users, name, password):
            return True
        if self._waiting >= _MOST_WAITING:
            raise TooBusy
        stored = users.get(name)
        self._waiting += 1
        try:
            async with self._one:
                good = await asyncio.to_thread(_matches, password, stored or _nobodys(users))
        finally:
            self._waiting -= 1
        if stored is None or not good:
            return False
        self._right[self._digest(name, password, stored)] = None
        while len(self._right) > _MOST_REMEMBERED:
            self._right.popitem(last=False)
        return True

    def _digest(self, name: str, password: str, stored: str) -> bytes:
        # The hash is part of it: what was right for another one counts no longer.
        said = "\0".join((name, stored, password)).encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, said, "sha256")


def _nobodys(users: Mapping[str, str]) -> str:
    """A hash for a name that is nobody's: it takes as long, so that the time does not tell the names."""
    cost = max((stored[4:6] for stored in users.values()), default="10")
    return f"$2b${cost}${_NOBODY}"


def _matches(password: str, stored: str) -> bool:
    # Takes half a megabyte, so only those pay it who have users.
    import bcrypt

    given = password.encode("utf-8", "surrogateescape")[:_BCRYPT_BYTES]
    return bcrypt.checkpw(given, stored.encode())
