"""What a row of the audit trail tells, for people in one line and for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sidecar import redact
from sidecar.model.record import Action, AuditRow

Detail = Mapping[str, Any]

_LONGEST_VALUE = 60


def line(row: AuditRow) -> str:
    """The row as one line of JSON, with the time in words beside the seconds. No secret is in it."""
    time = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    whole = {
        "id": row.id, "time": time, "at": row.at, "trace": row.trace, "session": row.session,
        "action": str(row.action), "actor": row.actor, "reason": row.reason, "detail": row.detail,
        "hash": row.hash,
    }  # fmt: skip
    return json.dumps(_hidden(whole), ensure_ascii=False)


def who(actor: str, detail: Detail) -> str:
    """Who asked: the word, with what is known beside it."""
    by = detail.get("by")
    if not isinstance(by, Mapping):
        return actor
    known = [str(by[key]) for key in ("alertname", "address", "signal") if by.get(key)]
    return " ".join([actor, *known])


def sentence(action: str, detail: Detail) -> str:
    """What was done, as short as a column wants it. Of an action that has no sentence, its values."""
    try:
        told = _SENTENCES[action](detail)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError):
        told = _values(detail)
    return redact.text(told)


def _values(detail: Detail) -> str:
    return ", ".join(f"{key} {_short(value)}" for key, value in detail.items() if key != "by" and value)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _attempt(detail: Detail, words: str) -> str:
    undo = "undo: " if detail.get("phase") == "undo" else ""
    number = f" (attempt {detail['attempt']})" if detail.get("attempt", 1) > 1 else ""
    return f"{undo}{words}{number}"


def _opened(detail: Detail) -> str:
    facts = "; ".join(fact["fact"] for fact in detail["evidence"])
    return f"{detail['unit']}: {facts}"


def _moved(detail: Detail) -> str:
    because = f": {detail['sentence']}" if detail.get("sentence") else ""
    return f"{detail['from']} → {detail['to']}{because}"


def _looked_at(detail: Detail) -> str:
    seen = ", ".join(f"{detail[what]} {what}" for what in ("panes", "processes", "stacks") if detail[what])
    missing = f"; {detail['missing']} not captured" if detail["missing"] else ""
    return f"before anything was done: {seen or 'the machine'}{missing}"


def _ended(detail: Detail) -> str:
    seconds = detail["seconds"]
    after = f", after {seconds:.3f} s" if seconds is not None else ""
    return f"{detail['verdict']}{after}"


def _changed(detail: Detail) -> str:
    before, after = detail["before"], detail["after"]
    keys = [f"{key}: {_short(before[key])} → {_short(after[key])}" for key in before]
    return "; ".join(keys) or "nothing has changed"


_SENTENCES: Mapping[str, Callable[[Detail], str]] = {
    Action.INCIDENT_OPENED: _opened,
    Action.INCIDENT_MOVED: _moved,
    Action.CIRCUIT_MOVED: _moved,
    Action.DIAGNOSTICS_TAKEN: _looked_at,
    Action.REFUSED: lambda detail: str(detail["sentence"]),
    Action.DRY_RUN: lambda detail: str(detail["sentence"]),
    Action.RECOVERY_BEGUN: lambda detail: "; ".join(detail["steps"]),
    Action.RECOVERY_ENDED: _ended,
    Action.RECOVERY_RESUMED: lambda detail: (
        f"recovery {detail['recovery']} is gone on with, for the {detail['resumed']}. time"
    ),
    Action.RECOVERY_STOPPED: lambda detail: str(detail["why"]),
    Action.RECOVERY_JOINED: lambda detail: f"{detail['asker']} wants recovery {detail['recovery']} too",
    Action.STEP_BEGUN: lambda detail: _attempt(detail, str(detail["words"])),
    Action.STEP_ENDED: lambda detail: _attempt(detail, str(detail["words"] or "done")),
    Action.CONFIG_RELOADED: _changed,
    Action.SESSION_RENAMED: lambda detail: f"it was {detail['old']}",
    Action.HISTORY_PRUNED: lambda detail: (
        f"{detail['incidents']} incidents, {detail['recoveries']} recoveries, {detail['alerts']} alerts and "
        f"{detail['answers']} answers removed"
    ),
    Action.AUDIT_PRUNED: lambda detail: f"records {detail['from']} to {detail['to']} removed",
}


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _hidden(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return redact.text(value) if isinstance(value, str) else value
