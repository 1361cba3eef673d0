"""Busy, healthy sessions in front of which people work at speed: the sidecar has to do nothing at all.

``python -m chaos.healthy --seconds 600`` plays :mod:`chaos.keyboard` on a private tmux server with a
sidecar beside it, and counts what the sidecar did. One action is one too many.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from chaos.keyboard import ACTS, Act, Desk, Unplayable
from sidecar.edges.tmux.server import find_server

_SESSIONS = ("agents", "servers", "training")
_PROGRAMS = (
    "while :; do date; sleep 0.1; done",
    "yes busy | head -c 200000000 > /dev/null; exec sleep 6001",
    "top",
    "read -p 'May I? ' answer",
)
"""What a session is for: printing, computing, showing, waiting for a person."""
_MOST_PANES = 60
_START_SECONDS = 30.0


@dataclass(slots=True)
class Day:
    """What was played, and what the sidecar has made of it."""

    seed: int
    played: Counter[str] = field(default_factory=Counter)
    unplayable: list[str] = field(default_factory=list)
    recoveries: list[str] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    """Incidents that came to more than being dismissed."""
    touched: list[str] = field(default_factory=list)
    """Programs that nobody at the keyboard has touched, and that are not the same any more."""
    came_back: list[str] = field(default_factory=list)
    """Sessions that were closed, and are there."""

    @property
    def quiet(self) -> bool:
        """Whether the sidecar did nothing, and enough was played to say so."""
        noise = (self.recoveries, self.incidents, self.touched, self.came_back)
        return not any(noise) and sum(self.played.values()) > len(self.unplayable)

    def tell(self) -> str:
        """For people."""
        lines = [f"seed {self.seed}: {sum(self.played.values())} acts of {len(self.played)} kinds"]
        lines += [f"  not played to the end: {what}" for what in self.unplayable]
        for what in ("recoveries", "incidents", "touched", "came_back"):
            found: list[str] = getattr(self, what)
            lines.append(f"  {what.replace('_', ' ')}: {len(found)}")
            lines += [f"    {each}" for each in found]
        return "\n".join(lines)


def play(seconds: float, seed: int, acts: Sequence[Act] = ACTS) -> Day:
    """People work for so long, doing each of these acts once in a round."""
    day = Day(seed)
    folder = Path(tempfile.mkdtemp(prefix="sc-healthy-"))
    try:
        with _server(folder, seed) as desk, _sidecar(desk, folder):
            before = _keepers(desk)
            desk.keepers = frozenset(before)
            for session in _SESSIONS:
                desk.attach(session)
            _work(desk, day, acts, time.monotonic() + seconds)
            desk.leave()
            _see(desk, day, before)
        _read(folder / "state" / "sidecar.db", day)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return day


def _work(desk: Desk, day: Day, acts: Sequence[Act], until: float) -> None:
    round_: list[Act] = []
    while time.monotonic() < until:
        round_ = round_ or desk.dice.sample(acts, len(acts))
        act = round_.pop()
        try:
            act(desk, desk.dice.choice(_SESSIONS))
        except Unplayable as error:
            day.unplayable.append(f"{act.__name__}: {error}")
        day.played[act.__name__] += 1
        _tidy(desk)


def _tidy(desk: Desk) -> None:
    """Nobody keeps hundreds of panes open."""
    panes = desk.lines("list-panes", "-a", "-F", "#{pane_id}")
    spare = [pane for pane in panes if pane not in desk.keepers]
    if len(panes) > _MOST_PANES:
        for pane in desk.dice.sample(spare, len(panes) - _MOST_PANES // 2):
            desk.tmux("kill-pane", "-t", pane, check=False)


def _keepers(desk: Desk) -> dict[str, str]:
    """The panes that are there, each with its process."""
    return dict(line.split(" ", 1) for line in desk.lines("list-panes", "-a", "-F", "#{pane_id} #{pane_pid}"))


def _see(desk: Desk, day: Day, before: dict[str, str]) -> None:
    after = _keepers(desk)
    day.touched = [f"{pane}: process {pid}, now {after.get(pane)}" for pane, pid in before.items()
                   if after.get(pane) != pid]  # fmt: skip
    names = desk.lines("list-sessions", "-F", "#{session_name}")
    day.came_back = [name for name in names if name not in _SESSIONS]


def _read(database: Path, day: Day) -> None:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as book:
        day.recoveries = [
            str(row) for row in book.execute("SELECT session, cause, strategy, verdict FROM recoveries")
        ]
        day.incidents = [
            str(row)
            for row in book.execute(
                "SELECT session, failure, cause, state, reason, evidence FROM incidents"
                " WHERE state <> 'dismissed'"
            )
        ]


@contextlib.contextmanager
def _server(folder: Path, seed: int) -> Iterator[Desk]:
    kept = {key: value for key, value in os.environ.items() if key not in ("TMUX", "TMUX_PANE")}
    environment = {**kept, "HOME": str(folder), "SHELL": "/bin/bash", "TMUX_TMPDIR": str(folder)}
    desk = Desk(folder / "tmux.sock", environment, random.Random(seed))
    try:
        for session in _SESSIONS:
            desk.tmux("new-session", "-d", "-s", session, "-x", "200", "-y", "50", "bash", "-c", _PROGRAMS[0])
            for program in _PROGRAMS[1:]:
                desk.tmux("new-window", "-d", "-t", f"={session}:", "bash", "-c", program)
        yield desk
    finally:
        desk.leave()
        if pid := find_server(desk.socket):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _sidecar(desk: Desk, folder: Path) -> Iterator[None]:
    log = folder / "sidecar.log"
    with log.open("w") as output:
        service = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "run", "--listen", "127.0.0.1:0",
             "--state", str(folder / "state"), "--tmux-socket-path", str(desk.socket)],
            env=desk.environment, stderr=output,
        )  # fmt: skip
    try:
        _adopted(folder / "state" / "sidecar.db", service, log)
        yield
    finally:
        service.terminate()
        service.wait(_START_SECONDS)


def _adopted(database: Path, service: subprocess.Popen[bytes], log: Path) -> None:
    deadline, pause = time.monotonic() + _START_SECONDS, threading.Event()
    while not _all_stored(database):
        if service.poll() is not None or time.monotonic() > deadline:
            raise click.ClickException(f"the sidecar did not come up:\n{log.read_text()[-2000:]}")
        pause.wait(0.05)


def _all_stored(database: Path) -> bool:
    if not database.exists():
        return False
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as book:
        try:
            stored = {name for (name,) in book.execute("SELECT DISTINCT session FROM checkpoints")}
        except sqlite3.OperationalError:
            return False
    return stored >= set(_SESSIONS)


@click.command()
@click.option("--seconds", default=600.0, help="How long people work.")
@click.option(
    "--seed", type=int, default=None, help="Which day is played; another one each time if left out."
)
def main(seconds: float, seed: int | None) -> None:
    """Let people work at healthy sessions, and count what the sidecar does. Fails if it does anything."""
    day = play(seconds, random.randrange(10**6) if seed is None else seed)
    click.echo(day.tell())
    sys.exit(0 if day.quiet else 1)


if __name__ == "__main__":
    main()
