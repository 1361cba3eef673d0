"""The plan of a heal: what is done to a pane in steps that there are already, all else in one of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sidecar.decide.check import heal_of, works_on_pane
from sidecar.decide.detect import NOT_RUNNING
from sidecar.decide.firm import firm_plan
from sidecar.decide.heal_steps import heal_step
from sidecar.decide.restore import Resume
from sidecar.decide.shells import is_shell
from sidecar.decide.situation import Situation
from sidecar.model.check import Check
from sidecar.model.heal import Heal
from sidecar.model.incident import Broken
from sidecar.model.plan import Entry, Expectation, Resumption, Step, StepKind
from sidecar.model.session import Pane, Process, Session, SessionImage, image_of
from sidecar.model.supervise import Stop

_SHOWS, _LONGEST = 10.0, 60.0
"""Seconds within which a heal has to show, and the most that the grace of a check makes of them."""

_STOP = Stop()
"""How a program is asked to end before it is killed."""

ComesBack = Callable[[SessionImage, int, Pane, Resume], Resumption | None]


def heal_plan(
    situation: Situation, resume: Resume, comes_back: ComesBack
) -> tuple[tuple[Step, ...], Expectation]:
    """What is done, and what has to be true after it. ``comes_back`` finds a pane in an image."""
    check = situation.check
    assert check is not None
    heal = heal_of(check, situation.vain)
    assert heal is not None
    steps, expectation = (
        _pane_plan(situation, check, resume, comes_back) if works_on_pane(heal) else _plain_plan(heal, check)
    )
    return steps, replace(expectation, seconds=_patience(check))


def _patience(check: Check) -> float:
    return min(max(_SHOWS, check.grace), _LONGEST)


def _plain_plan(heal: Heal, check: Check) -> tuple[tuple[Step, ...], Expectation]:
    step = heal_step(heal, check.name)
    # What can be taken back is, unless the check passes after it.
    proof = (Step(StepKind.PROVE, what=check.name),) if step.kind is StepKind.HEAL_TRIAL else ()
    return (step, *proof), Expectation(None, apart=True)


def _pane_plan(
    situation: Situation, check: Check, resume: Resume, comes_back: ComesBack
) -> tuple[tuple[Step, ...], Expectation]:
    session, (part,) = situation.session, situation.finding.failure.broken
    assert session is not None
    window, pane = next((w, p) for w in session.windows for p in w.panes if p.id == part.pane)
    if part.ran and part.pid == NOT_RUNNING:
        session, pane = _with_program(session, part), replace(pane, program=Process(NOT_RUNNING, part.ran))
    image = image_of(session, width=0, height=0)
    found = _entered(comes_back(image, window.index, pane, resume), check)
    if pane.dead:
        own = found if found is not None and found.entry is Entry.STARTED else None
        again = Step(StepKind.RESPAWN_PANE, pane.id, pane.pid, pane.cwd, own)
        return (Step(StepKind.SAVE), again), Expectation(
            None, untouched=_siblings(session, part), replaced=((pane.id, pane.pid),)
        )
    if part.pid == NOT_RUNNING:
        start = (Step(StepKind.START_PROGRAM, pane.id, pane.pid, resumption=found),) if found else ()
        return (Step(StepKind.SAVE), *start), Expectation(None, untouched=_siblings(session))
    # A shell has nothing to put in order, and does not end when it is asked to.
    ruled = {where: rule.stop for where, rule in situation.programs.items()}
    stops = ruled if is_shell(pane.argv) else {pane.id: _STOP, **ruled}
    steps, expectation = firm_plan(situation.finding, session, lambda _, __: found, StepKind.END, stops)
    if part.pid == pane.pid and pane.program is not None:
        # What runs in front of it goes first, by the signal that lets it put things in order.
        front = Step(StepKind.END, pane.id, pane.program.pid)
        steps = (steps[0], front, *steps[1:])
    return steps, expectation


def _entered(found: Resumption | None, check: Check) -> Resumption | None:
    """Whoever lets a program be restarted wants its line entered, also where no rule does."""
    if found is None or found.entry is not Entry.HELD:
        return found
    return replace(found, entry=Entry.TYPED, reason=f"heal of check {check.name}")


def _with_program(session: Session, part: Broken) -> Session:
    """The session as it was when the program still ran that has ended since."""
    windows = tuple(
        replace(
            window,
            panes=tuple(
                replace(pane, program=Process(NOT_RUNNING, part.ran)) if pane.id == part.pane else pane
                for pane in window.panes
            ),
        )
        for window in session.windows
    )
    return replace(session, windows=windows)


def _siblings(session: Session, part: Broken | None = None) -> tuple[tuple[str, int], ...]:
    """(pane id, pid) of all that lives in it, but for the broken part."""
    other = part.pane if part else ""
    return tuple((pane.id, pane.pid) for pane in session.panes() if not pane.dead and pane.id != other)
