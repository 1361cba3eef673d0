"""Busy, healthy sessions in front of which people work at speed: the sidecar has to do nothing at all.

``python -m chaos.healthy --seconds 600`` plays :mod:`chaos.keyboard` on a private tmux server with a
sidecar beside it, and counts what the sidecar did. One action is one too many. With ``--declared`` the
sessions are declared, and heartbeat rules ask about them all the time.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from chaos.keyboard import ACTS, Act, Desk
from chaos.stage import Service, Stage, Unplayable, service, stage

_SESSIONS = ("agents", "servers", "training")
_PROGRAMS = (
    "while :; do date; sleep 0.1; done",
    "yes busy | head -c 200000000 > /dev/null; exec sleep 6001",
    "top",
    "read -p 'May I? ' answer",
)
"""What a session is for: printing, computing, showing, waiting for a person."""
_MOST_PANES = 60


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


def play(seconds: float, seed: int, acts: Sequence[Act] = ACTS, *, declared: bool = False) -> Day:
    """People work for so long, doing each of these acts once in a round.

    In ``declared`` sessions, under heartbeat rules, as in others: what people change in them is no damage.
    """
    day = Day(seed)
    with stage() as place, _answering() as address:
        for session in _SESSIONS:
            place.build(session, _PROGRAMS)
        arguments = ("--config", str(_declare(place, address))) if declared else ()
        with service(place, *arguments) as sidecar:
            sidecar.stored(_SESSIONS)
            before = _programs(place)
            desk = Desk(place, random.Random(seed), keepers=frozenset(before))
            try:
                _work(desk, day, acts, time.monotonic() + seconds)
            finally:
                desk.leave()
            _see(place, day, before)
        _read(sidecar, day)
    return day


@contextlib.contextmanager
def _answering() -> Iterator[str]:
    """The address of something that is well, for rules that ask."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Well)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Well(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def _declare(place: Stage, address: str) -> Path:
    """Workspace files that say of each session what is there now, and rules that ask all the time."""
    folder = place.folder / "workspaces"
    folder.mkdir()
    for session in _SESSIONS:
        windows = [f"- window_index: {number}\n  panes: [null]\n" for number in range(len(_PROGRAMS))]
        text = f"session_name: {session}\nwindows:\n{''.join(windows)}"
        (folder / f"{session}.yaml").write_text(text)
    file = place.folder / "config.yml"
    asked = {"http": f"http://{address}/"}, {"tcp": address}, {"command": ["true"]}
    often = {
        "session": "*",
        "interval": "3s",
        "timeout": "2s",
        "grace": "0s",
        "may": ["interrupt", "respawn"],
    }
    rules = [{**often, **each} for each in asked]
    file.write_text(json.dumps({"sessions": {"workspaces": [str(folder)]}, "heartbeats": rules}))
    return file


def _work(desk: Desk, day: Day, acts: Sequence[Act], until: float) -> None:
    for session in _SESSIONS:
        desk.attach(session)
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


def _programs(place: Stage) -> dict[str, str]:
    """The panes that live, each with its process."""
    living = "#{==:#{pane_dead},0}"
    panes = place.lines("list-panes", "-a", "-f", living, "-F", "#{pane_id} #{pane_pid}")
    return {line.split()[0]: line.split()[1] for line in panes}


def _see(place: Stage, day: Day, before: Mapping[str, str]) -> None:
    after = _programs(place)
    changed = {pane: pid for pane, pid in before.items() if after.get(pane) != pid}
    day.touched = [f"{pane}: process {pid}, now {after.get(pane)}" for pane, pid in changed.items()]
    names = place.lines("list-sessions", "-F", "#{session_name}")
    day.came_back = [name for name in names if name not in _SESSIONS]


def _read(sidecar: Service, day: Day) -> None:
    done = sidecar.rows("SELECT session, cause, strategy, verdict FROM recoveries")
    found = sidecar.rows(
        "SELECT session, failure, cause, state, reason, evidence FROM incidents WHERE state <> 'dismissed'"
    )
    day.recoveries, day.incidents = list(map(str, done)), list(map(str, found))


@click.command()
@click.option("--seconds", default=600.0, help="How long people work.")
@click.option(
    "--seed", type=int, default=None, help="Which day is played; another one each time if left out."
)
@click.option("--declared", is_flag=True, help="In declared sessions, under heartbeat rules.")
def main(seconds: float, seed: int | None, declared: bool) -> None:
    """Let people work at healthy sessions, and count what the sidecar does. Fails if it does anything."""
    day = play(seconds, random.randrange(10**6) if seed is None else seed, declared=declared)
    click.echo(day.tell())
    sys.exit(0 if day.quiet else 1)


if __name__ == "__main__":
    main()
