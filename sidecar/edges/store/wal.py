"""Whether SQLite's write-ahead log was read to its end.

SQLite stops at the first frame whose checksum fails, and says nothing: what was committed behind it
is gone. That is right for a frame that was being written when the power failed, and has to be told
when it was damaged later. Here the rest of the log is looked at for what SQLite has left out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_LITTLE_ENDIAN_SUMS = 0x377F0682
_MASK = 0xFFFFFFFF

Sum = tuple[int, int]


def left_out(path: Path, used: int | None = None) -> bool:
    """Whether the log holds more than the ``used`` frames that SQLite took, and an unfinished commit.

    Without ``used`` it is worked out how many SQLite would take. Nobody may be writing the log then.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return False
    if len(raw) <= _HEADER.size:
        return False
    log = _log(raw)
    return log is None or log.holds_more(log.taken() if used is None else used)


@dataclass(frozen=True, slots=True)
class _Log:
    raw: bytes
    page: int
    salts: Sum
    first: Sum
    """The sum in the header, with which the first frame's begins."""
    order: str

    def holds_more(self, used: int) -> bool:
        before = self._stored_sum(used - 1) if used else self.first
        whole = True
        for number in range(used, self._count()):
            ours = [mine == salt for mine, salt in zip(self._frame(number)[2:4], self.salts, strict=True)]
            if not any(ours):
                # Left from before the log was begun anew.
                whole = False
                continue
            if not all(ours) or not whole or self._sum(number, before) != self._stored_sum(number):
                return True
            before = self._stored_sum(number)
        return False

    def taken(self) -> int:
        """How many frames SQLite takes: up to the last commit before the first that is not whole."""
        before, committed = self.first, 0
        for number in range(self._count()):
            ours = self._frame(number)[2:4] == self.salts
            if not ours or self._sum(number, before) != self._stored_sum(number):
                break
            before = self._stored_sum(number)
            if self._frame(number)[1]:
                committed = number + 1
        return committed

    def _count(self) -> int:
        return (len(self.raw) - _HEADER.size) // (_FRAME.size + self.page)

    def _frame(self, number: int) -> tuple[int, ...]:
        return _FRAME.unpack_from(self.raw, self._at(number))

    def _stored_sum(self, number: int) -> Sum:
        first, second = self._frame(number)[4:]
        return first, second

    def _at(self, number: int) -> int:
        return _HEADER.size + number * (_FRAME.size + self.page)

    def _sum(self, number: int, before: Sum) -> Sum:
        start = self._at(number)
        page = self.raw[start + _FRAME.size : start + _FRAME.size + self.page]
        return _sum(self.raw[start : start + 8] + page, before, self.order)


def _log(raw: bytes) -> _Log | None:
    """None if the header is not one."""
    magic, _, page, _, *rest = _HEADER.unpack_from(raw)
    order = "<" if magic == _LITTLE_ENDIAN_SUMS else ">"
    first = (rest[2], rest[3])
    if magic & ~1 != _LITTLE_ENDIAN_SUMS or _sum(raw[:24], (0, 0), order) != first:
        return None
    return _Log(raw, page, (rest[0], rest[1]), first, order)


def _sum(raw: bytes, before: Sum, order: str) -> Sum:
    """SQLite's checksum of a log: two sums that each add the other."""
    first, second = before
    words = struct.unpack(f"{order}{len(raw) // 4}I", raw)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
