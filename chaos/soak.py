"""Injures real sessions again and again, kills the sidecar in the middle of it, and checks what came of it.

``python -m chaos.soak --injuries 500 --seed 7``: each round does one injury to sessions on a private
tmux server, kills the sidecar at a random moment of the recovery (``--kills`` is the share of rounds),
starts it again, and waits until every session is whole: the same windows and panes, each with the
program that belongs there, none of them twice. After a miss it goes on, with a server and a sidecar of
their own. Whatever was played ends before the history checker, with the counters of the /metrics page.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

import click

from chaos import wholeness
from chaos.checker import check
from chaos.injuries import INJURIES, Injury
from chaos.stage import Service, Unplayable, service, stage, until

_HEAL_SECONDS = 60.0
_SETTLE_SECONDS = 10.0
"""How long what was counted may lag behind its rows."""
_LATEST_KILL = 0.4
"""Seconds after the injury; recoveries here take some tens of milliseconds."""
_LATEST_AGAIN = 2.0
"""Seconds after it was started again."""
_AIMED = 0.5
"""The share of the kills that wait for an incident, or for a recovery that is taken up."""
_KILL_WITHIN = 0.03
"""Seconds after that."""
_AGAIN = 0.2
"""The share of the kills that are followed by another one, in the middle of what is taken up."""
_TOLD_EVERY = 25
_MOST_MISSES = 20
_LAST_WORDS = 14
_WIDTH = 400
_TOLD_AGAIN = 0.2
_RUNNING = "SELECT count(*) FROM recoveries WHERE state = 'running'"
_WAITING = "SELECT count(*) FROM incidents WHERE closed IS NULL"
_BEGINNINGS = "SELECT (SELECT count(*) FROM incidents) + (SELECT total(resumed) FROM recoveries)"
_TRAIL = "SELECT action, session, actor, reason, detail FROM audit ORDER BY id DESC LIMIT ?"
_CONFIG = """\
sessions: {restore: always}
checkpoints: {interval: 1s, rehearse: off}
recovery:
  budget: {per_session: 100000 per 1h, global: 100000 per 1h}
  circuit: {failure_threshold: 1000}
"""
"""The budgets are the soak's own: what it does in a minute is a year of an operator's life."""

Tell = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """What happened so far."""

    seed: int
    injuries: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    amid: int = 0
    """Kills that left an incident open, or a recovery half done."""
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """From the injury to whole again, by injury; only of rounds without a kill."""
    misses: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """What the history checker found."""

    @property
    def good(self) -> bool:
        return not self.misses and not self.faults and bool(self.injuries)

    def head(self) -> str:
        """In one line, for people."""
        kills = f"{self.kills} kills of the sidecar, {self.amid} of them in the middle of a recovery"
        found = f"{len(self.misses)} not whole again, {len(self.faults)} faults in the history"
        return f"seed {self.seed}: {self.injuries.total()} injuries, {kills}; {found}"

    def tell(self) -> str:
        """All of it, for people."""
        lines = [self.head()]
        for name, count in sorted(self.injuries.items()):
            took = self.seconds[name]
            times = f", whole again in {_spread(took)}" if took else ""
            lines.append(f"  {name.replace('_', ' ')}: {count}{times}")
        return "\n".join([*lines, *self.misses, *self.faults])


def _spread(seconds: Sequence[float]) -> str:
    high = quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
    return f"{median(seconds) * 1000:.0f} ms (median), {high * 1000:.0f} ms (95 %)"


@dataclass(frozen=True, slots=True)
class Soak:
    """What is played, and how it is told."""

    injuries: int
    kills: float
    """The share of rounds in which the sidecar is killed too."""
    seed: int
    kinds: Sequence[Injury] = INJURIES
    tell: Tell = lambda line: None
    patience: float = _HEAL_SECONDS
    """Seconds that sessions have to become whole."""

    def play(self) -> Tally:
        """All of it, on a stage of its own after each miss."""
        tally, dice = Tally(self.seed), random.Random(self.seed)
        while tally.injuries.total() < self.injuries and len(tally.misses) < _MOST_MISSES:
            self._on_one_stage(tally, dice)
        return tally

    def _on_one_stage(self, tally: Tally, dice: random.Random) -> None:
        with stage() as place:
            wholeness.build(place)
            config = place.folder / "config.yml"
            config.write_text(_CONFIG)
            with service(place, "--config", str(config)) as sidecar:
                until("every program", lambda: wholeness.started(place), _HEAL_SECONDS)
                sidecar.stored(wholeness.SESSIONS)
                until("armed windows", lambda: wholeness.kept(place), self.patience)
                wanted = wholeness.shape(place)
                while tally.injuries.total() < self.injuries:
                    if not self._round(sidecar, tally, dice, wanted):
                        break
                tally.faults += _faults(sidecar)

    def _round(self, sidecar: Service, tally: Tally, dice: random.Random, wanted: Sequence[str]) -> bool:
        """One injury; whether all was well in the end."""
        injury, began = dice.choice(self.kinds), time.monotonic()
        tally.injuries[injury.__name__] += 1
        try:
            injury(sidecar.stage, dice)
            killed = dice.random() < self.kills
            if killed:
                _kill(sidecar, tally, dice)
            until("whole sessions", lambda: wholeness.whole(sidecar.stage, wanted), self.patience)
            if not killed:
                tally.seconds[injury.__name__].append(time.monotonic() - began)
            until("a sidecar at rest", lambda: _at_rest(sidecar), self.patience)
            until("armed windows", lambda: wholeness.kept(sidecar.stage), self.patience)
        except Unplayable as error:
            what = f"injury {tally.injuries.total()}, {injury.__name__}: {error}"
            found = wholeness.difference(sidecar.stage, wanted) or "all is there"
            tally.misses.append(f"{what}\n    {found}\n{_last_words(sidecar)}")
            self.tell(tally.misses[-1])
            return False
        if not tally.injuries.total() % _TOLD_EVERY:
            self.tell(tally.head())
        return True


def _kill(sidecar: Service, tally: Tally, dice: random.Random) -> None:
    """At some moment after the injury, or soon after something was found broken; and start it again."""
    _kill_within(sidecar, tally, dice, _LATEST_KILL)
    while dice.random() < _AGAIN:
        _kill_within(sidecar, tally, dice, _LATEST_AGAIN)


def _kill_within(sidecar: Service, tally: Tally, dice: random.Random, latest: float) -> None:
    if dice.random() < _AIMED:
        sidecar.await_change(_BEGINNINGS, latest)
        latest = _KILL_WITHIN
    time.sleep(dice.uniform(0.0, latest))
    sidecar.kill()
    tally.kills += 1
    tally.amid += bool(sidecar.number(_RUNNING) or sidecar.number(_WAITING))
    sidecar.start()


def _at_rest(sidecar: Service) -> bool:
    """Nothing is being recovered, nothing waits, and it answers."""
    return not sidecar.number(_RUNNING) and not sidecar.number(_WAITING) and bool(sidecar.metrics())


def _faults(sidecar: Service) -> list[str]:
    """What the history checker finds in the end; a row and its count may be a moment apart."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        faults = [f"    {fault}" for fault in check(sidecar.state, metrics=sidecar.metrics() or None)]
        if not faults or time.monotonic() > deadline:
            return faults
        time.sleep(_TOLD_AGAIN)


def _last_words(sidecar: Service) -> str:
    """The end of the audit trail and of the log, newest last, and whether the sidecar runs at all."""
    rows = sidecar.rows(_TRAIL, _LAST_WORDS)
    trail = [" ".join(map(str, row.values())) for row in reversed(rows)]
    log = sidecar.log.read_text().splitlines()[-_LAST_WORDS:]
    running = f"the sidecar {'runs' if sidecar.runs else 'does not run'}; its log:"
    return "\n".join(f"      {line[:_WIDTH]}" for line in [*trail, running, *log])


@click.command()
@click.option("--injuries", default=500, help="How many.")
@click.option("--kills", default=1.0, help="Share of rounds in which the sidecar is killed too, 0 to 1.")
@click.option(
    "--seed", type=int, default=None, help="Which soak is played; another one each time if left out."
)
def main(injuries: int, kills: float, seed: int | None) -> None:
    """Injure sessions and kill the sidecar. Fails if a session is not whole again, or the history is not."""
    # Whoever ends it early finds nothing left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = random.randrange(10**6) if seed is None else seed
    click.echo(f"seed {seed}")
    tally = Soak(injuries, kills, seed, tell=click.echo).play()
    click.echo(tally.tell())
    sys.exit(0 if tally.good else 1)


if __name__ == "__main__":
    main()
