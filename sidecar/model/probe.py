"""Probes: what is asked of a program or of something that it needs, and what came back.

A probe says one thing about one moment. What a row of results means (an outage, packet loss, a
program that has stopped working) is for the quiet floor to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from sidecar import redact


class ProbeKind(StrEnum):
    """The ways of asking."""

    HTTP = "http"
    TCP = "tcp"
    DNS = "dns"
    COMMAND = "command"
    OWN = "own"
    """What only the sidecar itself asks."""
    MEMORY = "memory"
    SWAP = "swap"
    DISK = "disk"
    CPU = "cpu"
    PRESSURE = "pressure"
    LOAD = "load"
    DESCRIPTORS = "descriptors"
    PROCESS = "process"
    FILE = "file"
    PANE = "pane"
    UNIT = "unit"


class ProbeFault(StrEnum):
    """The ``fault`` label: why a probe was not content."""

    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    NO_ANSWER = "no_answer"
    RESET = "reset"
    UNREACHABLE = "unreachable"
    NAME_NOT_FOUND = "name_not_found"
    NAME_SERVER_FAILED = "name_server_failed"
    NAME_TIMED_OUT = "name_timed_out"
    TLS_FAULT = "tls_fault"
    BAD_ANSWER = "bad_answer"
    BAD_STATUS = "bad_status"
    BODY_MISMATCH = "body_mismatch"
    COMMAND_FAILED = "command_failed"
    COMMAND_HUNG = "command_hung"
    COMMAND_FLOODED = "command_flooded"
    ABOVE_LIMIT = "above_limit"
    BELOW_LIMIT = "below_limit"
    NOT_MEASURED = "not_measured"
    NOT_RUNNING = "not_running"
    TOO_MANY = "too_many"
    TOO_OLD = "too_old"
    TOO_YOUNG = "too_young"
    BAD_STATE = "bad_state"
    SLOW = "slow"
    EXPIRES_SOON = "expires_soon"
    WRONG_RECORDS = "wrong_records"
    TEXT_MISMATCH = "text_mismatch"
    MISSING = "missing"
    UNWANTED = "unwanted"
    NO_PANE = "no_pane"
    NO_SYSTEMD = "no_systemd"


_FIGURES = (ProbeFault.ABOVE_LIMIT, ProbeFault.NOT_MEASURED)
_CONNECTING = (
    ProbeFault.REFUSED,
    ProbeFault.TIMED_OUT,
    ProbeFault.NO_ANSWER,
    ProbeFault.RESET,
    ProbeFault.UNREACHABLE,
    ProbeFault.NAME_NOT_FOUND,
    ProbeFault.NAME_SERVER_FAILED,
    ProbeFault.NAME_TIMED_OUT,
    ProbeFault.BAD_ANSWER,
)
FAULTS: Mapping[ProbeKind, tuple[ProbeFault, ...]] = {
    ProbeKind.HTTP: (
        *_CONNECTING,
        ProbeFault.TLS_FAULT,
        ProbeFault.BAD_STATUS,
        ProbeFault.BODY_MISMATCH,
        ProbeFault.SLOW,
        ProbeFault.EXPIRES_SOON,
    ),
    ProbeKind.TCP: _CONNECTING,
    ProbeKind.DNS: (*_CONNECTING, ProbeFault.WRONG_RECORDS, ProbeFault.NOT_MEASURED),
    ProbeKind.COMMAND: (
        ProbeFault.COMMAND_FAILED,
        ProbeFault.COMMAND_HUNG,
        ProbeFault.COMMAND_FLOODED,
        ProbeFault.TEXT_MISMATCH,
    ),
    ProbeKind.OWN: (*_FIGURES, ProbeFault.NO_ANSWER, ProbeFault.BAD_ANSWER, ProbeFault.NOT_RUNNING),
    ProbeKind.MEMORY: _FIGURES,
    ProbeKind.SWAP: _FIGURES,
    ProbeKind.DISK: (*_FIGURES, ProbeFault.BELOW_LIMIT, ProbeFault.NO_ANSWER),
    ProbeKind.CPU: _FIGURES,
    ProbeKind.PRESSURE: _FIGURES,
    ProbeKind.LOAD: _FIGURES,
    ProbeKind.DESCRIPTORS: (*_FIGURES, ProbeFault.NOT_RUNNING),
    ProbeKind.PROCESS: (
        *_FIGURES,
        ProbeFault.NOT_RUNNING,
        ProbeFault.TOO_MANY,
        ProbeFault.TOO_OLD,
        ProbeFault.TOO_YOUNG,
        ProbeFault.BAD_STATE,
    ),
    ProbeKind.FILE: (
        *_FIGURES,
        ProbeFault.BELOW_LIMIT,
        ProbeFault.MISSING,
        ProbeFault.UNWANTED,
        ProbeFault.TOO_OLD,
        ProbeFault.TOO_YOUNG,
        ProbeFault.TEXT_MISMATCH,
        ProbeFault.NO_ANSWER,
    ),
    ProbeKind.PANE: (
        ProbeFault.NO_PANE,
        ProbeFault.BAD_STATE,
        ProbeFault.TOO_OLD,
        ProbeFault.TEXT_MISMATCH,
        ProbeFault.NOT_MEASURED,
    ),
    ProbeKind.UNIT: (
        ProbeFault.NO_SYSTEMD,
        ProbeFault.MISSING,
        ProbeFault.BAD_STATE,
        ProbeFault.NOT_MEASURED,
    ),
}
"""What each kind of probe may find wrong."""
ASKED_OF_PROGRAMS = (ProbeKind.COMMAND, ProbeKind.HTTP, ProbeKind.TCP, ProbeKind.DNS)
"""The kinds that say something about one program, and so may be its heartbeat."""
UNASKED = frozenset({ProbeFault.NOT_MEASURED, ProbeFault.NO_SYSTEMD})
"""With these, the question could not be put: nothing is known, neither good nor bad."""


class RecordType(StrEnum):
    """Which records a DNS probe asks for."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    MX = "MX"
    NS = "NS"
    PTR = "PTR"
    SOA = "SOA"
    SRV = "SRV"
    TXT = "TXT"


class Redirects(StrEnum):
    """How far an HTTP probe follows where it is sent."""

    NEVER = "never"
    SAME_ORIGIN = "same_origin"
    ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """A GET request."""

    url: str
    """Begins with ``http://`` or ``https://``; may hold no password."""
    status: tuple[int, ...] = ()
    """The statuses that are right; empty: 200 to 299."""
    match: str = ""
    """Regular expression that has to be found in the first 64 KiB of the body."""
    redirects: Redirects = Redirects.SAME_ORIGIN
    """``never``; ``same_origin``: only to the same scheme, host and port; ``anywhere``. At most five."""
    verify: bool = True
    """Whether the certificate of an ``https`` server has to be valid."""
    no_match: str = ""
    """Regular expression that must not be found there."""
    slower: float | None = None
    """Seconds from which on an answer is too slow, redirects included."""
    expires: float | None = None
    """Seconds for which the certificate has to be valid yet, whether or not it is verified."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.HTTP

    @property
    def address(self) -> str:
        parts = urlsplit(self.url)
        return join_address(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))

    def describe(self) -> str:
        return f"GET {redact.text(self.url)}"


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """A connection, closed again at once."""

    host: str
    port: int

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.TCP

    @property
    def address(self) -> str:
        return join_address(self.host, self.port)

    def describe(self) -> str:
        return f"a connection to {self.address}"


@dataclass(frozen=True, slots=True)
class DnsProbe:
    """A question to a name server."""

    name: str
    """The name that is asked for."""
    server: str = ""
    """IP address of the server, with or without a port; empty: the servers of this machine."""
    type: RecordType = RecordType.A
    """Which records are wanted."""
    expect: tuple[str, ...] = ()
    """What has to be among them: addresses, texts or names; of ``MX``, ``SRV`` and ``SOA`` the name of the
    server."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.DNS

    @property
    def address(self) -> str:
        if not self.server:
            return "resolver"
        host, port = split_address(self.server, 53)
        return join_address(host, port)

    def describe(self) -> str:
        return f"the {self.type} records of {self.name}" + (f" at {self.server}" if self.server else "")


class Local:
    """A probe of this machine: it depends on no address."""

    __slots__ = ()

    @property
    def address(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class CommandProbe(Local):
    """A program that ends with 0 where all is well. No shell is involved, unless it is asked for."""

    argv: tuple[str, ...] = ()
    """The program and its arguments."""
    shell: str = ""
    """Instead of them: one line for ``/bin/sh``."""
    status: tuple[int, ...] = (0,)
    """The exit statuses that are right."""
    match: str = ""
    """Regular expression that has to be found in what it prints, errors included."""
    no_match: str = ""
    """Regular expression that must not be found there."""

    @property
    def words(self) -> tuple[str, ...]:
        """What is run."""
        return ("/bin/sh", "-c", self.shell) if self.shell else self.argv

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.COMMAND

    def describe(self) -> str:
        return f"`{redact.text(self.shell) if self.shell else redact.command(self.argv)}`"


class Probe(Protocol):
    """One question. All of them can be compared, and are keys."""

    @property
    def kind(self) -> ProbeKind: ...

    @property
    def address(self) -> str:
        """The address that it depends on, ``HOST:PORT``; empty: none."""
        ...

    def describe(self) -> str:
        """What is asked, for people."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one try gave."""

    fault: ProbeFault | None
    """None: all was well."""
    took: float
    """Seconds."""
    fact: str
    """What was observed, for people."""
    resent: int = 0
    """Packets that had to be sent again, as far as it is known."""
    value: float | None = None
    """The figure that was found, where there is one: a share as 0 to 1, else bytes, seconds or a count."""


def join_address(host: str, port: int) -> str:
    """``HOST:PORT``; an IPv6 address gets its brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_name(text: str) -> bool:
    """Whether a name server could know something of this name."""
    labels = text.removesuffix(".").split(".")
    try:
        encoded = [label.encode("ascii" if label.isascii() else "idna") for label in labels]
    except UnicodeError:
        return False
    return all(0 < len(label) < 64 for label in encoded) and sum(len(label) + 1 for label in encoded) < 255


def split_address(text: str, port: int) -> tuple[str, int]:
    """Host and port of ``HOST``, ``HOST:PORT``, ``[IPV6]:PORT`` or a bare IPv6 address; else ``port``.

    Raises:
        ValueError: the port is no number.
    """
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest.removeprefix(":")) if rest else port
    host, colon, rest = text.partition(":")
    if not colon or ":" in rest:
        return text, port
    return host, int(rest)
