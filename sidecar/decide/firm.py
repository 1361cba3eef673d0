"""What may be done, where a rule allows it, about a program that runs and does not go on: it is ended.

The state is stored first. At first it is only interrupted, and one that goes on after that is left
alone; what has ended is started again by the rules by which it would come back after a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

from sidecar.model.heartbeat import May
from sidecar.model.incident import Broken, FailureKind, Finding, Unit
from sidecar.model.plan import (
    Entry,
    Expectation,
    Refusal,
    RefusalReason,
    Resumption,
    Step,
    StepKind,
    Strategy,
)
from sidecar.model.session import Pane, Session
from sidecar.model.supervise import Stop

_RULED: Mapping[Strategy, May] = MappingProxyType(
    {Strategy.INTERRUPT_PROGRAM: May.INTERRUPT, Strategy.RESPAWN_PANE: May.RESPAWN}
)
"""What each of these needs to be allowed."""


def permitted(finding: Finding, strategies: Collection[Strategy]) -> tuple[Strategy, ...]:
    """Those of the strategies that the rule behind the finding allows; all, where it is not about a rule."""
    if not ends_a_program(finding):
        return tuple(strategies)
    return tuple(one for one in strategies if one not in _RULED or _RULED[one] in finding.may)


def forbidden(finding: Finding) -> Refusal:
    """Why nothing is done about a program that only its end would mend."""
    return Refusal(
        RefusalReason.REPORT_ONLY,
        f"no rule lets the program be ended that is frozen ({finding.cause})",
        hint=f"`sidecar recover {finding.failure.session}` does it now; a rule allows it with "
        "heartbeats[].may: [interrupt, respawn].",
    )


def ends_a_program(finding: Finding) -> bool:
    """Whether a program that runs would have to be ended to mend this."""
    return finding.failure.kind is FailureKind.FROZEN and finding.failure.unit is Unit.PROGRAM


ComesBack = Callable[[int, Pane], Resumption | None]
"""How the program of a pane comes back; the number is its window's index."""


def firm_plan(
    finding: Finding,
    session: Session,
    comes_back: ComesBack,
    first: StepKind,
    stops: Mapping[str, Stop] = MappingProxyType({}),
) -> tuple[tuple[Step, ...], Expectation]:
    """Save, do ``first`` to what is in front of each pane, and start again what has ended by that.

    ``stops`` are the ways in which programs want to be ended, by pane id.
    """
    broken = {part.pane: part for part in finding.failure.broken}
    steps = [Step(StepKind.SAVE)]
    for window in session.windows:
        for pane in window.panes:
            if pane.id in broken and not pane.dead:
                part = broken[pane.id]
                stop = stops.get(pane.id) if first is StepKind.END else None
                steps.append(Step(first, pane.id, part.pid, started=part.started, stop=stop))
                steps.extend(_again(pane, part, comes_back(window.index, pane)))
    alone = {pane.id for pane in session.panes() if pane.id in broken and _is_own(pane, broken[pane.id])}
    untouched = tuple((p.id, p.pid) for p in session.panes() if not p.dead and p.id not in alone)
    ended = first is StepKind.END
    replaced = tuple((p.id, p.pid) for p in session.panes() if ended and p.id in alone)
    return tuple(steps), Expectation(image=None, untouched=untouched, replaced=replaced)


def _is_own(pane: Pane, part: Broken) -> bool:
    """Whether it is the pane's own process, and no program in a shell."""
    return pane.pid == part.pid


def _again(pane: Pane, part: Broken, found: Resumption | None) -> Iterator[Step]:
    if _is_own(pane, part):
        own = found if found is not None and found.entry is Entry.STARTED else None
        yield Step(StepKind.RESPAWN_PANE, pane.id, pane.pid, pane.cwd, own, unless=part.pid)
    elif found is not None:
        yield Step(StepKind.START_PROGRAM, pane.id, pane.pid, resumption=found, unless=part.pid)
