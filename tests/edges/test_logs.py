"""Log lines: valid JSON whatever is said, one write each, and never in the way."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.edges.logs import LONGEST_LINE, JsonLog, LibraryHandler, adopt_library_logs
from sidecar.model.plan import Strategy
from sidecar.model.record import Action


class StillClock:
    def monotonic(self) -> float:
        return 0.0

    def wall(self) -> float:
        return 1_700_000_000.25

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@dataclass
class Pipe:
    reader: int
    writer: int

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in os.read(self.reader, 1 << 20).splitlines()]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    yield Pipe(reader, writer)
    os.close(reader)
    os.close(writer)


@pytest.fixture
def log(pipe: Pipe) -> JsonLog:
    return JsonLog(StillClock(), descriptor=pipe.writer)


def test_fields(log: JsonLog, pipe: Pipe) -> None:
    log.say(Action.REFUSED, level="warning", session="web", trace="t1", strategy=Strategy.RETRY, left=0)
    assert pipe.lines() == [
        {
            "ts": "2023-11-14T22:13:20.250Z",
            "level": "warning",
            "action": "refused",
            "session": "web",
            "trace": "t1",
            "strategy": "retry",
            "left": 0,
        }
    ]


def test_detail_cannot_pose_as_the_head(log: JsonLog, pipe: Pipe) -> None:
    log.say(Action.STARTED, ts="forged")
    assert pipe.lines()[0]["ts"] == "2023-11-14T22:13:20.250Z"


def test_threshold(pipe: Pipe) -> None:
    log = JsonLog(StillClock(), "warning", pipe.writer)
    log.say(Action.STARTED)
    log.say(Action.STARTED, level="debug")
    log.say(Action.STOPPED, level="error")
    log.say(Action.REFUSED, level="no such level")
    assert [line["action"] for line in pipe.lines()] == ["stopped", "refused"]


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("caf\udce9", "caf\\udce9"),
        ("a\nb\x1b[0m", "a\nb\x1b[0m"),
        (float("nan"), "nan"),
        (b"\xff", "b'\\xff'"),
        (OSError(5, "x"), "OSError(5, 'x')"),
        (("a", {"b": None}), ["a", {"b": None}]),
        ({1: frozenset()}, {"1": []}),
        (Unshowable(), "<Unshowable that cannot be shown: RuntimeError>"),
    ],
)
def test_values_are_safe(log: JsonLog, pipe: Pipe, value: object, written: object) -> None:
    log.say(Action.STARTED, value=value)
    assert pipe.lines()[0]["value"] == written


def test_control_characters_reach_no_terminal(log: JsonLog, pipe: Pipe) -> None:
    log.say(Action.STARTED, session="a\x1b]0;x\x07\x9b\u202e\nb")
    raw = os.read(pipe.reader, 1 << 16)
    assert raw.isascii()
    assert raw.endswith(b"\n")
    assert raw[:-1].decode().isprintable()


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


_MORE: dict[str, dict[str, object]] = {
    "none": {},
    "long": {"long": "x" * 9_000},
    "wide": {"wide": list(range(9_000))},
    "both": {"both": ["é" * 900] * 900},
}


@given(st.dictionaries(st.text(min_size=1), _values, max_size=5), st.sampled_from(sorted(_MORE)))
def test_any_detail_makes_one_short_line(detail: dict[str, object], kind: str) -> None:
    more = _MORE[kind]
    reader, writer = os.pipe()
    try:
        JsonLog(StillClock(), descriptor=writer).line("info", "started", detail | more)
        raw = os.read(reader, 1 << 20)
    finally:
        os.close(reader)
        os.close(writer)
    assert len(raw) <= LONGEST_LINE
    assert raw.count(b"\n") == 1
    assert json.loads(raw)["action"] == "started"


def test_cycle(log: JsonLog, pipe: Pipe) -> None:
    knot: list[object] = []
    knot.append(knot)
    log.say(Action.STARTED, knot=knot)
    assert pipe.lines()[0]["action"] == "started"


def test_full_pipe_drops_lines_and_says_so(log: JsonLog, pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, True)
    for _ in range(1_000):
        log.say(Action.STARTED, filler="x" * 1_000)
    written = len(pipe.lines())
    assert 0 < written < 1_000
    log.say(Action.STOPPED)
    log.say(Action.STOPPED)
    last, after = pipe.lines()
    assert last["dropped"] == 1_000 - written
    assert "dropped" not in after


def test_closed_stderr_is_survived() -> None:
    reader, writer = os.pipe()
    log = JsonLog(StillClock(), descriptor=writer)
    os.close(reader)
    log.say(Action.STARTED)
    os.close(writer)
    log.say(Action.STARTED)


def test_a_missing_stderr_is_not_taken_for_another_file(tmp_path: Any) -> None:
    victim = tmp_path / "database"
    code = (
        "import os, sys; from sidecar.clock import SystemClock; from sidecar.edges.logs import JsonLog;"
        "from sidecar.model.record import Action;"
        f"assert os.open({str(victim)!r}, os.O_CREAT | os.O_WRONLY) == 2;"
        "JsonLog(SystemClock()).say(Action.STARTED)"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code], timeout=30, check=False
    )
    assert done.returncode == 0
    assert victim.read_bytes() == b""


@pytest.fixture
def adopted(log: JsonLog) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    adopt_library_logs(log)
    yield
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("adopted")
def test_library_logs_take_the_same_form(pipe: Pipe) -> None:
    logger = logging.getLogger("aiohttp.server")
    logger.info("not told")
    logger.warning("slow: %s", "web")
    try:
        raise ValueError("odd")
    except ValueError:
        logger.exception("it broke")
    slow, broke = pipe.lines()
    assert slow == slow | {"level": "warning", "action": "library", "logger": "aiohttp.server"}
    assert slow["message"] == "slow: web"
    assert broke["level"] == "error"
    assert broke["error"] == "ValueError('odd')"
    assert broke["at"][-1].endswith("test_library_logs_take_the_same_form")


def test_a_misused_logger_is_told_as_it_was_called(log: JsonLog, pipe: Pipe) -> None:
    record = logging.LogRecord("aiohttp", logging.ERROR, __file__, 1, "%d", ("not a number",), None)
    LibraryHandler(log).emit(record)
    assert pipe.lines()[0]["message"] == "%d ('not a number',)"


@pytest.mark.usefixtures("adopted")
def test_warnings_are_told_too(pipe: Pipe) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
    assert "old ways" in pipe.lines()[0]["message"]
