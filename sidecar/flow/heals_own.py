"""Heals of what is the sidecar's own: its checkpoints, its database, its memory; and panes' scrollback,
which goes only where it is stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from types import MappingProxyType

from sidecar.errors import Permanent, TmuxUnknown
from sidecar.flow.surgery import Surgery
from sidecar.flow.ward import Ward
from sidecar.model.amounts import several, show_size
from sidecar.model.heal import (
    HealCall,
    HealKind,
    PruneCheckpointsHeal,
    TrimHistoryHeal,
    kind_of,
)
from sidecar.model.record import HoldBack
from sidecar.model.session import Operation, Presence, Session
from sidecar.model.stress import CheckpointMode


async def carry_out(surgery: Surgery, call: HealCall) -> str:
    """Do it, here or by whoever speaks to the machine; one sentence about it."""
    own = _OWN.get(kind_of(call.heal))
    return await (own(surgery, call) if own is not None else surgery.host.healer.heal(call))


async def _prune(surgery: Surgery, call: HealCall) -> str:
    heal, ward = call.heal, _ward(surgery)
    assert isinstance(heal, PruneCheckpointsHeal)
    limits = replace(ward.settings.checkpoints.retention, latest=heal.keep, hourly_for=0.0, days=False)
    gone = await surgery.book.prune(limits, surgery.clock.wall())
    await surgery.checkpointer.count()
    size = show_size(sum(one.size for one in gone))
    return f"removed {several(len(gone), 'checkpoint')} of {size} and the texts that only they had"


async def _drop_caches(surgery: Surgery, call: HealCall) -> str:
    surgery.tmux.drop_caches()
    await surgery.book.drop_caches()
    # Only now is there something to give back.
    return await surgery.host.healer.heal(call)


async def _trim_store(surgery: Surgery, call: HealCall) -> str:
    done = await surgery.book.trim()
    said = f"trimmed the database: {show_size(done.before)}, then {show_size(done.after)}"
    return said if done.able else f"{said}; its file stays, since an earlier release has made it"


async def _trim_history(surgery: Surgery, call: HealCall) -> str:
    heal, ward = call.heal, _ward(surgery)
    assert isinstance(heal, TrimHistoryHeal)
    if ward.stress.checkpoints is not CheckpointMode.FULL:
        raise Permanent(
            "no history is cleared while its text cannot be stored: the disk is short",
            hint="Make room on the disk of the state folder first.",
        )
    panes = lines = 0
    left: list[str] = []
    for session in await _ours(surgery, ward, heal.session):
        long = [pane for pane in session.panes() if pane.history_lines > heal.lines]
        why = await _unstored(surgery, ward, session) if long else ""
        if why:
            left.append(f"{session.name} ({why})")
        elif long:
            await surgery.tmux.clear_history({pane.id: pane.pid for pane in long})
            panes += len(long)
            lines += sum(pane.history_lines for pane in long)
    stay = f"; left as they are: {', '.join(left)}" if left else ""
    return f"cleared the history of {several(panes, 'pane')} ({several(lines, 'line')}){stay}"


async def _ours(surgery: Surgery, ward: Ward, glob: str) -> list[Session]:
    """The sessions of these names that we may act on, and that nobody else is healing.

    Raises:
        TmuxUnknown: tmux does not tell.
    """
    look = await surgery.tmux.look()
    if look.presence is Presence.UNKNOWN:
        raise TmuxUnknown(f"tmux does not tell which sessions there are: {look.reason}")
    return [
        session
        for session in look.sessions
        if fnmatchcase(session.name, glob)
        and session.name in ward.expected
        and ward.manages(session.name, session)
        and ward.cases.get(session.name) in (None, surgery.case)
    ]


async def _unstored(surgery: Surgery, ward: Ward, session: Session) -> str:
    """Store its text; why that was not done, if it was not."""
    if surgery.checkpointer.private(session.name):
        return "its text is not stored, as checkpoints.exclude says"
    # As it is expected to be: what is broken just now must not become the newest checkpoint.
    expected = ward.expected[session.name].session
    if expected is None or expected.id != session.id:
        return "it is another one than before, and not stored yet"
    saved = await surgery.checkpointer.save(expected, Operation.BEFORE_RECOVERY)
    return saved.sentence if isinstance(saved, HoldBack) else ""


def _ward(surgery: Surgery) -> Ward:
    assert surgery.ward is not None
    return surgery.ward


_OWN: Mapping[HealKind, Callable[[Surgery, HealCall], Awaitable[str]]] = MappingProxyType(
    {
        HealKind.PRUNE_CHECKPOINTS: _prune,
        HealKind.DROP_CACHES: _drop_caches,
        HealKind.TRIM_STORE: _trim_store,
        HealKind.TRIM_HISTORY: _trim_history,
    }
)
