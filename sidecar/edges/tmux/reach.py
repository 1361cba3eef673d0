"""The way to the tmux server, as the file system and the kernel have it. Blocks for milliseconds."""

from __future__ import annotations

import errno
import os
import socket as sockets
import stat
import struct
from pathlib import Path

from sidecar.edges.tmux.server import find_servers
from sidecar.model.reach import Kind, Peer, Place, Reach

_CREDENTIALS = struct.Struct("3i")


def examine(socket: Path, *, of_tmux: bool) -> Reach:
    """Look at the socket, its folder and who is behind it. ``of_tmux``: see :class:`Reach`."""
    # Servers first: one that is being born has no socket until it is among them.
    servers = find_servers(socket)
    folder, file = _place(socket.parent), _place(socket)
    peer, complaint = _connect(socket)
    return Reach(
        socket=str(socket),
        uid=os.getuid(),
        folder=folder,
        file=file,
        of_tmux=of_tmux,
        servers=servers,
        listener=peer,
        complaint=complaint,
        full=complaint == os.strerror(errno.EAGAIN),
    )


def which(socket: Path) -> tuple[int, int] | None:
    """Which file stands there, told apart from one made anew under its name; None if there is none."""
    try:
        found = os.stat(socket)
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def listener(socket: Path) -> int:
    """The pid of whoever takes connections there; 0 when nobody does."""
    peer, _ = _connect(socket)
    return peer.pid if peer else 0


def _place(path: Path) -> Place:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Place(Kind.MISSING)
    except OSError:
        return Place(Kind.HIDDEN)
    kinds = ((stat.S_ISSOCK, Kind.SOCKET), (stat.S_ISDIR, Kind.FOLDER))
    kind = next((kind for test, kind in kinds if test(found.st_mode)), Kind.OTHER)
    return Place(kind, found.st_uid, stat.S_IMODE(found.st_mode))


def _connect(socket: Path) -> tuple[Peer | None, str]:
    """Who listens, or why there is no connection. Nothing is said, and a stopped server keeps nobody."""
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM | sockets.SOCK_NONBLOCK) as client:
        try:
            client.connect(str(socket))
            found = client.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _CREDENTIALS.size)
        except OSError as error:
            return None, error.strerror or str(error)
    pid, uid, _ = _CREDENTIALS.unpack(found)
    return Peer(pid, uid), ""
