"""What must be true of every history, each as a function from the rows to what contradicts it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chaos.history import History, Row
from sidecar.config import RecoverySettings
from sidecar.decide import budget
from sidecar.decide.wall import age
from sidecar.model.incident import Asker, IncidentState
from sidecar.model.lifecycle import CLOSED, MOVES
from sidecar.model.record import Action

_MOVES = {old.value: {new.value for new in following} for old, following in MOVES.items()}
_TRANSACTIONS = ("committed", "compensated", "stuck")
_ATTEMPT_ENDED = ("done", "failed", "refused")


class Invariant(StrEnum):
    """What is held against a history."""

    CHAIN = "chain"
    """The audit trail is whole."""
    INCIDENT = "incident"
    """No incident is lost: each is closed, or waits for something that has a reason."""
    MOVE = "move"
    """The trail tells every move of an incident, and each is a legal one."""
    ALERT = "alert"
    """Every accepted alert is settled or skipped with a reason, or pending."""
    OVERLAP = "overlap"
    """Nothing is acted on twice at once."""
    TRANSACTION = "transaction"
    """Every plan ended as a whole, or is the one still running."""
    ONCE = "once"
    """Each effect stands in the journal exactly once, written before and after."""
    ORDER = "order"
    """Steps in their order, and undone in reverse."""
    BUDGET = "budget"
    """No budget is exceeded."""
    RECORD = "record"
    """Every recovery has its audit rows, and every audit row its recovery."""
    COUNTER = "counter"
    """Every counter equals its rows."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One contradiction: what it is against, and the row in which it shows."""

    invariant: Invariant
    table: str
    row: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.table} {self.row}: {self.sentence}"


Found = Iterator[Violation]
Check = Callable[[History], Found]


def chain(history: History) -> Found:
    if history.broken is not None:
        yield Violation(Invariant.CHAIN, "audit", history.broken.row, history.broken.sentence)


def incidents(history: History) -> Found:
    running = {row["incident"] for row in history.recoveries if row["state"] == "running"}
    waiting: dict[str, int] = {}
    for row in history.incidents:
        if fault := _incident_fault(row, row["id"] in running):
            yield Violation(Invariant.INCIDENT, "incidents", row["id"], fault)
        if row["closed"] is None:
            if row["session"] in waiting:
                words = f"incident {waiting[row['session']]} of {row['session']!r} waits too"
                yield Violation(Invariant.INCIDENT, "incidents", row["id"], words)
            waiting[row["session"]] = row["id"]


def _incident_fault(row: Row, running: bool) -> str:
    state = row["state"]
    if state not in MOVES:
        return f"{state!r} is no state"
    if (row["closed"] is not None) != (state in CLOSED):
        return f"it is {state}, and closed is {row['closed']}"
    if state == IncidentState.RECOVERING and not running:
        return "it is recovering, and no recovery of it runs"
    if state in (IncidentState.HELD, IncidentState.GIVEN_UP) and not row["reason"]:
        return f"it is {state} without a reason"
    return ""


def moves(history: History) -> Found:
    told = history.of("incident", Action.INCIDENT_OPENED, Action.INCIDENT_MOVED)
    states = {row["id"]: row for row in history.incidents}
    for row in history.incidents:
        if ("incidents", row["id"]) in history.mended or row["opened"] < history.horizon:
            continue
        story = told.get(row["id"], [])
        if not story or story[0]["action"] != Action.INCIDENT_OPENED:
            yield Violation(Invariant.MOVE, "incidents", row["id"], "the trail does not tell that it opened")
            continue
        yield from _story(row, story)
    for number, rows in told.items():
        if number not in states and number > history.removed("incidents"):
            yield Violation(Invariant.MOVE, "audit", rows[0]["id"], f"there is no incident {number}")


def _story(incident: Row, story: Sequence[Row]) -> Found:
    state = IncidentState.OPEN.value
    for row in story:
        if row["trace"] != incident["trace"]:
            yield Violation(Invariant.MOVE, "audit", row["id"], "its trace is not the incident's")
        if row["action"] == Action.INCIDENT_OPENED:
            continue
        old, new = row["detail"].get("from"), row["detail"].get("to")
        if old != state:
            yield Violation(
                Invariant.MOVE, "audit", row["id"], f"it leaves {old}, and the incident was {state}"
            )
        elif new not in MOVES[IncidentState(old)]:
            yield Violation(Invariant.MOVE, "audit", row["id"], f"{old} may not become {new}")
        state = str(new)
    if state != incident["state"]:
        words = f"it is {incident['state']}, and the trail tells {state}"
        yield Violation(Invariant.MOVE, "incidents", incident["id"], words)


def alerts(history: History) -> Found:
    settled = history.of("alert", Action.ALERT_SETTLED)
    recoveries = {row["id"] for row in history.recoveries}
    for row in history.alerts:
        if ("alerts", row["id"]) in history.mended:
            continue
        for fault in _alert_faults(row, settled.get(row["id"], []), history.horizon, recoveries):
            yield Violation(Invariant.ALERT, "alerts", row["id"], fault)
    known = {row["id"] for row in history.alerts}
    for number, rows in settled.items():
        if number not in known and number > history.removed("alerts"):
            yield Violation(Invariant.ALERT, "audit", rows[0]["id"], f"there is no alert {number}")


def _alert_faults(row: Row, told: Sequence[Row], horizon: float, recoveries: set[int]) -> Iterator[str]:
    state = row["state"]
    if state not in ("pending", "settled", "skipped"):
        yield f"{state!r} is no state"
    if state in ("settled", "skipped") and not row["reason"]:
        yield f"it is {state} without a reason"
    if row["recovery"] is not None and row["recovery"] not in recoveries:
        yield f"there is no recovery {row['recovery']}"
    if row["received"] >= horizon and len(told) != (state == "settled"):
        yield f"it is {state}, and the trail tells {len(told)} times that it was settled"


def overlap(history: History) -> Found:
    """By the order of the trail, which no clock changes."""
    ended = {row["id"] for row in history.recoveries if row["state"] != "running"}
    under_way: dict[str, int] = {}
    for row in history.told(Action.RECOVERY_BEGUN, Action.RECOVERY_ENDED, Action.RECOVERY_INTERRUPTED):
        number, session = row["detail"].get("recovery"), row["session"]
        if row["action"] == Action.RECOVERY_BEGUN:
            if session in under_way:
                words = f"recovery {number} of {session!r} began while {under_way[session]} ran"
                yield Violation(Invariant.OVERLAP, "audit", row["id"], words)
            under_way[session] = number
        elif row["action"] == Action.RECOVERY_ENDED or _cut_off(history, number):
            under_way.pop(session, None)
    for session, count in Counter(
        row["session"] for row in history.recoveries if row["id"] not in ended
    ).items():
        if count > 1:
            newest = max(row["id"] for row in history.recoveries if row["session"] == session)
            words = f"{count} recoveries of {session!r} run at once"
            yield Violation(Invariant.OVERLAP, "recoveries", newest, words)


def _cut_off(history: History, number: int) -> bool:
    """Whether the recovery ended with its being interrupted, and was not taken up again."""
    return any(row["id"] == number and row["state"] == "interrupted" for row in history.recoveries)


def transactions(history: History) -> Found:
    for row in history.recoveries:
        if ("recoveries", row["id"]) in history.mended:
            continue
        running = row["state"] == "running"
        if running != (row["ended"] is None):
            words = f"it is {row['state']}, and ended is {row['ended']}"
            yield Violation(Invariant.TRANSACTION, "recoveries", row["id"], words)
        outcome = row.get("transaction_outcome")
        if outcome is None or (not outcome and not running and not row["plan"]):
            # An earlier release has carried it out, which knew no transactions.
            continue
        if (outcome in _TRANSACTIONS) == running or (outcome and outcome not in _TRANSACTIONS):
            words = f"it is {row['state']}, and its transaction is {outcome or 'not ended'}"
            yield Violation(Invariant.TRANSACTION, "recoveries", row["id"], words)


def once(history: History) -> Found:
    recoveries = {row["id"]: row for row in history.recoveries}
    begun, ended = _of_steps(history, Action.STEP_BEGUN), _of_steps(history, Action.STEP_ENDED)
    done: set[tuple[int, int, str]] = set()
    for row in sorted(history.steps, key=lambda row: row["attempt"]):
        effect, key = (row["recovery"], row["seq"], row["phase"]), _key_of(row)
        recovery = recoveries.get(row["recovery"])
        if recovery is None:
            yield Violation(Invariant.ONCE, "steps", row["recovery"], f"{key}: its recovery is not there")
            continue
        if effect in done:
            yield Violation(Invariant.ONCE, "steps", row["recovery"], f"{key}: it was done before")
        if row["state"] == "done":
            done.add(effect)
        over = row["state"] in _ATTEMPT_ENDED
        if over != (row["ended"] is not None):
            words = f"{key}: it is {row['state']}, and ended is {row['ended']}"
            yield Violation(Invariant.ONCE, "steps", row["recovery"], words)
        if recovery["begun"] >= history.horizon and row["state"] != "due":
            told = (len(begun[key]), len(ended[key]))
            if not told[0] or told[1] != over:
                words = f"{key}: it is {row['state']}, and told as begun {told[0]} and ended {told[1]} times"
                yield Violation(Invariant.ONCE, "steps", row["recovery"], words)


def order(history: History) -> Found:
    begun: dict[int, list[Row]] = defaultdict(list)
    for row in history.told(Action.STEP_BEGUN):
        begun[row["detail"].get("recovery", 0)].append(row)
    for rows in begun.values():
        before = ("do", -1)
        for row in rows:
            phase, seq = row["detail"].get("phase", "do"), row["detail"].get("step", -1)
            if not _may_follow(before, (phase, seq)):
                words = f"{phase} of step {seq} began behind {before[0]} of step {before[1]}"
                yield Violation(Invariant.ORDER, "audit", row["id"], words)
            before = (phase, seq)


def _may_follow(before: tuple[str, int], now: tuple[str, int]) -> bool:
    if now[0] == "do":
        return before[0] == "do" and now[1] - before[1] in (0, 1)
    return now[1] <= before[1]


def records(history: History) -> Found:
    begun, ended = (
        history.of("recovery", action) for action in (Action.RECOVERY_BEGUN, Action.RECOVERY_ENDED)
    )
    recoveries = {row["id"]: row for row in history.recoveries}
    for number, row in recoveries.items():
        if row["begun"] < history.horizon:
            continue
        wanted = (1, int(row["state"] not in ("running", "interrupted")))
        told = (len(begun.get(number, [])), len(ended.get(number, [])))
        if told != wanted:
            words = f"it is {row['state']}, and the trail tells {told[0]} begun and {told[1]} ended"
            yield Violation(Invariant.RECORD, "recoveries", number, words)
    for number, rows in [*begun.items(), *ended.items()]:
        for row in rows:
            known = recoveries.get(number)
            if known is None and number <= history.removed("recoveries"):
                continue
            if known is None:
                yield Violation(Invariant.RECORD, "audit", row["id"], f"there is no recovery {number}")
            elif known["trace"] != row["trace"]:
                yield Violation(Invariant.RECORD, "audit", row["id"], "its trace is not the recovery's")


def budgets(settings: RecoverySettings) -> Check:
    """The check of these budgets. A person who asks passes them; what is given up is tried slowly.

    Only the first attempt at an incident costs, and a restart of a program by its own rule nothing.
    """

    def check(history: History) -> Found:
        costly = [row for row in history.recoveries if row["id"] not in history.restarts]
        for place, row in enumerate(costly):
            if row["asker"] == Asker.OPERATOR or row["attempt"] > 1:
                continue
            if fault := _overspent(settings, costly[:place], row):
                yield Violation(Invariant.BUDGET, "recoveries", row["id"], fault)

    return check


def _overspent(settings: RecoverySettings, earlier: Sequence[Row], row: Row) -> str:
    now, pace = row["begun"], settings.slow_retry
    mine = [one["begun"] for one in earlier if one["session"] == row["session"] and one["attempt"] == 1]
    waited = min((age(moment, now, pace) for moment in mine), default=pace)
    if budget.spent(mine, settings.per_session, now) and waited < pace:
        return f"more than {settings.per_session.count} recoveries of {row['session']!r} in the period"
    origins: dict[str, float] = {}
    for one in earlier:
        if age(one["begun"], now, settings.overall.period) < settings.overall.period:
            origins.setdefault(one["origin"], one["begun"])
    if row["origin"] not in origins and budget.spent([*origins.values()], settings.overall, now):
        return f"more than {settings.overall.count} incidents in the period"
    return ""


def _of_steps(history: History, action: Action) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in history.told(action):
        told = row["detail"]
        key = {"recovery": told.get("recovery"), "seq": told.get("step"), "phase": told.get("phase", "do")}
        found[_key_of({**key, "attempt": told.get("attempt", 1)})].append(row)
    return found


def _key_of(row: Row) -> str:
    return f"recovery {row['recovery']}, {row['phase']} of step {row['seq']}, attempt {row['attempt']}"


ALWAYS: tuple[Check, ...] = (
    chain, incidents, moves, alerts, overlap, transactions, once, order, records,
)  # fmt: skip
"""What is true whatever the settings are."""
