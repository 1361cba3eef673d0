"""One sidecar for one tmux server, whatever state folders they use.

A file beside the socket tells everybody who shares that folder. But whoever wipes the folder takes the file
along while the server lives on; so there is a name as well that lies in no file system: an abstract
socket of Linux, which ends with its process and with nothing else. It is known within one network
namespace, and the file beyond it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket as sockets
import struct
from collections.abc import Callable
from pathlib import Path

from sidecar.edges.lock import lock, taken
from sidecar.errors import Permanent

_QUEUE = 128
_PEER = struct.Struct("3i")
"""pid, uid, gid, as the kernel tells them of the other end."""


def claim(socket: Path) -> Callable[[], None]:
    """Be the only one that looks after the server at this socket. Gives what lets go of it.

    Raises:
        AlreadyRunning: another sidecar does.
        Permanent: the folder cannot hold a socket.
    """
    what = f"the tmux server at {socket}"
    with contextlib.ExitStack() as held:
        try:
            socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = socket.with_name(f"{socket.name}.sidecar")
            held.callback(os.close, lock(path, what))
            held.callback(path.unlink, missing_ok=True)
            held.callback(_claim_name(socket, what))
        except OSError as error:
            raise Permanent(
                f"{socket.parent} cannot hold the socket of a tmux server: {error.strerror}",
                hint="Check TMUX_TMPDIR, --tmux-socket-path, and the folder's owner and mode.",
            ) from error
        return held.pop_all().close


def _claim_name(socket: Path, what: str) -> Callable[[], None]:
    name = _name(socket)
    holder = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        holder.bind(name)
        # Nobody is ever answered; that somebody has asked stays in the queue.
        holder.listen(_QUEUE)
    except OSError:
        holder.close()
        pid, uid = _held_by(name)
        if uid not in (os.getuid(), 0):
            # Another user's can look after nothing of ours: whoever takes our name is only in the way.
            return lambda: None
        raise taken(pid, what) from None
    return holder.close


def _name(socket: Path) -> bytes:
    real = os.path.join(os.path.realpath(socket.parent), socket.name)
    digest = hashlib.sha256(os.fsencode(real)).hexdigest()[:32]
    return f"\0tmux-sidecar/{os.getuid()}/{digest}".encode()


def _held_by(name: bytes) -> tuple[int, int]:
    """pid and uid of whoever has the name; of us, if it has gone in this very moment."""
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(name)
            peer = asking.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _PEER.size)
        except OSError:
            return 0, os.getuid()
        pid, uid, _ = _PEER.unpack(peer)
        return pid, uid
