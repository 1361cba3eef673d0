"""Where a rebuilt tmux server is born: it has to outlive the sidecar.

A server inherits the cgroup, limits and environment of the client that starts it. Born inside
the sidecar's systemd unit, it would be killed, with every session it holds, when that unit is
restarted. So it gets a scope of its own where there is a service manager to ask, a new session
(setsid) elsewhere, and is not started at all where it would die with us.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.edges.tmux.run import end_client
from sidecar.errors import NoBirthplace

_UNIT = re.compile(r"/([^/\n]+\.service)(?=/|$)", re.MULTILINE)
_SURVIVABLE = frozenset({"process", "none"})
_ASK_SECONDS = 2.0
_NOT_INHERITED = frozenset(
    {
        "TMUX", "TMUX_PANE", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS",
        "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID",
        "MAINPID", "MANAGERPID",
    }
)  # fmt: skip
"""What systemd or tmux tells one process about itself alone."""
_BUS = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""What systemd-run needs to find its manager."""
_SCOPE = ("systemd-run", "--scope", "--quiet", "--collect")


@dataclass(frozen=True, slots=True)
class Birthplace:
    """A way to start a server that outlives us."""

    kind: str
    """``user scope``, ``system scope`` or ``setsid``."""
    prefix: tuple[str, ...] = ()
    """Words before the tmux command line."""

    def refused(self, complaint: str) -> bool:
        """Whether these are words of systemd-run: it could not make the scope, and tmux never ran."""
        return bool(self.prefix) and complaint.startswith("Failed to ")


SETSID = Birthplace("setsid")
USER_SCOPE = Birthplace("user scope", (*_SCOPE, "--user", "--"))
SYSTEM_SCOPE = Birthplace("system scope", (*_SCOPE, "--"))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What we run in, as far as it decides."""

    unit: str = ""
    """The systemd service that we are part of; empty when in none."""
    kill_mode: str = ""
    """That unit's KillMode; empty when it could not be asked."""
    user_manager: bool = False
    """A systemd user manager can be reached."""
    system_manager: bool = False
    """The system's manager can be reached, and we may ask it for a scope."""


def choose_birthplaces(around: Surroundings) -> tuple[Birthplace, ...]:
    """Where a server started from here would live on, best first.

    Raises:
        NoBirthplace: it would be killed together with our unit.
    """
    in_our_group = not around.unit or around.kill_mode in _SURVIVABLE
    candidates = (
        (around.user_manager, USER_SCOPE),
        (around.system_manager and bool(around.unit), SYSTEM_SCOPE),
        (in_our_group, SETSID),
    )
    chosen = tuple(place for possible, place in candidates if possible)
    if chosen:
        return chosen
    raise NoBirthplace(
        f"a tmux server started from {around.unit} would be killed when the unit stops "
        f"(KillMode={around.kill_mode or 'unknown'}), and no service manager can give it a scope",
        hint="Set KillMode=process in the unit, or let it reach the user manager (XDG_RUNTIME_DIR).",
    )


async def find_birthplaces(environment: Mapping[str, str]) -> tuple[Birthplace, ...]:
    """The birthplaces on this machine, now.

    Raises:
        NoBirthplace: see :func:`choose_birthplaces`.
    """
    user_manager = _is_socket(f"{environment.get('XDG_RUNTIME_DIR', '')}/systemd/private")
    cgroup = await asyncio.to_thread(_own_cgroup)
    unit = unit_of(cgroup)
    return choose_birthplaces(
        Surroundings(
            unit=unit,
            kill_mode=await _kill_mode(unit, of_user="/user@" in cgroup) if unit else "",
            user_manager=user_manager,
            system_manager=os.getuid() == 0 and _is_socket("/run/systemd/private"),
        )
    )


def unit_of(cgroup: str) -> str:
    """The innermost systemd service in the text of /proc/PID/cgroup; empty when there is none.

    ``user@1000.service`` is the user's whole manager, which nobody restarts for our sake.
    """
    names = [name for name in _UNIT.findall(cgroup) if not name.startswith("user@")]
    return names[-1] if names else ""


def birth_environment(recorded: Sequence[tuple[str, str]], ours: Mapping[str, str]) -> dict[str, str]:
    """The recorded global environment to the letter, or ours without what is meant for us alone."""
    if recorded:
        return dict(recorded)
    return {key: value for key, value in ours.items() if key not in _NOT_INHERITED}


def scope_arguments(
    place: Birthplace, wanted: Mapping[str, str], ours: Mapping[str, str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The prefix and environment with which systemd-run finds its manager, and tmux gets ``wanted``.

    Only names and addresses of the bus ever appear on the command line, which others can read.
    """
    if place is SETSID:
        return (), dict(wanted)
    lent = {key: ours[key] for key in _BUS if key in ours and wanted.get(key) != ours[key]}
    if not lent:
        return place.prefix, dict(wanted)
    undo = (word for key in lent for word in ((f"{key}={wanted[key]}",) if key in wanted else ()))
    drop = (word for key in lent if key not in wanted for word in ("-u", key))
    return (*place.prefix, "env", *drop, *undo), {**wanted, **lent}


def limit_arguments(descriptors: int | None) -> tuple[str, ...]:
    """Words that give what follows a soft limit of open files, which we may have raised for ourselves."""
    if descriptors is None:
        return ()
    return ("/bin/sh", "-c", 'ulimit -S -n "$1"; shift; exec "$@"', "sidecar", str(descriptors))


def config_arguments(config_files: str) -> tuple[str, ...]:
    """``-f`` for each recorded configuration file that still exists; tmux's own choice if none does."""
    named = [name for name in config_files.split(",") if name and Path(name).exists()]
    return tuple(word for name in named for word in ("-f", name))


def _own_cgroup() -> str:
    try:
        return Path("/proc/self/cgroup").read_text()
    except OSError:
        return ""


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


async def _kill_mode(unit: str, *, of_user: bool) -> str:
    manager = ("--user",) if of_user else ()
    try:
        process = await asyncio.create_subprocess_exec(
            "systemctl", *manager, "show", "--property=KillMode", "--value", "--", unit,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return ""
    try:
        async with asyncio.timeout(_ASK_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        await end_client(process)
        return ""
    return output.decode().strip()
