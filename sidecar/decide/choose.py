"""What to do about a finding: a plan, or a refusal with its reason.

Everything that could forbid an action is asked here, in one order: whose session it is,
whether a person meant it, what the ladder allows, whether there is something to restore from,
and then the limits (given up, budget, circuit). A person who asks may pass the limits that
protect against loops, never those that protect healthy sessions.
"""

from __future__ import annotations

from sidecar.decide.disconnect import hands_off
from sidecar.decide.fitting import fitting
from sidecar.decide.frozen import hopeless
from sidecar.decide.limits import exceeded, resting
from sidecar.decide.material import lacking
from sidecar.decide.plans import plan_for
from sidecar.decide.restore import Resume
from sidecar.decide.situation import Situation
from sidecar.model.incident import Asker, Cause, Intent, Unit
from sidecar.model.plan import Plan, Refusal, RefusalReason, Strategy
from sidecar.model.policy import Mode, Restore


def choose(situation: Situation, resume: Resume) -> Plan | Refusal:
    """Decide. Pure: the same situation always gives the same answer."""
    strategy = hands_off(situation.finding) or _strategy(situation)
    if isinstance(strategy, Refusal):
        return strategy
    refusal = _duty(situation) or lacking(situation, strategy) or exceeded(situation, strategy)
    if refusal is not None:
        return refusal
    plan = plan_for(situation, strategy, resume)
    if situation.mode is Mode.OBSERVE and situation.asker is not Asker.OPERATOR:
        steps = ", ".join(step.describe() for step in plan.steps)
        return Refusal(
            RefusalReason.OBSERVE_MODE,
            f"observe mode: {strategy} would have been done ({steps})",
            hint="Set recovery.mode to auto, or ask with `sidecar recover`.",
        )
    return plan


def _strategy(situation: Situation) -> Strategy | Refusal:
    fits = fitting(situation.finding.failure, situation.finding.cause)
    refusal = hopeless(situation.finding)
    if refusal is not None:
        return refusal
    if not fits:
        return Refusal(
            RefusalReason.NO_STRATEGY,
            f"nothing is known that mends a {situation.finding.failure.unit} that is "
            f"{situation.finding.failure.kind} ({situation.finding.cause})",
        )
    asked = situation.asked_strategy
    if asked is not None and asked not in fits:
        return Refusal(
            RefusalReason.NO_STRATEGY,
            f"{asked} does not fit: the broken unit is a {situation.finding.failure.unit}",
            hint=f"Leave the strategy out, or ask for {fits[0]}.",
        )
    # A restore that is asked for by name needs no ladder to allow it.
    ladder = [rung.strategy for rung in situation.ladder] if situation.order is None else fits[:1]
    allowed = [strategy for strategy in ladder if strategy in fits]
    if situation.finding.cause is Cause.NEVER_STARTED:
        # What is stored under its name is older than the wish to have it as it is declared.
        allowed.sort(key=lambda strategy: strategy is not Strategy.REBUILD_WORKSPACE)
    if not allowed or (asked is not None and asked not in allowed):
        return Refusal(
            RefusalReason.NO_STRATEGY,
            f"the ladder for {situation.finding.failure.kind} has no strategy that fits",
            hint=f"Add {asked or fits[0]} to recovery.ladders.{situation.finding.failure.kind}.",
        )
    if asked is not None:
        return asked
    usable = [strategy for strategy in allowed if lacking(situation, strategy) is None] or allowed
    return next((strategy for strategy in usable if resting(situation, strategy) is None), usable[0])


def _duty(situation: Situation) -> Refusal | None:
    name = situation.finding.failure.session
    if situation.released:
        return Refusal(
            RefusalReason.RELEASED, f"{name} was released by a person", hint=f"`sidecar adopt {name}` first."
        )
    if not situation.managed:
        return Refusal(
            RefusalReason.NOT_MANAGED,
            f"{name} is not managed: sessions.manage, sessions.ignore or its option @sidecar says so",
        )
    if situation.asker is Asker.OPERATOR:
        return None
    if situation.restore is Restore.NEVER:
        return Refusal(
            RefusalReason.POLICY_NEVER,
            f"restore is `never` for {name}",
            hint=f"`sidecar recover {name}` brings it back.",
        )
    return _intent(situation, name)


def _intent(situation: Situation, name: str) -> Refusal | None:
    finding = situation.finding
    whole = finding.failure.unit in (Unit.SESSION, Unit.SERVER)
    if finding.intent is Intent.FAILURE or (situation.restore is Restore.ALWAYS and whole):
        return None
    if finding.intent is Intent.PERSON:
        return Refusal(
            RefusalReason.CLOSED_BY_PERSON,
            f"a person closed it ({finding.cause}); it stays closed",
            hint=f"`sidecar recover {name}` brings it back.",
        )
    if situation.asker is Asker.ALERT:
        return None
    return Refusal(
        RefusalReason.CAUSE_UNKNOWN,
        "how it ended could not be learnt, so it is held",
        hint=f"`sidecar recover {name}` brings it back.",
    )
