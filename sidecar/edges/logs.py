"""JSON lines on stderr: one object a line, one write a line, and never an exception.

What the libraries log through ``logging`` takes the same form.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from sidecar.clock import Clock
from sidecar.model.record import Action

LEVELS = ("debug", "info", "warning", "error")


class JsonLog:
    """Implements ``flow.ports.Logbook``."""

    def __init__(self, clock: Clock, level: str = "info") -> None:
        self._clock = clock
        self._threshold = LEVELS.index(level)

    def say(
        self, action: Action, *, level: str = "info", session: str = "", trace: str = "", **detail: object
    ) -> None:
        """Write one line. Below the threshold, or without a stderr, nothing happens."""
        self.line(level, action.value, {"session": session, "trace": trace, **detail})

    def line(self, level: str, action: str, detail: dict[str, Any]) -> None:
        if LEVELS.index(level) < self._threshold:
            return
        stamp = datetime.fromtimestamp(self._clock.wall(), UTC).isoformat(timespec="milliseconds")
        body = {"ts": stamp, "level": level, "action": action}
        body |= {key: value for key, value in detail.items() if value not in ("", None)}
        try:
            sys.stderr.write(json.dumps(body, default=str) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            # A closed or full stderr must not end the service that looks after everything else.
            return


class LibraryHandler(logging.Handler):
    """Turns records of ``logging`` into the same lines."""

    def __init__(self, log: JsonLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        detail: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            detail["error"] = repr(record.exc_info[1])
        self._log.line(level, "library", detail)
