"""When a certificate ends, by its own bytes (DER, RFC 5280). Pure, and calm about any bytes.

Python tells it only of certificates that it has verified; those that nobody has signed end as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

_SEQUENCE, _VERSION, _UTC_TIME, _TIME = 0x30, 0xA0, 0x17, 0x18
_VALIDITY = 3
"""Of the parts of a certificate, behind its number, algorithm and issuer."""


def end_of(certificate: bytes) -> float | None:
    """Wall seconds; None where it is no certificate."""
    try:
        body = _inside(_inside(certificate))
        parts = [part for part in _parts(body) if part[0] != _VERSION]
        kind, words = list(_parts(parts[_VALIDITY][1]))[1]
        return _moment(kind, words.decode("ascii"))
    except (IndexError, ValueError):
        return None


def _inside(data: bytes) -> bytes:
    """What the first sequence holds."""
    kind, content = next(_parts(data), (0, b""))
    if kind != _SEQUENCE:
        raise ValueError("no sequence")
    return content


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(data):
        kind, length = data[place], data[place + 1]
        place += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[place : place + size])
            place += size
        if place + length > len(data):
            raise ValueError("cut off")
        yield kind, data[place : place + length]
        place += length


def _moment(kind: int, words: str) -> float:
    if kind == _UTC_TIME:
        # Two digits stand for the years 1950 to 2049.
        words = ("19" if words[:2] >= "50" else "20") + words
    elif kind != _TIME:
        raise ValueError("no time")
    return datetime.strptime(words, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
