"""JSON lines on stderr: one object a line, one write a line, and never an exception.

A line never waits. One that its reader has no room for is dropped, and the next line that gets
through says how many were: a stuck terminal or log collector must not stop the service that looks
after everything else. What the libraries log through ``logging`` takes the same form.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from itertools import islice

from sidecar import errand
from sidecar.clock import Clock
from sidecar.model.record import Action

LEVELS = ("debug", "info", "warning", "error")
LONGEST_LINE = select.PIPE_BUF
"""Bytes, with the line's end: what a pipe with room takes at once and undivided."""

_LIBRARY = "library"
_TEXT_LIMITS = (LONGEST_LINE, 512, 64)
_DEEPEST = 6
_MOST_ITEMS = 50
_FRAMES = 4


class JsonLog:
    """Implements ``flow.ports.Logbook``. May be used from any thread.

    ``level`` is the least that is written; ``descriptor`` is stderr's unless another is given.
    """

    def __init__(self, clock: Clock, level: str = "info", descriptor: int | None = None) -> None:
        self._clock = clock
        self._threshold = LEVELS.index(level)
        self._descriptor = _stderr() if descriptor is None else descriptor
        self._dropped = 0

    def say(
        self, action: Action, *, level: str = "info", session: str = "", trace: str = "", **detail: object
    ) -> None:
        """Write one line, under the trace of the errand unless another is named.

        Below the threshold, or without a stderr, nothing happens.
        """
        trace = trace or errand.current().trace
        self.line(level, action.value, {"session": session, "trace": trace, **detail})

    def line(self, level: str, action: str, detail: Mapping[str, object]) -> None:
        """Write one line with an action word of the caller's."""
        if self._descriptor < 0 or _severity(level) < self._threshold:
            return
        head: dict[str, object] = {"ts": self._stamp(), "level": level, "action": action}
        if self._dropped:
            head["dropped"] = self._dropped
        self._write(_encode(head, detail))

    def _stamp(self) -> str:
        now = datetime.fromtimestamp(self._clock.wall(), UTC)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _write(self, line: bytes) -> None:
        try:
            if _has_room(self._descriptor):
                os.write(self._descriptor, line)
                self._dropped = 0
                return
        except OSError:
            # Closed, or full after all: the line counts as dropped either way.
            pass
        self._dropped += 1


class LibraryHandler(logging.Handler):
    """Turns records of ``logging`` into the same lines."""

    def __init__(self, log: JsonLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        detail: dict[str, object] = {"logger": record.name, "message": _message(record)}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            detail["error"] = error
            frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
            detail["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        self._log.line("error" if record.levelno >= logging.ERROR else "warning", _LIBRARY, detail)


def adopt_library_logs(log: JsonLog) -> None:
    """From now on ``logging`` and ``warnings`` of the whole process end in this log."""
    logging.basicConfig(handlers=[LibraryHandler(log)], level=logging.WARNING, force=True)
    logging.captureWarnings(True)


def _stderr() -> int:
    """The descriptor, or -1: where stderr was closed, number 2 may be anything by now, a database too."""
    try:
        return sys.__stderr__.fileno() if sys.__stderr__ is not None else -1
    except (OSError, ValueError):
        return -1


def _severity(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else LEVELS.index("error")


def _has_room(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(event & select.POLLOUT for _, event in poll.poll(0))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"


def _encode(head: Mapping[str, object], detail: Mapping[str, object]) -> bytes:
    """The line, with texts cut as far as it takes to keep it short enough."""
    told = {key: value for key, value in detail.items() if value not in ("", None) and key not in head}
    for limit in _TEXT_LIMITS:
        body = dict(head)
        body |= {_text(key, limit): _plain(value, limit, _DEEPEST) for key, value in told.items()}
        line = json.dumps(body).encode("ascii") + b"\n"
        if len(line) <= LONGEST_LINE:
            return line
    session = _text(str(detail.get("session", "")), _TEXT_LIMITS[-1])
    return json.dumps({**head, "session": session, "cut": True}).encode("ascii") + b"\n"


def _plain(value: object, limit: int, depth: int) -> object:
    """The value in words that JSON has."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else repr(value)
    if isinstance(value, str):
        return _text(value, limit)
    if depth and isinstance(value, Mapping):
        pairs = islice(value.items(), _MOST_ITEMS)
        return {_text(str(key), limit): _plain(item, limit, depth - 1) for key, item in pairs}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_plain(item, limit, depth - 1) for item in islice(value, _MOST_ITEMS)]
    return _text(_repr(value), limit)


def _text(text: str, limit: int) -> str:
    """Valid Unicode: bytes that came in as surrogates are written as escapes."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return whole if len(whole) <= limit else f"{whole[:limit]}..."


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
