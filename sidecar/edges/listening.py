"""Sockets to listen on: for a host and a port, or as a file: ours alone, never through a link."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from sidecar.errors import Permanent, UnsafeState

QUEUE = 1024
"""Connections that the kernel keeps until they are taken; whoever comes beyond that waits a second."""
_ANSWER_SECONDS = 1.0


def listen_on(host: str, port: int) -> socket.socket:
    """A bound socket for the first address that this host has. Blocks while a name is looked up.

    Raises:
        Permanent: it cannot be bound.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except (OSError, UnicodeError) as error:
        raise Permanent(
            f"{host}:{port} cannot be listened on: {getattr(error, 'strerror', None) or error}",
            hint="Another program may use the port; choose another with --listen.",
        ) from error
    return listening


def listen_at(path: Path) -> socket.socket:
    """A listening socket at this path, which only this user (and root) can connect to.

    Raises:
        UnsafeState: others could put something else into its folder.
        Permanent: somebody listens there, something else is there, or it cannot be made.
    """
    _see_folder(path.parent)
    _clear(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        # The file is born with the mode of the socket: there is no moment in which others may enter.
        os.fchmod(listening.fileno(), 0o600)
        listening.bind(os.fsencode(path))
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise _unusable(path, error.strerror or str(error)) from error
    return listening


def identity(path: Path) -> tuple[int, int]:
    """What tells this file from another one that is put in its place."""
    facts = path.lstat()
    return facts.st_dev, facts.st_ino


def remove(path: Path, known: tuple[int, int]) -> None:
    """Remove the file unless it is another one by now."""
    try:
        if identity(path) == known:
            path.unlink()
    except OSError:
        pass


def _see_folder(folder: Path) -> None:
    try:
        facts = folder.stat()
    except OSError as error:
        raise _unusable(folder, error.strerror or str(error)) from error
    others_may_write = stat.S_IMODE(facts.st_mode) & 0o022 and not facts.st_mode & stat.S_ISVTX
    if facts.st_uid not in (0, os.getuid()) or others_may_write:
        raise UnsafeState(
            f"others may change the folder {folder}, and put a socket of theirs in place of ours",
            hint=f"chmod 700 {folder}, or choose another folder.",
        )


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens at any more; nothing else is touched."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    if not stat.S_ISSOCK(facts.st_mode):
        raise _unusable(path, "it is there already, and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(_ANSWER_SECONDS)
        try:
            probe.connect(os.fsencode(path))
        except ConnectionRefusedError:
            remove(path, (facts.st_dev, facts.st_ino))
            return
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from error
    raise _unusable(path, "another program listens there")


def _unusable(path: Path, why: str) -> Permanent:
    return Permanent(
        f"{path} cannot be listened on: {why}", hint="Choose another path with --listen unix:PATH."
    )
