"""How generations look from outside; see :mod:`sidecar.web.secrets` for what is never shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from sidecar.model.archive import Compared, Created, Doomed, Exported, GenerationRow
from sidecar.model.session import Checkpoint
from sidecar.web.secrets import without_secrets


def page(rows: Sequence[GenerationRow], following: int | None) -> dict[str, Any]:
    """A page; ``next`` is what ``before`` has to be for the page after it, null on the last one."""
    return {"checkpoints": rows, "next": following}


def checkpoint(found: Checkpoint | GenerationRow) -> dict[str, Any]:
    """One generation with its content; in quarantine, without."""
    if isinstance(found, GenerationRow):
        return {"checkpoint": found}
    return {"checkpoint": head(found) | {"image": without_secrets(msgspec.to_builtins(found.image))}}


def created(answer: Created) -> dict[str, Any]:
    return {"created": answer.fresh, "checkpoint": head(answer.checkpoint)}


def compared(answer: Compared) -> dict[str, Any]:
    """``against`` null is the living session."""
    return {
        "checkpoint": answer.number,
        "against": answer.other,
        "differences": [
            {"where": one.where, "field": one.field, "wanted": one.wanted, "found": one.found}
            for one in answer.differences
        ],
    }


def exported(answer: Exported) -> dict[str, Any]:
    return {
        "checkpoint": answer.number,
        "session": answer.session,
        "taken": answer.taken,
        "workspace": answer.workspace,
    }


def pruned(gone: Sequence[Doomed], dry_run: bool) -> dict[str, Any]:
    return {"dry_run": dry_run, "checkpoints": gone}


def head(found: Checkpoint) -> dict[str, Any]:
    """A generation as a list shows it."""
    return {
        "id": found.id,
        "session": found.session,
        "taken": found.taken,
        "operation": found.operation,
        "instance": found.instance,
        "checksum": found.checksum,
        "size": found.size,
        "windows": len(found.image.windows),
        "panes": found.image.pane_count,
        "quarantined": "",
    }
