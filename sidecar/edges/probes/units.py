"""The door to units of systemd, which ``systemctl`` asks for their state."""

from __future__ import annotations

from pathlib import Path

from sidecar.edges import systemctl
from sidecar.edges.probes.command import ending
from sidecar.edges.probes.finding import Finding, Unmeasured
from sidecar.model.heal import UnitManager
from sidecar.model.probe import ProbeFault
from sidecar.model.probe_tended import UnitProbe, UnitState

_PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result")


async def unit(probe: UnitProbe, seconds: float, booted: Path = systemctl.BOOTED) -> Finding:
    """Ask for its state.

    Raises:
        Unmeasured: there is no answer.
    """
    if not booted.is_dir():
        return Finding(ProbeFault.NO_SYSTEMD, "systemd does not run here")
    if probe.manager is UnitManager.USER and not systemctl.own_environment():
        return Finding(ProbeFault.NO_SYSTEMD, "no manager of this user's units is known")
    try:
        ran, facts = await systemctl.show(probe.manager, probe.unit, *_PROPERTIES, seconds=seconds)
    except OSError as error:
        return Finding(ProbeFault.NO_SYSTEMD, f"systemctl cannot be run: {(error.strerror or '').lower()}")
    if ran.status is None:
        raise Unmeasured(f"systemctl has not answered within {seconds:g} s")
    if ran.status or "ActiveState" not in facts:
        raise Unmeasured(f"systemctl {ending(ran, ran.status)}")
    return _judged(probe, facts)


def _judged(probe: UnitProbe, facts: dict[str, str]) -> Finding:
    state, detail = facts["ActiveState"], facts.get("SubState", "")
    if facts.get("LoadState") == "not-found" and UnitState.INACTIVE not in probe.states:
        return Finding(ProbeFault.MISSING, f"there is no unit {probe.unit}")
    result = facts.get("Result", "")
    why = f", {result}" if state == UnitState.FAILED and result not in ("", "success") else ""
    fact = f"the unit {probe.unit} is {state} ({detail}{why})"
    return Finding(None if state in probe.states else ProbeFault.BAD_STATE, fact)
