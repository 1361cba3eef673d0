"""Numbers and words that steer decisions. All durations in seconds, all sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Restore(StrEnum):
    """When a lost session comes back."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class Shape(StrEnum):
    """How far a living declared session is held to its workspace file."""

    OFF = "off"
    """Not at all."""
    CAREFUL = "careful"
    """What was seen standing, and went by evidence of damage, comes back; people's changes stay."""
    STRICT = "strict"
    """The file is law: whoever changed it, and as soon as nobody is attached."""


class Mode(StrEnum):
    """``observe`` decides everything and does nothing."""

    AUTO = "auto"
    OBSERVE = "observe"


class Jitter(StrEnum):
    """``full``: the delay is uniform between zero and the computed one."""

    FULL = "full"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff for temporary errors."""

    max_attempts: int = 3
    """How often a step is tried in all."""
    initial_delay: float = 0.2
    """Seconds before the second attempt."""
    max_delay: float = 60.0
    """Seconds that no delay goes beyond."""
    base: float = 2.0
    """Each delay is this many times the one before."""
    jitter: Jitter = Jitter.FULL
    """``full`` waits a random share of the delay, ``none`` all of it."""
    max_total: float = 300.0
    """Seconds after the first attempt at a step, past which no other one is begun."""


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a circuit opens, and how it closes again."""

    failure_threshold: int = 5
    """Failures within the window that open the circuit, however many calls went well."""
    window: float = 60.0
    """Seconds that a call counts."""
    recovery_timeout: float = 60.0
    """Seconds that an open circuit lets nothing through; then it is probed. A probe that has not reported
    back after as long has lost its permit."""
    minimum_calls: int = 10
    """Calls within the window before a share of them says anything."""
    failure_rate: float = 0.5
    """Share of failed calls that opens the circuit."""
    slow_call: float = 60.0
    """Seconds from which on a call counts as slow."""
    slow_rate: float = 1.0
    """Share of slow calls that opens the circuit."""
    probes: int = 1
    """Calls that a half-open circuit lets through in all; once so many went well, it closes."""


class Circuit(StrEnum):
    """The ``state`` label of ``sidecar_circuit_state``."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Call:
    """How one call through a circuit ended."""

    at: float
    failed: bool
    slow: bool = False
    target: str = ""
    """What it was for, where one circuit serves many; only the last call for each counts."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A permit of a half-open circuit, until its holder reports back or its time is over."""

    holder: str
    until: float


@dataclass(frozen=True, slots=True)
class BreakerState:
    """One circuit, as a value. Times are wall seconds, so that it survives a restart."""

    circuit: Circuit = Circuit.CLOSED
    calls: tuple[Call, ...] = ()
    """Those within the window, oldest first."""
    opened: float = 0.0
    forced: bool = False
    """A person has opened it: it stays open until a person closes it."""
    leases: tuple[Lease, ...] = ()
    """Half-open: the permits that are out."""
    proven: int = 0
    """Half-open: the probes that went well."""
    used: float = 0.0
    """When a call last began to probe it, or ended."""

    @property
    def failures(self) -> int:
        """Failed calls that it remembers."""
        return sum(call.failed for call in self.calls)


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``count`` recoveries in ``period`` seconds."""

    count: int
    period: float


@dataclass(frozen=True, slots=True)
class AtOnce:
    """How many incidents may be worked at once: a count or a share of the sessions, whichever is more."""

    count: int = 4
    share: float = 0.1

    def __str__(self) -> str:
        words = (str(self.count) if self.count else "", f"{self.share * 100:g}%" if self.share else "")
        return " or ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class Retention:
    """Which generations of a session are kept."""

    latest: int = 20
    hourly_for: float = 86_400.0
    max_age: float = 7 * 86_400.0
    max_bytes: int = 100_000_000
    days: bool = True
    """Whether the newest of each day is kept for ``max_age``."""


@dataclass(frozen=True, slots=True)
class ResumeRule:
    """How a program that ran in a shell comes back.

    ``match`` is a regular expression on the shell-quoted argv. ``command`` may use ``{argv}`` (the
    argv, quoted), ``{id}`` (the id of the conversation that it was holding) and, of a known agent,
    ``{program}`` (the words up to its name, as run) and ``{flags}`` (its other arguments, without its
    prompt and what named the conversation). When ``{id}`` is wanted and none is known, ``fallback``
    is used, unless another pane shares the folder; without one the command line is held.
    """

    match: str
    """Regular expression, searched in the shell-quoted command line that ran."""
    command: str
    """The command line that brings the program back."""
    fallback: str = ""
    """The command line where ``command`` wants an ``{id}`` and there is none."""
    heavy: bool = False
    """Started in its turn (``recovery.starts``) and not at once; known agents are always."""
