"""Plans of users' own strategies: the state before is stored, then come their steps."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.decide.situation import Situation
from sidecar.model.extension import Extension, OwnStep
from sidecar.model.incident import FailureKind, Finding, Unit
from sidecar.model.ladder import Ladder, rung_of
from sidecar.model.plan import Expectation, Step, StepKind, Strategy
from sidecar.model.session import image_of

_CHECK = "verify"


def own_fitting(ladder: Ladder, finding: Finding) -> tuple[Strategy, ...]:
    """Those of users' own strategies on this ladder that can mend this."""
    return tuple(
        rung.strategy
        for rung in ladder
        if rung.extension is not None and rung.extension.suits(finding.failure, finding.cause)
    )


def own_plan(situation: Situation, strategy: Strategy) -> tuple[tuple[Step, ...], Expectation]:
    """Its steps, and what has to be true after them."""
    extension = rung_of(situation.ladder, strategy).extension
    assert extension is not None
    return tuple(_steps(extension)), _expectation(situation, extension)


def _steps(extension: Extension) -> Iterator[Step]:
    yield Step(StepKind.SAVE)
    for own in extension.steps:
        kind = StepKind.CUSTOM_STEP if own.undoable else StepKind.CUSTOM_FINAL
        yield Step(kind, what=f"{own.name!r}, {extension.package}", own=own)
    if extension.verify_seconds:
        own = OwnStep(_CHECK, undoable=False, seconds=extension.verify_seconds)
        yield Step(StepKind.CUSTOM_CHECK, what=extension.package, own=own)


def _expectation(situation: Situation, extension: Extension) -> Expectation:
    """What was healthy is untouched. Where the strategy does not judge itself, the session is as it was."""
    session, failure = situation.session, situation.finding.failure
    assert session is not None
    broken = {part.pane: part for part in failure.broken}
    # Of a session that is broken as a whole, nothing is healthy.
    panes = [] if failure.unit is Unit.SESSION else list(session.panes())
    untouched = tuple((pane.id, pane.pid) for pane in panes if pane.id not in broken and not pane.dead)
    if extension.verify_seconds or failure.kind is FailureKind.CORRUPTED:
        # As it was is just what it must not stay; who has found the damage is asked again.
        return Expectation(None, untouched=untouched)
    ended = tuple(
        (pane.id, pane.pid) for pane in panes if pane.id in broken and broken[pane.id].unit is Unit.PANE
    )
    image = image_of(session, width=0, height=0)
    return Expectation(image, untouched=untouched, replaced=ended, tolerated_cwd=situation.missing)
