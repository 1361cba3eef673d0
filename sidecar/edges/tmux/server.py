"""A live server whose socket may be gone: finding it from /proc alone, and waking it. Blocks."""

from __future__ import annotations

import errno
import os
import signal
import stat
from pathlib import Path

from sidecar.errors import Permanent

_COMM = b"tmux: server"
_LISTENS = int("10000", 16)
"""A flag in /proc/net/unix. A server that is being born is bound to its path before it listens there."""
_MODE = 0o700
"""What tmux gives its folder, and demands of it."""


def find_server(socket: Path) -> int:
    """The pid of this user's tmux server that listens at ``socket``; 0 if none lives."""
    return next(iter(find_servers(socket)), 0)


def find_servers(socket: Path) -> tuple[int, ...]:
    """All of them: one that has lost the path to another still lives, and its sessions with it.

    The kernel keeps the path of a bound socket in /proc/net/unix after the file is removed.
    """
    # While sockets come and go, one reading of that table may leave out another: absent is seen twice.
    inodes = _inodes(str(socket)) or _inodes(str(socket))
    if not inodes:
        return ()
    return tuple(
        int(name)
        for name in os.listdir("/proc")
        if name.isdigit() and _is_our_server(f"/proc/{name}") and _holds(f"/proc/{name}", inodes)
    )


def ask_for_socket(pid: int, socket: Path, *, of_tmux: bool) -> bool:
    """Have the server ``pid`` make its socket again. False: it is not that server any more.

    No process but the server that holds this very socket is ever signalled. ``of_tmux`` says that the
    folder is one that tmux makes for itself; only such a one gets its mode back.

    Raises:
        Permanent: the folder is not for us to make usable.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Asked again with the descriptor in hand: until then the pid might have become another's.
        if not _is_our_server(f"/proc/{pid}") or not _holds(f"/proc/{pid}", _inodes(str(socket))):
            return False
        _mend_folder(socket.parent, of_tmux)
        signal.pidfd_send_signal(descriptor, signal.SIGUSR1)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)


def _mend_folder(folder: Path, of_tmux: bool) -> None:
    """Make it if it is gone, and give one of tmux's own the mode that tmux gave it."""
    try:
        folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
        found = os.stat(folder)
        if of_tmux and stat.S_IMODE(found.st_mode) != _MODE and found.st_uid == os.getuid():
            os.chmod(folder, _MODE)
        elif found.st_mode & _MODE != _MODE:
            raise PermissionError(errno.EACCES, "its mode keeps us out")
    except OSError as error:
        raise Permanent(
            f"{folder} cannot hold the socket: {error.strerror}",
            hint=f"Give it back to uid {os.getuid()} with mode 0700; the server then makes its socket again.",
        ) from error


def _inodes(path: str) -> set[str]:
    found = set()
    for line in Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]:
        fields = line.split(None, 7)
        if len(fields) == 8 and fields[7] == path and int(fields[3], 16) & _LISTENS:
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
        names = os.listdir(f"{folder}/fd")
    except OSError:
        return False
    return any(_target(f"{folder}/fd/{name}") in inodes for name in names)


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        # A client has gone meanwhile, and its descriptor with it: that says nothing about the others.
        return ""
