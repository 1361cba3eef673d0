"""A terminal with a client of the session ``web`` that is read no more: its reader stops itself.

``python terminal.py SERVER``. Prints the client's pid when all is set up.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios


def main(server: str) -> None:
    """Attach, run a tmux command in the same terminal, and stop."""
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
    client = subprocess.Popen(
        ["tmux", "-L", server, "attach", "-t", "=web"],
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.read(reader, 1 << 16)
    while select.select([reader], [], [], 0.3)[0]:
        os.read(reader, 1 << 16)
    subprocess.run(
        ["tmux", "-L", server, "list-sessions"], stdin=terminal, stdout=terminal, stderr=terminal, check=True
    )
    os.close(terminal)
    print(client.pid, flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        try:
            os.read(reader, 1 << 16)
        except OSError:
            signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
