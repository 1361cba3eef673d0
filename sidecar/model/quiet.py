"""What keeps quiet: silences that people ask for, maintenance windows, and an Alertmanager's own silences."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum

from sidecar.model.check import SUBJECT

EVERYTHING = "*"
"""Also the tmux server, the sidecar itself and every check."""
LONGEST = 30 * 86_400.0
"""Seconds; whoever wants it for longer wants another configuration."""
SHORTEST = 1.0


class QuietKind(StrEnum):
    """The ``kind`` label of ``sidecar_silences``."""

    SILENCE = "silence"
    """Asked for by a person."""
    WINDOW = "window"
    """Written in the configuration."""
    ALERTMANAGER = "alertmanager"
    """Made in an Alertmanager that is one of our channels."""


class Day(StrEnum):
    """A day of the week, in the order of ``date.weekday``."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


@dataclass(frozen=True, slots=True)
class Silence:
    """People are not told of something until a time; asked for by a person."""

    id: int
    target: str
    """A session's name, a glob of them, ``check:`` and a glob, or :data:`EVERYTHING`."""
    begun: float
    """Wall seconds."""
    until: float
    """Wall seconds."""
    hold: bool = False
    """Nothing is done about it by itself, either."""
    reason: str = ""
    actor: str = ""
    """Who has asked for it."""

    @property
    def length(self) -> float:
        """Seconds."""
        return self.until - self.begun


@dataclass(frozen=True, slots=True)
class SilenceRequest:
    """What a person asks for."""

    target: str
    seconds: float
    hold: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which people are not told: again and again, or once."""

    name: str
    """Unique; what messages and the log call it."""
    sessions: tuple[str, ...] = (EVERYTHING,)
    """Whom it is about: globs of session names, ``check:`` and a glob of checks, or ``*`` for everything,
    the tmux server and the sidecar itself included."""
    days: frozenset[Day] = frozenset(Day)
    """Days on which it begins: ``mon`` to ``sun``."""
    begins: int | None = None
    """When it begins, as ``02:00``, by the clock of its zone."""
    ends: int | None = None
    """When it ends, as ``04:00`` or ``24:00``; an earlier time than ``from`` is one of the next day."""
    start: float | None = None
    """Instead of ``days``, ``from`` and ``to``, for a window that comes once: when it begins, as
    ``2026-01-31T02:00:00+01:00``; without an offset it is by the clock of the zone."""
    end: float | None = None
    """When a window that comes once ends."""
    zone: str = "local"
    """Time zone, as ``Europe/Berlin``; ``local`` is the machine's own."""
    hold: bool = False
    """Whether nothing is done about the sessions by itself, either, because somebody works on them."""
    reason: str = ""
    """For people: shown wherever the window is."""
    tz: tzinfo = field(default=UTC, compare=False)
    """What ``zone`` means on this machine."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition of an Alertmanager's silence. A label that is not there has the value nothing."""

    label: str
    value: str
    regex: bool = False
    equal: bool = True


@dataclass(frozen=True, slots=True)
class ForeignSilence:
    """A silence of an Alertmanager: alerts that fulfil all its conditions are not told."""

    id: str
    matchers: tuple[Matcher, ...]
    begins: float
    """Wall seconds, by the Alertmanager's clock."""
    until: float
    """Wall seconds."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Hush:
    """What keeps quiet now."""

    kind: QuietKind
    name: str
    """The number of a silence, the name of a window, the id that an Alertmanager has given."""
    targets: tuple[str, ...]
    """Whom it is about; of an Alertmanager's silence, its conditions."""
    until: float
    """Wall seconds."""
    hold: bool = False
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def covers(self, session: str, check: str = "") -> bool:
        """Whether it is about this session, or about this check; neither is the tmux server itself."""
        if self.kind is QuietKind.ALERTMANAGER:
            return False
        subjects = (session, SUBJECT + check) if check else (session,)
        return any(covers(target, subject) for target in self.targets for subject in subjects)


@dataclass(frozen=True, slots=True)
class UnknownTarget:
    """Nothing is called so; ``near`` is what is called almost so."""

    target: str
    near: tuple[str, ...] = ()


def covers(target: str, subject: str) -> bool:
    """Whether a target is about a session, or about a check where the subject begins with ``check:``."""
    if target == EVERYTHING or (target and target == subject):
        return True
    if not is_pattern(target):
        return False
    if target.startswith(SUBJECT) or subject.startswith(SUBJECT):
        return (
            target.startswith(SUBJECT)
            and subject.startswith(SUBJECT)
            and fnmatch.fnmatchcase(subject, target)
        )
    return bool(subject) and fnmatch.fnmatchcase(subject, target)


def among(target: str, sessions: Sequence[str]) -> list[str]:
    """The sessions that a target is about; the same as :func:`covers`, and much faster for many."""
    if target == EVERYTHING or not is_pattern(target) or target in sessions:
        return [name for name in sessions if covers(target, name)]
    # Where names are case-sensitive, as here, this is the same as ``fnmatchcase``.
    return [] if target.startswith(SUBJECT) else list(filter(None, fnmatch.filter(sessions, target)))


def is_pattern(target: str) -> bool:
    """Whether it may be about several, also about those that are not there yet."""
    return any(letter in target for letter in "*?[")
