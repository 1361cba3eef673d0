"""A private tmux server with sessions on it, and a sidecar beside it that can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

from sidecar.edges.tmux.server import find_server

_CALL_SECONDS = 20.0
_START_SECONDS = 30.0
_PAUSE = 0.01


class Unplayable(Exception):
    """What was to happen did not come about in time; the machine may be too slow for it."""


def until(what: str, question: Callable[[], bool], patience: float) -> None:
    """Ask until it is true, for so many seconds.

    Raises:
        Unplayable: it did not become true.
    """
    deadline, pause = time.monotonic() + patience, threading.Event()
    while not question():
        if time.monotonic() > deadline:
            raise Unplayable(f"{what} did not come about within {patience:g} s")
        pause.wait(_PAUSE)


@dataclass(frozen=True, slots=True)
class Stage:
    """A folder of our own, with the socket of a private tmux server in it."""

    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "tmux.sock"

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the caller's own tmux, home or shell reaches the server."""
        kept = {key: value for key, value in os.environ.items() if key not in ("TMUX", "TMUX_PANE")}
        own = {"HOME": str(self.folder), "SHELL": "/bin/bash", "TMUX_TMPDIR": str(self.folder)}
        return {**kept, **own}

    def command(self, *arguments: str) -> list[str]:
        return ["tmux", "-u", "-S", str(self.socket), "-f", "/dev/null", *arguments]

    def tmux(self, *arguments: str, check: bool = True) -> str:
        """One tmux command; its output without the last line's end.

        Raises:
            Unplayable: it failed, and ``check`` is set.
        """
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment, capture_output=True, text=True, timeout=_CALL_SECONDS, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise Unplayable(f"tmux {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.rstrip("\n")

    def lines(self, *arguments: str) -> list[str]:
        """The lines that a tmux command prints; none if it fails."""
        return self.tmux(*arguments, check=False).splitlines()

    def build(self, session: str, programs: Sequence[str]) -> None:
        """A session with one window for each program, a shell command."""
        first, *others = programs
        size = ("-x", "200", "-y", "50")
        self.tmux("new-session", "-d", "-s", session, *size, "bash", "-c", first)
        for program in others:
            self.tmux("new-window", "-d", "-t", f"={session}:", "bash", "-c", program)

    def server(self) -> int:
        """The pid of the server, whether or not its socket answers; 0 if there is none."""
        return find_server(self.socket)


@dataclass(slots=True)
class Service:
    """A sidecar for the stage's server, as a process of its own."""

    stage: Stage
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return self.stage.folder / "state"

    @property
    def database(self) -> Path:
        return self.state / "sidecar.db"

    @property
    def log(self) -> Path:
        return self.stage.folder / "sidecar.log"

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, without waiting for anything."""
        run = [sys.executable, "-m", "sidecar", "run", "--listen", "127.0.0.1:0"]
        where = ["--state", str(self.state), "--tmux-socket-path", str(self.stage.socket)]
        with self.log.open("a") as output:
            self.process = subprocess.Popen(
                [*run, *where, *self.arguments], env=self.stage.environment, stderr=output,
            )  # fmt: skip

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(_START_SECONDS)

    def stop(self) -> None:
        """SIGTERM, and wait for its end; a hung one is killed."""
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def stored(self, sessions: Sequence[str]) -> None:
        """Wait until each of these sessions has a checkpoint.

        Raises:
            Unplayable: the sidecar ended, or took too long.
        """
        until("a checkpoint of each session", lambda: self._stored() >= set(sessions), _START_SECONDS)

    def _stored(self) -> set[str]:
        if self.process is not None and self.process.poll() is not None:
            raise Unplayable(f"the sidecar ended:\n{self.log.read_text()[-2000:]}")
        return {row["session"] for row in self.rows("SELECT DISTINCT session FROM checkpoints")}

    def number(self, query: str) -> float:
        """The one number that the sidecar's database answers; 0 while there is none."""
        return next((float(value) for row in self.rows(query) for value in row.values()), 0.0)

    def metrics(self) -> str:
        """The /metrics page; empty while it does not answer."""
        with contextlib.suppress(OSError):
            address = (self.state / "address").read_text().strip()
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=_CALL_SECONDS) as answer:
                return str(answer.read().decode())
        return ""

    def rows(self, query: str, *values: object) -> list[Mapping[str, Any]]:
        """What the sidecar's database answers; nothing while there is none."""
        with self._book() as book:
            return _answer(book, query, values)

    def await_change(self, query: str, patience: float) -> None:
        """Ask, without a pause, until the answer is another one, or for so many seconds."""
        deadline = time.monotonic() + patience
        with self._book() as book:
            before = _answer(book, query)
            while _answer(book, query) == before and time.monotonic() < deadline:
                os.sched_yield()

    @contextlib.contextmanager
    def _book(self) -> Iterator[sqlite3.Connection | None]:
        if not self.database.exists():
            yield None
            return
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as book:
            book.row_factory = sqlite3.Row
            yield book


def _answer(
    book: sqlite3.Connection | None, query: str, values: Sequence[object] = ()
) -> list[Mapping[str, Any]]:
    if book is None:
        return []
    try:
        return [dict(row) for row in book.execute(query, values)]
    except sqlite3.OperationalError:
        return []


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """A stage as long as the context lasts; nothing of it is left behind."""
    # Not the folder of the caller: a socket's path may have 107 characters at most.
    place = Stage(Path(tempfile.mkdtemp(prefix="sc-chaos-")))
    try:
        yield place
    finally:
        while pid := place.server():
            os.kill(pid, signal.SIGKILL)
        rmtree(place.folder, ignore_errors=True)


@contextlib.contextmanager
def service(place: Stage, *arguments: str) -> Iterator[Service]:
    """A sidecar as long as the context lasts."""
    one = Service(place, arguments)
    one.start()
    try:
        yield one
    finally:
        one.stop()
