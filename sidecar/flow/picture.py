"""The present state as one immutable picture, for the windows and the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sidecar.decide import climb
from sidecar.decide.by_hand import asking
from sidecar.decide.quiet import covered
from sidecar.flow.ward import Ward
from sidecar.model.check import CheckState
from sidecar.model.incident import FailureKind
from sidecar.model.plan import RefusalReason, Verdict
from sidecar.model.policy import BreakerState
from sidecar.model.quiet import Hush
from sidecar.model.record import IncidentRow, Rehearsal, StoredTotals, Usage
from sidecar.model.session import Health, Presence, Session
from sidecar.model.status import SessionStatus, Status
from sidecar.model.supervise import ProgramState

_ABSENT = RefusalReason.REPORT_ONLY
"""Why nothing is done about a session that lacks a process which has to run in it."""
_DOWN = frozenset({ProgramState.BACKING_OFF, ProgramState.WAITING, ProgramState.UNKNOWN})
"""States of a program that does not run and should."""


def picture(
    ward: Ward,
    *,
    incidents: Iterable[IncidentRow],
    circuits: Mapping[str, BreakerState],
    checks: Mapping[str, CheckState],
    alerts_pending: int,
    store_bytes: int,
    started: float,
    last_look: float,
) -> Status:
    """Draw it. Cheap: called after every cycle."""
    look = ward.look
    names = dict.fromkeys([*ward.expected, *sorted(ward.released)])
    hushes = ward.hushes(last_look)
    quiet = covered(hushes, names)
    held = covered([hush for hush in hushes if hush.hold], names)
    return Status(
        server_up=look.presence is Presence.PRESENT,
        tmux_version=look.version,
        mode=ward.settings.recovery.mode,
        sessions=tuple(
            _session(ward, name, last_look, quiet=quiet.get(name), held=name in held) for name in names
        ),
        quiet=ward.shown_hushes(last_look),
        incidents=tuple(incidents),
        circuits=dict(circuits),
        recoveries_in_progress=len(ward.cases),
        checks=checks,
        alerts_pending=alerts_pending,
        store_bytes=store_bytes,
        stress=ward.stress,
        config_good=ward.loaded.good,
        config_loaded=ward.loaded.at,
        workspace_faults=tuple(map(str, ward.settings.declared.faults)),
        started=started,
        last_look=last_look,
    )


def _session(ward: Ward, name: str, now: float, *, quiet: Hush | None, held: bool) -> SessionStatus:
    live = ward.look.find(name) if ward.look.presence is Presence.PRESENT else None
    panes = list(live.panes()) if live else []
    total = ward.totals.get(name, StoredTotals(name, 0, 0, 0.0))
    usage = ward.usage.get(name, Usage())
    still = ward.standstills.get(name)
    entry = ward.expected.get(name)
    rehearsal = ward.rehearsals.get(name)
    return SessionStatus(
        name=name,
        health=health_of(ward, name, live),
        up=live is not None,
        declared=entry.declared if entry else False,
        windows=len(live.windows) if live else 0,
        panes=len(panes),
        dead_panes=sum(pane.dead for pane in panes),
        last_activity=float(live.activity) if live else 0.0,
        processes=usage.processes,
        memory_bytes=usage.memory_bytes,
        cpu_seconds=usage.cpu_seconds,
        checkpoints=total.count,
        checkpoint_bytes=total.size,
        last_checkpoint=total.newest,
        restorable=rehearsal.restorable if rehearsal else None,
        rehearsed=rehearsal.at if rehearsal else 0.0,
        rehearsal_report=rehearsal.differences if rehearsal else (),
        differences=ward.shapes.get(name, ()),
        rungs={
            kind: footing.strategy
            for (session, kind), footing in ward.footings.items()
            if session == name and climb.lasts(footing, ward.settings.recovery.stable, now)
        },
        climbed=ward.climbed(name, now),
        quiet=quiet,
        held=held,
        programs=tuple(one for one in ward.programs if one.session == name),
        restarted={rule: count for (session, rule), count in ward.restarted.items() if session == name},
        note="; ".join(
            filter(None, (still.sentence if still else _set_back(ward, name), _unrestorable(rehearsal)))
        ),
    )


def _set_back(ward: Ward, name: str) -> str:
    """Between two attempts nothing else says that there was one."""
    setback = ward.setbacks.get(name)
    if setback is None:
        return ""
    vain = "the last recovery" if setback.count == 1 else f"the last {setback.count} recoveries"
    return f"{vain} came to nothing, it is tried again by itself; `{asking('explain', name)}`"


def _unrestorable(rehearsal: Rehearsal | None) -> str:
    if rehearsal is None or rehearsal.restorable:
        return ""
    found = Verdict(False, rehearsal.differences).sentence()
    return f"checkpoint {rehearsal.checkpoint} cannot be restored: {found}"


def health_of(ward: Ward, name: str, live: Session | None) -> Health:
    """What the ward knows of a session, as one word."""
    if name in ward.released:
        return Health.RELEASED
    if name in ward.cases:
        return Health.RECOVERING
    if ward.look.presence is Presence.UNKNOWN:
        return Health.UNKNOWN
    if "" in ward.cases or "" in ward.standstills:
        return Health.DISCONNECTED
    still = ward.standstills.get(name)
    if still is not None and still.reason is RefusalReason.GIVEN_UP:
        return Health.GIVEN_UP
    programs = {one.state for one in ward.programs if one.session == name}
    if ProgramState.GIVEN_UP in programs:
        return Health.GIVEN_UP
    absent = still is not None and still.kind is FailureKind.UNHEALTHY and still.reason is _ABSENT
    if still is not None and any(part.check for part in still.broken):
        # That a check fails is told by the check, and is no word about what runs.
        absent = False
    if live is None or programs & _DOWN or absent:
        return Health.CRASHED
    if still is not None and still.kind is FailureKind.FROZEN:
        return Health.FROZEN
    if ward.shapes.get(name):
        return Health.CORRUPTED
    return Health.CRASHED if any(pane.dead for pane in live.panes()) else Health.HEALTHY
