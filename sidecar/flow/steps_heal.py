"""Steps that heal: what a check lets be done, beyond what is done to panes."""

from __future__ import annotations

from sidecar.decide import shells
from sidecar.decide.targets import pane_of
from sidecar.errors import HealInVain, Permanent, Temporary, TmuxUnknown
from sidecar.flow import heals_own
from sidecar.flow.surgery import Surgery
from sidecar.model.heal import HealCall, PaneTarget, SignalHeal
from sidecar.model.plan import Step
from sidecar.model.running import ProcessState
from sidecar.model.session import Look, Pane, Presence

_POLL = 0.1


async def heal(surgery: Surgery, step: Step) -> None:
    """Do it, and say what was done."""
    _said(surgery, await heals_own.carry_out(surgery, await _call(surgery, step)))


async def take_back(surgery: Surgery, step: Step) -> None:
    """Undo it, and say so."""
    _said(surgery, await surgery.host.healer.take_back(await _call(surgery, step)))


async def prove(surgery: Surgery, step: Step) -> None:
    """Ask until the check passes, for as long as a heal may take to show.

    Raises:
        HealInVain: it does not.
    """
    deadline = surgery.clock.monotonic() + surgery.plan.expectation.seconds
    while await surgery.still(await surgery.tmux.look()):
        if surgery.clock.monotonic() >= deadline:
            raise HealInVain(
                f"check {step.what} still fails after its heal", hint="What was done is taken back."
            )
        await surgery.clock.sleep(_POLL)


def _said(surgery: Surgery, words: str) -> None:
    surgery.progress.said = words
    surgery.say(words)


async def _call(surgery: Surgery, step: Step) -> HealCall:
    assert step.heal is not None
    aimed: ProcessState | None = None
    again = surgery.progress.again or surgery.case.unfinished is not None
    servers: frozenset[int] = frozenset()
    if isinstance(step.heal, SignalHeal):
        look = await surgery.tmux.look()
        servers = frozenset({look.server.pid} if look.server is not None else ())
        if step.heal.target is not None:
            try:
                aimed = _aimed(surgery, look, step.heal.target)
            except Permanent:
                # It may have gone by an attempt that was cut off; whoever sent the signal knows.
                if not again:
                    raise
    return HealCall(
        heal=step.heal,
        mark=surgery.mark,
        check=step.what,
        subject=surgery.plan.session,
        facts=tuple(each.fact for each in surgery.plan.finding.evidence),
        again=again,
        process=aimed,
        servers=servers,
    )


def _aimed(surgery: Surgery, look: Look, target: PaneTarget) -> ProcessState | None:
    """The program in front of a pane, or the pane's own where that is no shell; None if there is none.

    Raises:
        Temporary: that cannot be told just now.
        Permanent: there is no such pane.
    """
    pane = _pane_at(look, target)
    if pane.dead:
        return None
    if pane.program is None and not pane.argv:
        raise Temporary(f"what runs in {target} cannot be told just now", hint="It may be starting.")
    if pane.program is None and shells.is_shell(pane.argv):
        return None
    state = surgery.host.stopped.state(pane.program.pid if pane.program is not None else pane.pid)
    # A number that has become another's since the look is not in the session of the pane's process.
    return state if state is not None and state.session == pane.pid else None


def _pane_at(look: Look, target: PaneTarget) -> Pane:
    """The pane that a target names.

    Raises:
        TmuxUnknown: tmux does not tell.
        Permanent: there is none.
    """
    if look.presence is Presence.UNKNOWN:
        raise TmuxUnknown(f"tmux does not tell which pane {target} is: {look.reason}")
    session = look.find(target.session) if look.presence is Presence.PRESENT else None
    pane = pane_of(session, target) if session is not None else None
    if pane is None:
        raise Permanent(f"there is no pane {target}", hint="`tmux list-panes -a` shows those that there are.")
    return pane
