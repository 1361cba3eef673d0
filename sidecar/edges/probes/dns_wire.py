"""Questions to name servers and their answers, as bytes (RFC 1035). Pure, and calm about any bytes.

No library: ``dns.message`` of dnspython 2.9 takes 4.9 MB of the service's 50 (``RssAnon`` after its import
on Python 3.11), for one question and the count of the records in its answer.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from sidecar.model.probe import RecordType

_NUMBERS = {
    RecordType.A: 1, RecordType.NS: 2, RecordType.CNAME: 5, RecordType.SOA: 6, RecordType.PTR: 12,
    RecordType.MX: 15, RecordType.TXT: 16, RecordType.AAAA: 28, RecordType.SRV: 33,
}  # fmt: skip
_INTERNET = 1
_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_RESPONSE, _TRUNCATED, _RECURSE = 0x8000, 0x0200, 0x0100
_POINTER = 0xC0
_HOPS = 256
_BEFORE_NAME = {RecordType.MX: 2, RecordType.SRV: 6}
"""Bytes of numbers before the name."""
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says."""

    code: str
    """``NOERROR``, ``NXDOMAIN``, ``SERVFAIL`` and the like."""
    records: int
    """How many records of the wanted type it has."""
    truncated: bool
    told: tuple[str, ...] = ()
    """What they say, as far as it can be read."""


def encode_name(name: str) -> bytes:
    """A name as labels.

    Raises:
        ValueError: a label or the whole is empty, too long, or cannot be written.
    """
    labels = [_label(label) for label in name.removesuffix(".").split(".")]
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    if len(encoded) > 255:
        raise ValueError(f"{name!r} is longer than a name can be")
    return encoded


def _label(text: str) -> bytes:
    label = text.encode("ascii") if text.isascii() else text.encode("idna")
    if not 0 < len(label) < 64:
        raise ValueError(f"{text!r} is no part of a name; it takes 1 to 63 letters")
    return label


def question(number: int, name: str, kind: RecordType) -> bytes:
    """One question, with the wish that the server asks others.

    Raises:
        ValueError: it is no name.
    """
    return _HEADER.pack(number, _RECURSE, 1, 0, 0, 0) + _asked(name, kind)


def answer(datagram: bytes, number: int, name: str, kind: RecordType) -> Answer | None:
    """The answer to this question; None when it is another one's, or no answer at all."""
    asked = _asked(name, kind)
    body = _HEADER.size
    if len(datagram) < body:
        return None
    told, flags, questions, count, _, _ = _HEADER.unpack_from(datagram)
    if told != number or not flags & _RESPONSE:
        return None
    if questions and datagram[body : body + len(asked)].lower() != asked.lower():
        return None
    try:
        records = list(_records(datagram, body + len(asked), count, _NUMBERS[kind])) if questions else []
    except (struct.error, IndexError):
        return None
    told = tuple(words for place, length in records if (words := _told(datagram, place, length, kind)))
    code = RCODES.get(flags & 0xF, f"code {flags & 0xF}")
    return Answer(code, len(records), bool(flags & _TRUNCATED), told)


def _asked(name: str, kind: RecordType) -> bytes:
    return encode_name(name) + struct.pack("!HH", _NUMBERS[kind], _INTERNET)


def _records(datagram: bytes, place: int, count: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Where the data of the wanted records stand, and how long they are."""
    for _ in range(count):
        place = _past_name(datagram, place)
        kind, _, _, length = _RECORD.unpack_from(datagram, place)
        if kind == wanted:
            yield place + _RECORD.size, length
        place += _RECORD.size + length


def _told(datagram: bytes, place: int, length: int, kind: RecordType) -> str:
    """What a record says: an address, a text, or the name that it leads to; empty if it cannot be read."""
    data = datagram[place : place + length]
    try:
        if kind in (RecordType.A, RecordType.AAAA):
            return str(ip_address(data))
        if kind is RecordType.TXT:
            return "".join(_texts(data))
        return _name_at(datagram, place + _BEFORE_NAME.get(kind, 0))
    except (ValueError, IndexError):
        return ""


def _texts(data: bytes) -> Iterator[str]:
    while data:
        yield data[1 : 1 + data[0]].decode("utf-8", "replace")
        data = data[1 + data[0] :]


def _name_at(datagram: bytes, place: int) -> str:
    labels: list[str] = []
    for _ in range(_HOPS):
        length = datagram[place]
        if length & _POINTER == _POINTER:
            place = (length & ~_POINTER) << 8 | datagram[place + 1]
        elif length:
            labels.append(datagram[place + 1 : place + 1 + length].decode("ascii"))
            place += 1 + length
        else:
            return ".".join(labels).lower()
    raise ValueError("a name without end")


def _past_name(datagram: bytes, place: int) -> int:
    while (length := datagram[place]) != 0:
        if length & _POINTER == _POINTER:
            return place + 2
        place += 1 + length
    return place + 1
