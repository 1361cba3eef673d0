"""Health checks: what is asked, how often, when it counts as failing, and what is done then."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidecar.model.heal import Heal, PaneTarget, target_of
from sidecar.model.probe import Probe

SUBJECT = "check:"
"""What stands before the name of a check where it is the subject of an incident: no session is called so,
since tmux has no colon in names."""


DEFAULTS = frozenset({"memory", "disk", "programs", "sidecar", "store", "loop"})
"""The families of checks that come without being configured."""


def family(name: str) -> str:
    """What a default is called in the configuration: ``disk`` for ``disk:/srv``."""
    return name.partition(":")[0]


def name_of(subject: str) -> str:
    """The name of the check that is the subject; empty where that is a session."""
    return subject.removeprefix(SUBJECT) if subject.startswith(SUBJECT) else ""


class CheckState(StrEnum):
    """How a check stands."""

    STARTING = "starting"
    """Within its grace, or not asked yet."""
    PASSING = "passing"
    SUSPECT = "suspect"
    """It has failed, and not yet often enough to count."""
    FAILING = "failing"
    HEALING = "healing"
    GIVEN_UP = "given_up"
    """Its heals did not help; a person was called."""
    UNKNOWN = "unknown"
    """It could not be asked."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check."""

    name: str
    """What it is called in metrics, incidents and notices: up to 60 letters, digits and ``_ . -``."""
    probe: Probe
    """What is asked: one key of probes.md."""
    heal: tuple[Heal, ...] = ()
    """What is done, one of heals.md or a list of them: the next one where the one before it did not help,
    the last one again. Without it a person is told."""
    session: str = ""
    """The session that it is about, if its heal does not name one already: while that is not there the check
    is not asked."""
    interval: float = 30.0
    """Seconds between two tries, give or take a tenth."""
    retry_interval: float = 1.0
    """Seconds until a failed try is repeated."""
    timeout: float = 10.0
    """Seconds that a try may take in all."""
    after: int = 3
    """Failures in a row before it counts as failing. A refused port and a process that does not run leave no
    doubt: they count at once."""
    recovers: int = 1
    """Successes in a row before it counts as passing again."""
    grace: float = 0.0
    """Seconds after the start of the sidecar, and after each heal, in which a failure does not count. What is
    started in a pane has at least 10 s."""
    tries: int = 3
    """Heals in a row that have not helped before none is tried any more and a person is called."""
    off: bool = False
    """Whether it is not asked. To switch a default off, its name and this are enough."""
    built_in: bool = False
    """Whether it came without being configured."""
    shown_only: bool = False
    """Whether it is no failure when it does not pass: what it is about is found and healed elsewhere."""

    @property
    def slow_from(self) -> float:
        return self.timeout / 2

    @property
    def about(self) -> str:
        """The session that has to be there for it to say anything; empty if none has."""
        target = self.target
        return self.session or (target.session if target else "")

    @property
    def target(self) -> PaneTarget | None:
        """The pane that its heals work on, if any of them works on one."""
        return next((one for one in map(target_of, self.heal) if one is not None), None)

    @property
    def subject(self) -> str:
        """Whose lease a heal takes: the session that it works on, or the check itself."""
        return self.about or SUBJECT + self.name


@dataclass(frozen=True, slots=True)
class CheckRow:
    """What is remembered of a check across restarts."""

    name: str
    failing: bool
    vain: int
    """Heals in a row that have not helped."""
    at: float
    """Wall seconds of the last change."""


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """How a check stands, for people."""

    check: Check
    state: CheckState
    since: float
    """Wall seconds."""
    fact: str = ""
    """What the last try found; empty before the first."""
    took: float = 0.0
    """Seconds that it took."""
    next_try: float = 0.0
    """Wall seconds, as far as it is known; 0 while it is being asked."""
    vain: int = 0
    """Heals in a row that have not helped."""
