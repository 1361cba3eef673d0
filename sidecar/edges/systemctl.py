"""Asking systemd about units, and for something, by ``systemctl``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sidecar.edges.probes.command import Ran, run
from sidecar.model.heal import UnitManager

BOOTED = Path("/run/systemd/system")
"""Is there where systemd is the first process of the machine: see sd_booted(3)."""
_OWN = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


def own_environment() -> Mapping[str, str]:
    """What leads to the manager of this user's units; empty where none is known."""
    return {name: os.environ[name] for name in _OWN if name in os.environ}


async def call(manager: UnitManager, *words: str, seconds: float) -> Ran:
    """Run it to its end.

    Raises:
        OSError: it cannot be started.
    """
    argv = ("systemctl", f"--{manager}", "--no-ask-password", *words)
    return await run(argv, seconds, own_environment(), talkative=True)


async def show(
    manager: UnitManager, unit: str, *properties: str, seconds: float
) -> tuple[Ran, dict[str, str]]:
    """Properties of a unit; one that is not there has them too. Raises as :func:`call`."""
    ran = await call(manager, "show", f"--property={','.join(properties)}", "--", unit, seconds=seconds)
    lines = ran.output.decode("utf-8", "replace").splitlines()
    return ran, {name: value for name, _, value in (line.partition("=") for line in lines)}
