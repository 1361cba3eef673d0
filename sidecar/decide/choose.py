"""What to do about a finding: a plan, or a refusal with its reason.

Everything that could forbid an action is asked here, in one order: whose session it is,
whether a person meant it, what the ladder allows, whether there is something to restore from,
and then the limits (given up, budget, circuit). A person who asks may pass the limits that
protect against loops, never those that protect healthy sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sidecar.decide import climb, fallback
from sidecar.decide.by_hand import asking
from sidecar.decide.disconnect import hands_off
from sidecar.decide.firm import forbidden, permitted
from sidecar.decide.fitting import fitting
from sidecar.decide.frozen import hopeless
from sidecar.decide.limits import exceeded, resting
from sidecar.decide.material import lacking
from sidecar.decide.own import own_fitting
from sidecar.decide.plans import plan_for
from sidecar.decide.quiet import under_maintenance
from sidecar.decide.restart import held_back
from sidecar.decide.restore import Resume
from sidecar.decide.situation import Situation
from sidecar.decide.withheld import withheld
from sidecar.model.incident import Asker, Cause, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Plan, Refusal, RefusalReason, Resort, Strategy
from sidecar.model.policy import Mode, Restore


def choose(situation: Situation, resume: Resume) -> Plan | Refusal:
    """Decide. Pure: the same situation always gives the same answer."""
    known = hands_off(situation.finding) or _resorts(situation)
    if isinstance(known, Refusal):
        return known
    resort = _pick(situation, known)
    if resort is None:
        return _exhausted(situation)
    refusal = (
        _duty(situation)
        or lacking(situation, resort)
        or held_back(situation)
        or exceeded(situation, resort.strategy)
    )
    if refusal is not None:
        return refusal
    plan = plan_for(situation, resort, resume, fallback.following(known, situation.tried, resort))
    plan = replace(plan, rung=known[0].strategy)
    if situation.mode is Mode.OBSERVE and situation.asker is not Asker.OPERATOR:
        steps = ", ".join(step.describe() for step in plan.steps)
        return Refusal(
            RefusalReason.OBSERVE_MODE,
            f"observe mode: {resort} would have been done ({steps})",
            hint="Set recovery.mode to auto, or ask with `sidecar recover`.",
            plan=plan,
        )
    return plan


def _resorts(situation: Situation) -> tuple[Resort, ...] | Refusal:
    """All that may be tried, in order."""
    failure, cause = situation.finding.failure, situation.finding.cause
    helps = fits = fitting(failure, cause)
    if situation.asker is not Asker.OPERATOR:
        fits = permitted(situation.finding, helps)
    if situation.order is None:
        fits = (*fits, *own_fitting(situation.ladder, situation.finding))
    refusal = hopeless(situation.finding) or withheld(situation)
    if refusal is not None:
        return refusal
    if not fits and helps:
        return forbidden(situation.finding)
    if not fits:
        return Refusal(
            RefusalReason.NO_STRATEGY,
            f"nothing is known that mends a {failure.unit} that is {failure.kind} ({cause})",
        )
    asked = situation.asked_strategy
    if asked is not None and asked not in fits:
        return Refusal(
            RefusalReason.NO_STRATEGY,
            f"{asked} does not fit: the broken unit is a {failure.unit}",
            hint=f"Leave the strategy out, or ask for {fits[0]}.",
        )
    if situation.order is not None:
        # A restore that is asked for by name needs no ladder to allow it, and is that one or none.
        return (Resort(fits[0]),)
    allowed = _from_the_rung(situation, fits)
    if not allowed or (asked is not None and asked not in allowed):
        return Refusal(
            RefusalReason.NO_STRATEGY,
            f"the ladder for {failure.kind} has no strategy that fits",
            hint=f"Add {asked or fits[0]} to recovery.ladders.{failure.kind}.",
        )
    return (Resort(asked),) if asked is not None else fallback.resorts(allowed, failure.unit)


def _from_the_rung(situation: Situation, fits: Sequence[Strategy]) -> tuple[Strategy, ...]:
    """The strategies that fit, from the rung on which the session stands."""
    finding = situation.finding
    ladder = [rung.strategy for rung in situation.ladder]
    if finding.cause is Cause.NEVER_STARTED:
        # What is stored under its name is older than the wish to have it as it is declared.
        ladder.sort(key=lambda strategy: strategy is not Strategy.REBUILD_WORKSPACE)
    place = climb.rung(
        ladder, situation.footing, finding, situation.alert, situation.limits.stable, situation.now
    )
    return climb.order(ladder, place, fits)


def _pick(situation: Situation, known: Sequence[Resort]) -> Resort | None:
    """The first that can be done; of what cannot, the first is the one to speak of. None: all was tried."""
    left = fallback.untried(known, situation.tried)
    usable = [each for each in left if lacking(situation, each) is None]
    if situation.tried:
        left = tuple(usable)
    ready = (each for each in usable if resting(situation, each.strategy) is None)
    return next(ready, next(iter(usable or left), None))


def _exhausted(situation: Situation) -> Refusal:
    tried = ", ".join(map(str, situation.tried))
    return Refusal(
        RefusalReason.EXHAUSTED,
        f"all that could be done was tried in vain: {tried}",
        hint=f"`{asking('explain', situation.finding.failure.session)}` tells what is wrong.",
    )


def _duty(situation: Situation) -> Refusal | None:
    name = situation.finding.failure.session
    if situation.released:
        return Refusal(
            RefusalReason.RELEASED,
            f"{name} was released by a person",
            hint=f"`{asking('adopt', name)}` first.",
        )
    if not situation.managed:
        return Refusal(
            RefusalReason.NOT_MANAGED,
            f"{name} is not managed: sessions.manage, sessions.ignore or its option @sidecar says so",
        )
    if situation.asker is Asker.OPERATOR:
        return None
    if situation.maintenance is not None:
        return under_maintenance(name, situation.maintenance, situation.now)
    if situation.restore is Restore.NEVER:
        return Refusal(
            RefusalReason.POLICY_NEVER,
            f"restore is `never` for {name}",
            hint=f"`{asking('recover', name)}` brings it back.",
        )
    return _intent(situation, name)


def _intent(situation: Situation, name: str) -> Refusal | None:
    finding = situation.finding
    if situation.member is not None:
        # Its own rule says what of it comes back.
        return None
    if finding.intent is Intent.FAILURE or (situation.restore is Restore.ALWAYS and _always_back(finding)):
        return None
    if finding.intent is Intent.PERSON:
        return Refusal(
            RefusalReason.CLOSED_BY_PERSON,
            f"a person closed it ({finding.cause}); it stays closed",
            hint=f"`{asking('recover', name)}` brings it back.",
        )
    if situation.asker is Asker.ALERT:
        return None
    return Refusal(
        RefusalReason.CAUSE_UNKNOWN,
        "how it ended could not be learnt, so it is held",
        hint=f"`{asking('recover', name)}` brings it back.",
    )


def _always_back(finding: Finding) -> bool:
    """What comes back by policy alone: a whole session, and a dead pane that ended nobody knows how."""
    failure = finding.failure
    if failure.unit in (Unit.SESSION, Unit.SERVER):
        return True
    dead = failure.kind is FailureKind.CRASHED and all(part.unit is Unit.PANE for part in failure.broken)
    return dead and finding.intent is Intent.UNKNOWN
