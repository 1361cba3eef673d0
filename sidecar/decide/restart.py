"""The plan by which a program under supervision is started again, and how it comes back with its session.

Nothing of its siblings is touched or waited for: each of them has a decision of its own. The state is
stored behind the start and not before it, since a restart takes nothing away.
"""

from __future__ import annotations

import shlex
from dataclasses import replace

from sidecar.decide.shells import command_line
from sidecar.decide.situation import Situation
from sidecar.decide.supervise import Member, refusal
from sidecar.model.incident import Asker, Unit
from sidecar.model.plan import (
    Entry,
    Expectation,
    Refusal,
    RefusalReason,
    Resumption,
    Step,
    StepKind,
)
from sidecar.model.session import Pane
from sidecar.model.supervise import ProgramRule


def held_back(situation: Situation) -> Refusal | None:
    """Why the rule of the program lets it not be started now; nothing holds up a person who asks."""
    member, ruling = situation.member, situation.ruling
    if member is None or ruling is None or situation.asker is Asker.OPERATOR:
        return None
    return refusal(member, ruling, situation.now)


def restart_plan(
    situation: Situation, pane: Pane, found: Resumption | None
) -> tuple[tuple[Step, ...], Expectation]:
    """Start it where it was. ``found`` is how the program of the pane would come back without the rule."""
    member = situation.member
    assert member is not None
    if member.unit is Unit.PANE:
        step = Step(StepKind.RESPAWN_PANE, pane.id, pane.pid, pane.cwd, _own(member, found))
        replaced: tuple[tuple[str, int], ...] = ((pane.id, pane.pid),)
    else:
        line = _typed(member, found, situation.session.default_shell if situation.session else "")
        step, replaced = Step(StepKind.START_PROGRAM, pane.id, pane.pid, resumption=line), ()
    return (step, Step(StepKind.SAVE)), Expectation(image=None, replaced=replaced)


def untypeable(situation: Situation) -> Refusal | None:
    """Why the line that would start it cannot be typed; None if it can."""
    member, session = situation.member, situation.session
    if member is None or member.unit is Unit.PANE or session is None:
        return None
    argv = member.rule.run or member.life.argv
    if argv and command_line(argv, session.default_shell) is not None:
        return None
    return Refusal(
        RefusalReason.NO_STRATEGY,
        f"the command line of {member.label} in {member.spot} cannot be typed safely into its shell",
        hint="Give the program a pane of its own: a pane that is started as the command needs no line.",
    )


def by_rule(label: str, rule: ProgramRule, found: Resumption, shell: str) -> Resumption | None:
    """How a program under supervision comes back with its session: entered, since its rule names it.

    None where its rule starts it later, once what it comes after is well.
    """
    if rule.after and rule.run and found.entry is not Entry.STARTED:
        return None
    if found.entry is not Entry.HELD:
        return found
    line = command_line(rule.run or found.argv, shell)
    if line is None:
        return found
    argv = rule.run or found.argv
    return replace(found, entry=Entry.TYPED, line=line, argv=argv, reason=f"rule {label} of programs")


def _own(member: Member, found: Resumption | None) -> Resumption | None:
    run = member.rule.run
    if not run:
        return found if found is not None and found.entry is Entry.STARTED else None
    return Resumption(
        member.spot.index, member.spot.pane, Entry.STARTED, shlex.join(run), member.life.argv,
        f"rule {member.label} of programs", command=run,
    )  # fmt: skip


def _typed(member: Member, found: Resumption | None, shell: str) -> Resumption:
    if found is not None and found.entry is Entry.TYPED and not member.rule.run:
        return found
    argv = member.rule.run or member.life.argv
    return Resumption(
        member.spot.index, member.spot.pane, Entry.TYPED, command_line(argv, shell) or "", argv,
        f"rule {member.label} of programs",
    )  # fmt: skip
