"""Heartbeats: what a program has to do to count as alive, and what may be done about one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from sidecar.model.aim import points_at
from sidecar.model.probe import CommandProbe, DnsProbe, HttpProbe, Probe, TcpProbe


class May(StrEnum):
    """What a rule lets be done about a program that misses its heartbeat, beyond saying so."""

    INTERRUPT = "interrupt"
    RESPAWN = "respawn"


class StackSignal(StrEnum):
    """Signals by which a program may be asked to print its stacks."""

    USR1 = "USR1"
    USR2 = "USR2"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One rule. Its conditions must all hold at once before the program has missed its heartbeat."""

    session: str
    """Glob of session names."""
    name: str = ""
    """What it is called in metrics and evidence; by default ``heartbeats[0]`` and so on."""
    window: str = ""
    """Glob of window names, or a window's index; by default every window."""
    pane: int | None = None
    """Index of the pane within its window; by default every pane."""
    output_age: float | None = None
    """It has printed nothing for so long. At least 10 s: the kernel tells of output to within 8 s."""
    cpu_flat: float | None = None
    """It and all that it has started have used less than 1 % of a processor for so long."""
    io_flat: float | None = None
    """It and all that it has started have read and written nothing for so long."""
    command: CommandProbe | None = None
    """An argument list, run without a shell and with little environment, that does not end with 0.
    ``SIDECAR_SESSION`` names the session. Cut off after ``timeout`` or 64 KiB of output."""
    http: HttpProbe | None = None
    """A URL that does not answer 200 to 299; or a mapping with ``url``, ``status`` (a list of those that are
    right), ``match`` (a regular expression, searched in the first 64 KiB of the body), ``redirects``
    (``never``, ``same_origin``, ``anywhere``; by default ``same_origin``) and ``verify`` (certificates)."""
    tcp: TcpProbe | None = None
    """``HOST:PORT`` that takes no connection."""
    dns: DnsProbe | None = None
    """A name that is not resolved; or a mapping with ``name``, ``server`` (an IP address, with or without a
    port; by default those of this machine) and ``type`` (by default ``A``)."""
    interval: float = 30.0
    """Seconds between two measurements, give or take a tenth."""
    retry_interval: float = 1.0
    """Seconds until a failed probe is repeated; twice as long each time, up to ``interval``, where the fault
    may pass by itself."""
    timeout: float = 10.0
    """Seconds that a probe may take in all."""
    after: int = 3
    """Failures in a row before a probe counts as failed."""
    slow: float | None = None
    """Seconds from which on a probe that succeeds counts as slow; by default half of ``timeout``."""
    grace: float = 30.0
    """Seconds after its start in which a program is not judged."""
    may: tuple[May, ...] = ()
    """What may be done about it, after a checkpoint: ``interrupt`` (Ctrl-C), and ``respawn``, which ends it
    and starts it again. By default it is only reported."""
    stack_signal: StackSignal | None = None
    """``USR1`` or ``USR2``: sent to the program when it misses its heartbeat, before anything is done about
    it. With ``faulthandler.register(signal.SIGUSR1, all_threads=True)`` in it, its stacks are printed, and so
    kept with the incident. Only Python processes get it that handle it: others would end by it."""

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What it asks."""
        return tuple(one for one in (self.command, self.http, self.tcp, self.dns) if one is not None)

    @property
    def silences(self) -> Iterator[tuple[str, float]]:
        """Which silences it listens to, each with its limit."""
        for name in ("output_age", "cpu_flat", "io_flat"):
            limit = getattr(self, name)
            if limit is not None:
                yield name, limit

    @property
    def slow_from(self) -> float:
        return self.timeout / 2 if self.slow is None else self.slow

    def speaks_of(self, session: str) -> bool:
        """Whether it is about this session."""
        return fnmatchcase(session, self.session)

    def points_at(self, window: str, index: int, pane: int) -> bool:
        """Whether it is about the pane of this index in the window of this name and index."""
        return points_at((self.window, self.pane), window, index, pane)
