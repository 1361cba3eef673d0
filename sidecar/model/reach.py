"""How the tmux server can be reached: the socket, its folder, and who is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What stands at a path."""

    MISSING = "missing"
    HIDDEN = "hidden"
    """It cannot be asked: a folder above it is closed to us."""
    SOCKET = "socket"
    FOLDER = "folder"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder as it was found."""

    kind: Kind
    uid: int = 0
    mode: int = 0
    """Permission bits."""

    def describe(self) -> str:
        """For people."""
        if self.kind in (Kind.MISSING, Kind.HIDDEN):
            return self.kind
        return f"a {self.kind} of uid {self.uid} with mode {self.mode:04o}"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who listens behind a socket."""

    pid: int
    uid: int


@dataclass(frozen=True, slots=True)
class Reach:
    """All that the file system and the kernel tell about the way to the server."""

    socket: str
    uid: int
    """Ours."""
    folder: Place
    file: Place
    of_tmux: bool
    """tmux itself makes the folder and demands that nobody else may use it."""
    servers: tuple[int, ...] = ()
    """Living tmux servers of ours that were bound to this path, whether or not it leads to them now."""
    listener: Peer | None = None
    """Who takes connections there; None when nobody does, or none of ours is let in."""
    complaint: str = ""
    """Why there is no connection."""
    wiped: bool = False
    """The folder was removed; tmux's own clients make it anew."""
    full: bool = False
    """Somebody listens, and has more calls waiting than he takes: a stopped server, after a while."""


@dataclass(frozen=True, slots=True)
class Ring:
    """How a wait for the bell has ended."""

    words: str = ""
    """tmux's last words, when the server left its waiting client."""
    cut_off: bool = False
    """The waiting client itself was ended, and the server has no part in it."""
