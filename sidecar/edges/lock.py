"""Lock files: held as long as a process lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sidecar.errors import AlreadyRunning


def lock(path: Path, what: str) -> int:
    """Hold a lock file as long as this process lives; the kernel lets go of it whatever happens.

    Returns the descriptor to close.

    Raises:
        AlreadyRunning: another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists() or path.stat().st_ino != os.fstat(descriptor).st_ino:
            # The holder before us has just removed the file that we have locked.
            os.close(descriptor)
            return lock(path, what)
    except OSError as error:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        pid = int(holder) if holder.isdigit() else 0
        raise taken(pid, what) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def taken(pid: int, what: str) -> AlreadyRunning:
    """What is said to the second one; ``pid`` is 0 if the first one's is not known."""
    return AlreadyRunning(
        f"another sidecar (pid {pid or 'unknown'}) looks after {what}",
        pid=pid,
        hint="Stop it first, or use another --state and tmux socket.",
    )
