"""Programs under supervision, in the words of ``sidecar status``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sidecar.config_units import show_seconds
from sidecar.model.supervise import ProgramState

_ENDED = frozenset(ProgramState) - {ProgramState.STARTING, ProgramState.RUNNING}


def program_line(program: Mapping[str, Any], now: float) -> str:
    """One program in one line. ``now`` is wall seconds."""
    times = program["restarts"]
    said = [f"{times} restart{'' if times == 1 else 's'} lately"] if times else []
    if program["until"] is not None:
        said.append(f"again in {show_seconds(max(round(program['until'] - now), 0))}")
    if program["state"] in _ENDED and program["note"]:
        said.append(program["note"])
    where = f"{program['rule']} in {program['session']}:{program['place']}"
    return f"program {where}: {', '.join([program['state'].replace('_', ' '), *said])}"
