"""How values look from outside: which fields are shown, and JSON that never fails.

Views only arrange; msgspec writes dataclasses, enums and tuples as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sidecar.model.record import Receipt, RecoveryRow
from sidecar.model.status import DryRun, SessionStatus, Status, Ticket
from sidecar.model.stress import Resource


def overview(status: Status) -> dict[str, Any]:
    """Everything at a glance: ``GET /api/v1/sessions``."""
    return {
        "server_up": status.server_up,
        "tmux_version": status.tmux_version,
        "mode": status.mode,
        "config_good": status.config_good,
        "workspace_faults": status.workspace_faults,
        "config_loaded": status.config_loaded,
        "started": status.started,
        "last_look": status.last_look,
        "recoveries_in_progress": status.recoveries_in_progress,
        "alerts_pending": status.alerts_pending,
        "quiet": status.quiet,
        "checks": status.checks,
        "store_bytes": status.store_bytes,
        "checkpoint_mode": status.stress.checkpoints,
        "short": {one: why for one in Resource if (why := status.stress.why(one))},
        "sessions": status.sessions,
        "incidents": status.incidents,
        "circuits": [{"name": name, "state": state.circuit} for name, state in status.circuits.items()],
    }


def session(row: SessionStatus) -> dict[str, Any]:
    return {"session": row}


def recovery(row: RecoveryRow) -> dict[str, Any]:
    return {"recovery": row}


def recoveries(rows: Sequence[RecoveryRow], following: int | None) -> dict[str, Any]:
    """A page; ``next`` is what ``before`` has to be for the page after it, null on the last one."""
    return {"recoveries": rows, "next": following}


def receipts(rows: Sequence[Receipt]) -> dict[str, Any]:
    """What became of each alert, in the order in which they were sent."""
    return {
        "alerts": [
            {"fingerprint": row.fingerprint, "accepted": row.skip is None, "reason": row.skip or ""}
            for row in rows
        ]
    }


def ticket(answer: Ticket) -> dict[str, Any]:
    """``undo``, the checkpoint to go back to, is there when the recovery takes something away."""
    row = answer.recovery
    undo = {"undo": answer.undo} if answer.undo else {}
    return undo | {
        "id": row.id,
        "joined": answer.joined,
        "trace": row.trace,
        "session": row.session,
        "strategy": row.strategy,
    }


def dry_run(answer: DryRun) -> dict[str, Any]:
    return {
        "dry_run": True,
        "strategy": answer.strategy,
        "steps": answer.steps,
        "cause": answer.cause,
        "evidence": answer.evidence,
        "ladder": answer.ladder,
        "fallback": answer.fallback,
    }


def encode(value: object) -> bytes:
    """JSON in UTF-8. Argument vectors may hold bytes that are no UTF-8: those are written as escapes."""
    try:
        return msgspec.json.encode(value, enc_hook=_as_dict)
    except UnicodeEncodeError:
        return msgspec.json.encode(_clean(msgspec.to_builtins(value, enc_hook=_as_dict)))


def _as_dict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} is not shown as JSON")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
