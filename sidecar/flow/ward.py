"""What the corridor knows between two looks: who is expected, what ended, who is being healed.

Lives on the event loop alone; nothing here awaits. The durable part is in the book.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sidecar.config import Settings
from sidecar.decide.detect import Expected, carry, instance_of
from sidecar.errors import SidecarError
from sidecar.model.incident import Asker, Broken, Exit, Failure, Finding
from sidecar.model.plan import RefusalReason, Strategy
from sidecar.model.policy import Restore
from sidecar.model.record import Rehearsal, StoredTotals, Usage
from sidecar.model.session import Look, Presence, Session
from sidecar.model.status import Answer

_EXITS_KEPT = 4096
"""Ends of processes that are remembered; the oldest go first."""


@dataclass(slots=True)
class Case:
    """One failure on its way through the pipeline."""

    finding: Finding
    before: Session | None
    """The session with what its broken parts were; None when it is gone."""
    asker: Asker
    strategy: Strategy | None = None
    dry_run: bool = False
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Set once it is decided, which is before the recovery has ended."""

    @property
    def session(self) -> str:
        return self.finding.failure.session

    def reply(self, answer: Answer) -> None:
        """Tell whoever asked; only the first reply counts."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: SidecarError) -> None:
        """Tell whoever asked that there will be no answer, unless there was one."""
        if not self.answer.done():
            self.answer.set_exception(error)
            # Marks it as seen: often nobody has asked.
            self.answer.exception()


@dataclass(frozen=True, slots=True)
class Standstill:
    """A failure about which nothing is done for now, so that it is not decided again at every look."""

    broken: tuple[Broken, ...]
    reason: RefusalReason
    sentence: str
    retry_at: float | None
    """Wall seconds; None: only when something changes or a person asks."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """How the last attempt to read the configuration went."""

    good: bool = True
    at: float = 0.0
    """Wall seconds of the last one that succeeded."""


class Ward:
    """The sessions in our care."""

    def __init__(self, settings: Settings, loaded: float = 0.0) -> None:
        """``loaded`` is when the settings were read, in wall seconds."""
        self.settings = settings
        self.loaded = Loaded(at=loaded)
        self.expected: dict[str, Expected] = {}
        self.released: set[str] = set()
        self.look = Look(Presence.UNKNOWN, 0.0, reason="not looked yet")
        self.exits: dict[int, Exit] = {}
        self.bell_words = ""
        self.cases: dict[str, Case] = {}
        """The lease: whoever has a case here is being healed, and by nobody else."""
        self.standstills: dict[str, Standstill] = {}
        self.totals: Mapping[str, StoredTotals] = {}
        self.usage: Mapping[str, Usage] = {}
        self.rehearsals: dict[str, Rehearsal] = {}
        self.draining = False

    def manages(self, name: str, live: Session | None = None) -> bool:
        """Whether the session may be acted on."""
        opted_out = live is not None and live.opted == "off"
        return self.settings.sessions.manages(name) and not opted_out

    def restore_policy(self, name: str) -> Restore:
        override = self.settings.sessions.overrides.get(name)
        if override is not None and override.restore is not None:
            return override.restore
        entry = self.expected.get(name)
        declared = entry is not None and entry.declared
        return Restore.ALWAYS if declared else self.settings.sessions.restore

    def ladder(self, failure: Failure) -> tuple[Strategy, ...]:
        override = self.settings.sessions.overrides.get(failure.session)
        if override is not None and failure.kind in override.ladder:
            return override.ladder[failure.kind]
        return self.settings.recovery.ladders.get(failure.kind, ())

    def note_exit(self, ended: Exit) -> None:
        self.exits[ended.pid] = ended
        while len(self.exits) > _EXITS_KEPT:
            del self.exits[next(iter(self.exits))]

    def expect(self, look: Look, live: Session, broken: Iterable[Broken] = ()) -> Expected:
        """From now on the session has to be as it is in this look."""
        assert look.server is not None
        previous = self.expected.get(live.name)
        instance = instance_of(look.server, live)
        same = previous is not None and previous.instance == instance
        entry = Expected(
            name=live.name,
            server=look.server,
            session=carry(previous.session if previous and same else None, live, broken),
            instance=instance,
            declared=previous.declared if previous else False,
        )
        self.expected[live.name] = entry
        return entry

    def ask_again(self, now: float) -> None:
        """What was refused until now may be right under other settings. ``now`` is wall seconds."""
        self.standstills = {name: replace(one, retry_at=now) for name, one in self.standstills.items()}

    def stands_still(self, failure: Failure, now: float) -> bool:
        """Whether this very failure was refused, and it is not yet time to ask again."""
        still = self.standstills.get(failure.session)
        if still is None or still.broken != failure.broken:
            return False
        return still.retry_at is None or now < still.retry_at
