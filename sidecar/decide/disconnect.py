"""Why the way to a living tmux server is cut off, told from what stands at the path of its socket.

A server that lives and cannot be reached is "disconnected": its sessions are well, and nothing may
be built anew. A socket that a dead server has left behind is no such thing: there the sessions are gone.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.reach import Kind, Reach
from sidecar.model.session import Look

CAUSES = frozenset(
    {
        Cause.SOCKET_REMOVED,
        Cause.SOCKET_FOLDER_REMOVED,
        Cause.SOCKET_FORBIDDEN,
        Cause.SOCKET_STALE,
        Cause.SOCKET_TAKEN,
        Cause.FOREIGN_SERVER,
    }
)
OTHERS = 0o007
"""tmux refuses a folder of its own in which everybody may do something."""
_OWNER = 0o700
_MAY_TALK = 0o600


@dataclass(frozen=True, slots=True)
class Way:
    """The way to the server, and whose sessions are looked for behind it."""

    reach: Reach
    held: frozenset[int]
    """Pids of the servers in which the expected sessions were last seen."""
    answers: int
    """The server that has answered; 0 when none has. The path may have changed hands since."""

    @property
    def cut_off(self) -> tuple[int, ...]:
        """Living servers of ours that the path does not lead to."""
        return tuple(pid for pid in self.reach.servers if pid != self.answers)


def disconnection(look: Look, reach: Reach, held: Collection[int]) -> Finding | None:
    """Why the server cannot be reached though it lives; None where that is not what is wrong."""
    listens = reach.listener.pid if reach.listener else 0
    way = Way(reach, frozenset(held), look.server.pid if look.server else listens)
    cause = next((cause for cause, holds in _TABLE if holds(way)), None)
    if cause is None:
        return None
    server = next(iter(_ours(way)), 0)
    failure = Failure("", FailureKind.DISCONNECTED, (Broken(Unit.SOCKET, pid=server),), look.taken)
    return Finding(failure, cause, Intent.FAILURE, tuple(_evidence(way)), f"socket of {server}")


def cut_off(findings: Iterable[Finding]) -> frozenset[int]:
    """The servers that live and cannot be reached, by what was found."""
    return frozenset(
        part.pid
        for finding in findings
        if finding.failure.kind is FailureKind.DISCONNECTED
        for part in finding.failure.broken
    )


def hands_off(finding: Finding) -> Refusal | None:
    """What is never done, whoever asks: to take a path from somebody who uses it."""
    if finding.cause is Cause.FOREIGN_SERVER:
        return Refusal(
            RefusalReason.FOREIGN_SERVER,
            "another user's tmux server listens at our socket's path; it is left alone",
            hint="Point the sidecar at a socket of your own (tmux.socket_name, --tmux-socket-path), or have "
            "that server's owner end it.",
        )
    if finding.cause is Cause.SOCKET_TAKEN:
        (part,) = finding.failure.broken
        socket = next(fact.fact for fact in finding.evidence if fact.source == "path")
        path, aside = shlex.quote(socket), shlex.quote(f"{socket}-2")
        return Refusal(
            RefusalReason.SOCKET_TAKEN,
            f"another tmux server has taken the socket's path; ours ({part.pid}) lives on, out of reach",
            hint=f"To keep both: mv {path} {aside} && kill -USR1 {part.pid}; the other server is then "
            f"reached by: tmux -S {aside} attach. To have only that one: kill {part.pid}",
        )
    return None


def _foreign(way: Way) -> bool:
    reach = way.reach
    if reach.listener is not None:
        return reach.listener.uid != reach.uid
    return reach.file.kind is Kind.SOCKET and reach.file.uid != reach.uid and not reach.servers


def _taken(way: Way) -> bool:
    return way.answers != 0 and any(pid in way.held for pid in way.cut_off)


def _no_folder(way: Way) -> bool:
    gone = way.reach.wiped and way.reach.file.kind is Kind.MISSING
    return _lives(way) and (gone or way.reach.folder.kind is Kind.MISSING)


def _no_file(way: Way) -> bool:
    return _lives(way) and way.reach.file.kind is Kind.MISSING


def _closed(way: Way) -> bool:
    reach = way.reach
    if not reach.servers or reach.file.kind is Kind.MISSING:
        return False
    if reach.listener is None and Kind.HIDDEN in (reach.file.kind, reach.folder.kind):
        return True
    if unsafe(reach) or reach.file.uid != reach.uid:
        return True
    shut = reach.folder.mode & _OWNER != _OWNER or reach.file.mode & _MAY_TALK != _MAY_TALK
    return reach.listener is None and shut


def _stale(way: Way) -> bool:
    return _lives(way)


def unsafe(reach: Reach) -> bool:
    """Whether tmux itself refuses the folder."""
    return reach.of_tmux and reach.folder.kind is Kind.FOLDER and bool(reach.folder.mode & OTHERS)


def _lives(way: Way) -> bool:
    """A server of ours lives, and nobody listens where it should."""
    return bool(way.reach.servers) and way.reach.listener is None and not way.reach.full


_TABLE: Sequence[tuple[Cause, Callable[[Way], bool]]] = (
    (Cause.FOREIGN_SERVER, _foreign),
    (Cause.SOCKET_TAKEN, _taken),
    (Cause.SOCKET_FOLDER_REMOVED, _no_folder),
    (Cause.SOCKET_REMOVED, _no_file),
    (Cause.SOCKET_FORBIDDEN, _closed),
    (Cause.SOCKET_STALE, _stale),
)
"""The first that holds is it."""


def _ours(way: Way) -> tuple[int, ...]:
    """The servers that are cut off, those of expected sessions first."""
    return tuple(sorted(way.cut_off or way.reach.servers, key=lambda pid: pid not in way.held))


def _evidence(way: Way) -> list[Evidence]:
    reach = way.reach
    facts = [
        Evidence("path", reach.socket),
        Evidence("socket", f"the socket is {reach.file.describe()}"),
        Evidence("folder", f"its folder is {reach.folder.describe()}"),
    ]
    if reach.wiped:
        facts.append(Evidence("inotify", "the folder was removed"))
    if reach.complaint:
        facts.append(Evidence("connection", reach.complaint))
    if reach.listener is not None:
        facts.append(
            Evidence("connection", f"process {reach.listener.pid} of uid {reach.listener.uid} listens there")
        )
    facts.extend(
        Evidence("/proc", f"tmux server {pid} of ours lives and was bound to this path")
        for pid in reach.servers
    )
    return facts
