"""Injures real sessions again and again, kills the sidecar in the middle of it, and checks what came of it.

``python -m chaos.soak --injuries 500 --seed 7``: each round does one injury to sessions on a private
tmux server, kills the sidecar at a random moment of the recovery (``--kills`` is the share of rounds),
starts it again, and waits until every session is whole: the same windows and panes, each with the
program that belongs there, none of them twice. At the end the history checker reads the database.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import click

from chaos.checker import check
from chaos.injuries import INJURIES, Injury
from chaos.stage import Service, Stage, Unplayable, service, stage, until

SESSIONS = ("agents", "servers", "training")
_PANES = 3
_WINDOWS = 2
_FIRST_PROGRAM = 70_000
_HEAL_SECONDS = 15.0
_LATEST_KILL = 0.4
"""Seconds after the injury; recoveries here take some tens of milliseconds."""
_CONFIG = """\
sessions: {restore: always}
checkpoints: {interval: 1s, rehearse: off}
recovery:
  budget: {per_session: 100000 per 1h, global: 100000 per 1h}
  circuit: {failure_threshold: 1000}
"""
"""The budgets are the soak's own: what it does in a minute is a year of an operator's life."""


@dataclass(slots=True)
class Tally:
    """What happened so far."""

    seed: int
    injuries: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """From the injury to whole again, by injury; only of rounds without a kill."""
    misses: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What the history checker found."""

    @property
    def good(self) -> bool:
        return not self.misses and not self.faults and bool(self.injuries)

    def tell(self) -> str:
        """For people."""
        lines = [f"seed {self.seed}: {self.injuries.total()} injuries, {self.kills} kills of the sidecar"]
        for name, count in sorted(self.injuries.items()):
            took = self.seconds[name]
            times = f", whole again in {_spread(took)}" if took else ""
            lines.append(f"  {name.replace('_', ' ')}: {count}{times}")
        lines.append(f"  not whole again: {len(self.misses)}")
        lines += [f"    {miss}" for miss in self.misses]
        lines.append(f"  faults in the history: {len(self.faults)}")
        lines += [f"    {fault}" for fault in self.faults]
        return "\n".join(lines)


def _spread(seconds: Sequence[float]) -> str:
    high = quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
    return f"{median(seconds) * 1000:.0f} ms (median), {high * 1000:.0f} ms (95 %)"


def soak(injuries: int, kills: float, seed: int, kinds: Sequence[Injury] = INJURIES) -> Tally:
    """Injure so many times; ``kills`` is the share of rounds in which the sidecar is killed too."""
    tally, dice = Tally(seed), random.Random(seed)
    with stage() as place:
        _build(place)
        config = place.folder / "config.yml"
        config.write_text(_CONFIG)
        with service(place, "--config", str(config)) as sidecar:
            sidecar.stored(SESSIONS)
            until("every program", lambda: len(_programs(place)) == len(_shape(place)), _HEAL_SECONDS)
            wanted = _shape(place)
            for _ in range(injuries):
                try:
                    _round(sidecar, tally, dice, dice.choice(kinds), kills, wanted)
                except Unplayable as error:
                    tally.misses.append(str(error))
                    break
        tally.faults = [str(fault) for fault in check(sidecar.state)]
    return tally


def _build(place: Stage) -> None:
    """Every pane has a program of its own, which is known by its number."""
    number = iter(range(_FIRST_PROGRAM, _FIRST_PROGRAM + 1000))
    for session in SESSIONS:
        place.build(session, [f"exec sleep {next(number)}" for _ in range(_WINDOWS)])
        for window in range(_WINDOWS):
            for _ in range(_PANES - 1):
                place.tmux("split-window", "-d", "-t", f"={session}:{window}", f"exec sleep {next(number)}")


def _round(
    sidecar: Service, tally: Tally, dice: random.Random, injury: Injury, kills: float, wanted: list[str]
) -> None:
    place, name = sidecar.stage, injury.__name__
    began = time.monotonic()
    injury(place, dice)
    tally.injuries[name] += 1
    killed = dice.random() < kills
    if killed:
        time.sleep(dice.uniform(0.0, _LATEST_KILL))
        sidecar.kill()
        tally.kills += 1
        sidecar.start()
    try:
        until("whole sessions", lambda: _whole(place, wanted), _HEAL_SECONDS)
    except Unplayable:
        found = _difference(place, wanted)
        story = _last_words(sidecar)
        raise Unplayable(f"injury {tally.injuries.total()}, {name}: {found}\n{story}") from None
    if not killed:
        tally.seconds[name].append(time.monotonic() - began)
    until(f"a sidecar at rest after {name}", lambda: _at_rest(sidecar), _HEAL_SECONDS)


def _shape(place: Stage) -> list[str]:
    """Every pane with its place and what really runs there."""
    form = "#{session_name}:#{window_index}.#{pane_index} #{pane_pid}"
    panes = (line.split() for line in place.lines("list-panes", "-a", "-F", form))
    return sorted(f"{where} {_command_line(pid)}" for where, pid in panes)


def _command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def _whole(place: Stage, wanted: list[str]) -> bool:
    return not _difference(place, wanted)


def _difference(place: Stage, wanted: list[str]) -> str:
    """What is not as it has to be; nothing if all is."""
    found, runs = Counter(_shape(place)), Counter(_programs(place))
    missing, surplus = Counter(wanted) - found, found - Counter(wanted)
    twice = [program for program, times in runs.items() if times > 1]
    if missing or surplus or twice or len(runs) != len(wanted):
        return (
            f"missing {sorted(missing)}, too much {sorted(surplus)}, twice {twice}, {len(runs)} programs run"
        )
    return ""


def _programs(place: Stage) -> list[str]:
    """The command line of every program of ours that runs, wherever it does."""
    marker = f"HOME={place.folder}".encode()
    return [
        line
        for pid in filter(str.isdigit, os.listdir("/proc"))
        if (line := _command_line(pid)).startswith("sleep 7") and _has(pid, marker)
    ]


def _has(pid: str, variable: bytes) -> bool:
    try:
        return variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _last_words(sidecar: Service) -> str:
    """The end of the audit trail, newest last."""
    rows = sidecar.rows("SELECT action, session, actor, reason, detail FROM audit ORDER BY id DESC LIMIT 12")
    return "\n".join(f"      {' '.join(map(str, row.values()))[:400]}" for row in reversed(rows))


def _at_rest(sidecar: Service) -> bool:
    """Nothing is being recovered, and what is there is stored and expected."""
    [waiting] = sidecar.rows("SELECT count(*) AS n FROM incidents WHERE closed IS NULL") or [{"n": 1}]
    [running] = sidecar.rows("SELECT count(*) AS n FROM recoveries WHERE state = 'running'") or [{"n": 1}]
    return not waiting["n"] and not running["n"]


@click.command()
@click.option("--injuries", default=500, help="How many.")
@click.option("--kills", default=1.0, help="Share of rounds in which the sidecar is killed too, 0 to 1.")
@click.option(
    "--seed", type=int, default=None, help="Which soak is played; another one each time if left out."
)
def main(injuries: int, kills: float, seed: int | None) -> None:
    """Injure sessions and kill the sidecar. Fails if a session is not whole again, or the history is not."""
    tally = soak(injuries, kills, random.randrange(10**6) if seed is None else seed)
    click.echo(tally.tell())
    sys.exit(0 if tally.good else 1)


if __name__ == "__main__":
    main()
