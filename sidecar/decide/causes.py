"""What a clue is worth, and for which cause: the one table by which causes are ranked.

The weights add up for each cause. Order and identity outrank everything; a way of ending outranks what
surrounds it; the kernel's own word that it has killed for memory outranks the bare SIGKILL. A cause
for which nothing speaks is no candidate, and where there is none the answer is "unknown".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.decide import clues as clue
from sidecar.decide import clues_around as around
from sidecar.decide.clues import Clue, Clues
from sidecar.model.incident import Cause, Evidence, Hypothesis, Intent


@dataclass(frozen=True, slots=True)
class Rule:
    """One clue's weight for one cause; below 0 it speaks against it."""

    cause: Cause
    weight: int
    clue: Clue


RULES: Sequence[Rule] = (
    Rule(Cause.NEVER_STARTED, 100, clue.never_seen),
    Rule(Cause.HOST_REBOOTED, 90, clue.another_boot),
    Rule(Cause.SESSION_CLOSED, 40, clue.removed_first),
    Rule(Cause.SESSION_CLOSED, 3, clue.closed_in_server),
    Rule(Cause.SERVER_KILLED, 5, clue.server_killed),
    Rule(Cause.SERVER_CRASHED, 4, clue.server_crashed),
    Rule(Cause.SERVER_CRASHED, 2, clue.last_words),
    Rule(Cause.SERVER_CRASHED, 2, around.kernel_says_crash),
    Rule(Cause.SERVER_STOPPED, 3, clue.server_stopped),
    Rule(Cause.PROCESS_KILLED, 5, clue.killed),
    Rule(Cause.PROCESS_CRASHED, 5, clue.crashed),
    Rule(Cause.PROCESS_CRASHED, 2, around.kernel_says_crash),
    Rule(Cause.OUT_OF_MEMORY, 20, around.kernel_says_memory),
    Rule(Cause.OUT_OF_MEMORY, 9, around.counted_in_group),
    Rule(Cause.OUT_OF_MEMORY, 6, around.counted_on_machine),
    Rule(Cause.OUT_OF_MEMORY, 1, around.memory_is_tight),
    Rule(Cause.OUT_OF_MEMORY, -4, around.kernel_is_silent),
    Rule(Cause.OUT_OF_MEMORY, -4, around.quiet_in_group),
    Rule(Cause.OUT_OF_MEMORY, -4, around.quiet_on_machine),
    Rule(Cause.COMMAND_FAILED, 3, clue.failed_by_itself),
    Rule(Cause.COMMAND_FAILED, 2, clue.kept_as_failed),
    Rule(Cause.COMMAND_FAILED, 1, around.disk_is_full),
    Rule(Cause.PROCESS_ENDED, 3, clue.ended_politely),
    Rule(Cause.PROCESS_ENDED, 3, clue.shell_left),
)

_PERSONS = frozenset({Cause.SESSION_CLOSED, Cause.SERVER_STOPPED, Cause.PROCESS_ENDED})
_NEITHER = frozenset({Cause.UNKNOWN, Cause.REPORTED})


def rank(clues: Clues) -> tuple[Hypothesis, ...]:
    """The causes that may be, likeliest first; never empty."""
    told: dict[Cause, list[tuple[int, Evidence]]] = {}
    for rule in RULES:
        fact = rule.clue(clues)
        if fact is not None:
            told.setdefault(rule.cause, []).append((rule.weight, fact))
    found = [_hypothesis(cause, facts) for cause, facts in told.items()]
    # Sorting keeps the order of the table between equals.
    likely = sorted(found, key=lambda one: -one.score)
    if not likely or likely[0].score <= 0:
        likely.insert(0, Hypothesis(Cause.UNKNOWN, 0, (_unknown(clues),)))
    return tuple(likely)


def intent_of(cause: Cause) -> Intent:
    """Whether this counts as a failure or as somebody's wish."""
    if cause in _NEITHER:
        return Intent.UNKNOWN
    return Intent.PERSON if cause in _PERSONS else Intent.FAILURE


def _hypothesis(cause: Cause, facts: Sequence[tuple[int, Evidence]]) -> Hypothesis:
    return Hypothesis(
        cause,
        sum(weight for weight, _ in facts),
        tuple(fact for weight, fact in facts if weight > 0),
        tuple(fact for weight, fact in facts if weight < 0),
    )


def _unknown(clues: Clues) -> Evidence:
    if not clues.whole:
        return Evidence("record", f"how process {clues.part.pid} ended could not be learnt")
    if clues.server_lives:
        return Evidence("record", "the session went while no sidecar watched; its server lives")
    return Evidence("record", "the server went and how it ended could not be learnt")
