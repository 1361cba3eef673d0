"""The heal that restarts a unit of systemd, by ``systemctl``.

A restart goes on in systemd when whoever has asked for it is gone. So an attempt that was cut off is not
followed by a second restart: the unit tells when it was started last.
"""

from __future__ import annotations

from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges import systemctl
from sidecar.edges.heals.notes import Notes
from sidecar.edges.probes.command import Ran, ending
from sidecar.errors import Permanent, Temporary
from sidecar.model.heal import HealCall, UnitHeal, UnitManager

_ASKING = 5.0
_BEGAN = "began"
_FOR_GOOD = {
    3: "The unit cannot be restarted at all.",
    4: "The user that the sidecar runs as may not; a rule of polkit can allow it.",
    5: "Is the name of the unit right? `systemctl list-units` shows those that there are.",
    6: "Its file has a fault: `systemctl status` tells which.",
}
"""Statuses of systemctl that another attempt does not change, with what to do."""
_WORDS = (" is masked.", "Interactive authentication required", "Access denied")
"""The same, where it ends with 1 for want of a better status."""


async def restart(
    heal: UnitHeal, call: HealCall, notes: Notes, clock: Clock, booted: Path = systemctl.BOOTED
) -> str:
    """Restart it; one sentence about it.

    Raises:
        Temporary: it did not start, or not in time.
        Permanent: there is no systemd, no such unit, or we may not.
    """
    _find_manager(heal, booted)
    if call.again and await _has_started(heal, notes.read(call.mark).get(_BEGAN)):
        return f"the unit {heal.unit} was restarted by an attempt that was cut off"
    notes.write(call.mark, {_BEGAN: clock.monotonic()})
    began = clock.monotonic()
    try:
        ran = await systemctl.call(heal.manager, "restart", "--", heal.unit, seconds=heal.seconds)
    except OSError as error:
        raise Permanent(
            f"systemctl cannot be run: {error.strerror}", hint="It belongs to systemd; see PATH."
        ) from error
    if ran.status is None:
        raise Temporary(
            f"the unit {heal.unit} was not restarted within {heal.seconds:g} s; systemd goes on with it",
            hint=f"`systemctl status {heal.unit}` shows what it waits for.",
        )
    if ran.status:
        raise _refused(heal, ran, ran.status)
    return f"restarted the unit {heal.unit} in {clock.monotonic() - began:.1f} s"


def _find_manager(heal: UnitHeal, booted: Path) -> None:
    """Raises Permanent where there is none."""
    if not booted.is_dir():
        raise Permanent(
            f"the unit {heal.unit} cannot be restarted: systemd does not run here",
            hint="Use another heal, as `command` with the tool of this machine.",
        )
    if heal.manager is UnitManager.USER and not systemctl.own_environment():
        raise Permanent(
            f"the unit {heal.unit} cannot be restarted: no manager of this user's units is known",
            hint="Run the sidecar as a unit of that user, or with XDG_RUNTIME_DIR set.",
        )


async def _has_started(heal: UnitHeal, began: float | None) -> bool:
    """Whether it is active, and began to be so after the attempt that was cut off."""
    if began is None:
        return False
    names = ("ActiveState", "ActiveEnterTimestampMonotonic")
    try:
        _, facts = await systemctl.show(heal.manager, heal.unit, *names, seconds=_ASKING)
    except OSError:
        return False
    since = facts.get("ActiveEnterTimestampMonotonic", "")
    return facts.get("ActiveState") == "active" and since.isdigit() and int(since) / 1e6 >= began


def _refused(heal: UnitHeal, ran: Ran, status: int) -> Permanent | Temporary:
    sentence = f"the unit {heal.unit} was not restarted: systemctl {ending(ran, status)}"
    said = ran.output.decode("utf-8", "replace")
    if status in _FOR_GOOD:
        return Permanent(sentence, hint=_FOR_GOOD[status])
    if any(each in said for each in _WORDS):
        return Permanent(sentence, hint="systemd refuses it, and will the next time.")
    return Temporary(sentence, hint=f"`journalctl --unit {heal.unit}` tells why.")
