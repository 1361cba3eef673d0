"""Why it broke, and whether a person meant it: by evidence, never by guess.

Order outranks status. A pane that is still there, dead, ended by itself (managed windows keep
such panes); one that vanished together with its session was closed by tmux, whatever its exit
status. A server that was killed takes its sessions along; one that exited 0 was told to.
"Unknown" is a result. The facts are in ``clues``, what each is worth in ``causes``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sidecar.decide import around
from sidecar.decide.causes import intent_of, rank
from sidecar.decide.clues import Clues, Context, exit_fact
from sidecar.model.incident import (
    Broken,
    Cause,
    Evidence,
    Failure,
    Finding,
    Hypothesis,
    Intent,
    Role,
    Unit,
)

TOGETHER = 10.0
"""Seconds within which kills for memory are one shortage, however many sessions they hit."""
_GRAVEST_FIRST = (Intent.FAILURE, Intent.UNKNOWN, Intent.PERSON)


@dataclass(frozen=True, slots=True)
class Opinion:
    """The cause of one broken part."""

    cause: Cause
    intent: Intent
    evidence: tuple[Evidence, ...]
    origin: str = ""
    hypotheses: tuple[Hypothesis, ...] = ()


def diagnose(
    failure: Failure,
    context: Context,
    is_shell: Callable[[Sequence[str]], bool],
    recorded: Opinion | None = None,
    recent: Iterable[Finding] = (),
) -> tuple[Finding, ...]:
    """One finding for each cause of a failure, graver intents first.

    Parts that share cause and intent stay together, so that one plan heals them. ``is_shell`` tells
    whether an argv is an interactive shell, whose own exit is a person's doing. ``recorded`` is what an
    earlier run of ours had found out about this failure, before it ended in the middle of it; ``recent``
    are findings about other sessions, with which this one may share its origin.
    """
    groups: dict[tuple[Cause, Intent, str, bool, bool], list[tuple[Broken, Opinion]]] = {}
    for part in failure.broken:
        opinion = _opinion(Clues(part, context, is_shell), recorded)
        # A window that is gone has a plan of its own, and so has a pane.
        kind = (opinion.cause, opinion.intent, opinion.origin, part.unit is Unit.WINDOW, part.gone)
        groups.setdefault(kind, []).append((part, opinion))
    findings = [_finding(failure, found) for found in groups.values()]
    shared = [replace(finding, origin=_shared(finding, recent)) for finding in findings]
    return tuple(sorted(shared, key=lambda finding: _GRAVEST_FIRST.index(finding.intent)))


def _finding(failure: Failure, found: Sequence[tuple[Broken, Opinion]]) -> Finding:
    """Parts of one cause, with all that is known about each."""
    opinion = found[0][1]
    return Finding(
        replace(failure, broken=tuple(part for part, _ in found)),
        opinion.cause,
        opinion.intent,
        tuple(dict.fromkeys(fact for _, each in found for fact in each.evidence)),
        opinion.origin or f"{failure.session}@{failure.first_sign:.6f}",
        opinion.hypotheses,
    )


def _opinion(clues: Clues, recorded: Opinion | None) -> Opinion:
    ranked = rank(clues)
    likeliest = ranked[0]
    if likeliest.cause is Cause.UNKNOWN and recorded is not None:
        return recorded
    facts = (*likeliest.supports, *_plain(clues), *likeliest.contradicts)
    return Opinion(
        likeliest.cause,
        intent_of(likeliest.cause),
        tuple(dict.fromkeys((*facts, *around.told(clues.context.surroundings)))),
        _origin(likeliest.cause, clues),
        ranked,
    )


def _plain(clues: Clues) -> tuple[Evidence, ...]:
    """What is so, whatever the cause."""
    part = clues.part
    facts = [exit_fact(end) for end in clues.ends]
    if part.unit is Unit.WINDOW:
        facts.append(Evidence("tmux", f"window {part.window} is gone, and no other session has it"))
    if part.gone:
        facts.append(
            Evidence("order", f"pane {part.pane} of window {part.window} is gone, and in no other window")
        )
    if part.unit is Unit.PANE and clues.context.look.pane(part.pane) is not None:
        facts.append(Evidence("tmux", f"pane {part.pane} is dead, its process was {part.pid}"))
    return tuple(facts)


def _origin(cause: Cause, clues: Clues) -> str:
    """What all sessions have in common that broke by one event; empty where there is none."""
    if cause is Cause.NEVER_STARTED:
        # All that a start has to create is one incident.
        return "declared, never started"
    if cause is Cause.HOST_REBOOTED:
        return f"boot {clues.context.boot_id}"
    expected = clues.context.expected
    by_server = not clues.fatal or any(end.role is Role.SERVER for end in clues.fatal)
    if clues.whole and not clues.server_lives and by_server and expected is not None:
        return f"server {expected.instance.rpartition('/')[0]}"
    return ""


def _shared(finding: Finding, recent: Iterable[Finding]) -> str:
    """One shortage of memory is one origin, and costs one unit of budget."""
    if finding.cause is not Cause.OUT_OF_MEMORY or finding.origin.startswith("server "):
        return finding.origin
    for other in recent:
        near = abs(other.failure.first_sign - finding.failure.first_sign) <= TOGETHER
        if other.cause is Cause.OUT_OF_MEMORY and near:
            return other.origin
    return finding.origin
