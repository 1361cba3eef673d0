"""A live server whose socket may be gone: finding it from /proc alone, and waking it. Blocks."""

from __future__ import annotations

import os
import signal
from pathlib import Path

_COMM = b"tmux: server"


def find_server(socket: Path) -> int:
    """The pid of this user's tmux server that was bound to ``socket``; 0 if none lives.

    The kernel keeps the path of a bound socket in /proc/net/unix after the file is removed.
    """
    inodes = _inodes(str(socket))
    if not inodes:
        return 0
    for name in os.listdir("/proc"):
        folder = f"/proc/{name}"
        if name.isdigit() and _is_our_server(folder) and _holds(folder, inodes):
            return int(name)
    return 0


def ask_for_socket(pid: int, socket: Path) -> bool:
    """Have the server ``pid`` make its socket again. False: it is not that server any more.

    No process but the server that holds this very socket is ever signalled.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Asked again with the descriptor in hand: until then the pid might have become another's.
        if not _is_our_server(f"/proc/{pid}") or not _holds(f"/proc/{pid}", _inodes(str(socket))):
            return False
        socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        signal.pidfd_send_signal(descriptor, signal.SIGUSR1)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


def _inodes(path: str) -> set[str]:
    found = set()
    for line in Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]:
        fields = line.split(None, 7)
        if len(fields) == 8 and fields[7] == path:
            found.add(f"socket:[{fields[6]}]")
    return found


def _is_our_server(folder: str) -> bool:
    try:
        with open(f"{folder}/comm", "rb") as file:
            return file.read().startswith(_COMM) and os.stat(folder).st_uid == os.getuid()
    except OSError:
        return False


def _holds(folder: str, inodes: set[str]) -> bool:
    try:
        return any(os.readlink(f"{folder}/fd/{name}") in inodes for name in os.listdir(f"{folder}/fd"))
    except OSError:
        return False
