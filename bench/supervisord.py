"""Debian's supervisord with one program, where it is installed or unpacked below ``.tools``."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_UNPACKED = Path(__file__).parent.parent / ".tools"
_MODULES = _UNPACKED / "usr" / "lib" / "python3" / "dist-packages"
_SETTINGS = """\
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/supervisord.pid
childlogdir={folder}

[program:bench]
command={command}
autorestart=true
startsecs=0
stdout_logfile=NONE
stderr_logfile=NONE
"""


def present() -> bool:
    """Whether there is one to measure beside."""
    return shutil.which("supervisord") is not None or (_MODULES / "supervisor").is_dir()


@contextmanager
def supervising(folder: Path, script: str) -> Iterator[None]:
    """It runs a script, whose path may hold no blank and no per cent sign, as long as the context lasts."""
    file = folder / "supervisord.conf"
    file.write_text(_SETTINGS.format(folder=folder, command=script))
    process = subprocess.Popen(
        [*_command(), "-n", "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(_MODULES)}, cwd=folder,
    )  # fmt: skip
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20.0)


def _command() -> Sequence[str]:
    installed = shutil.which("supervisord")
    return [installed] if installed else ["/usr/bin/python3", "-W", "ignore", "-m", "supervisor.supervisord"]
