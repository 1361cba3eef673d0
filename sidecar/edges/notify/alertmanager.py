"""Alerts to an Alertmanager's API v2: what went wrong fires, and a verified recovery resolves it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sidecar.edges.notify.post import post
from sidecar.model.notice import GOOD_NEWS, Alertmanager, Matter, Message, Notice, labels_of_alerts

FIRES_FOR = 86_400.0
"""Seconds after which an alert ends by itself, should nobody ever say that it is over."""

_LASTS = {Matter.TEST: 60.0}
"""Seconds for which the others fire."""


async def deliver(target: Alertmanager, message: Message) -> None:
    """See :meth:`sidecar.edges.notify.LocalMessenger.deliver`."""
    alerts = [alert for notice in message.notices for alert in alerts_of(notice, message.host)]
    await post(f"{target.url.rstrip('/')}/api/v2/alerts", alerts, {})


def alerts_of(notice: Notice, host: str) -> Iterator[dict[str, Any]]:
    """The alerts that a notice begins or ends."""
    # To end an alert that does not fire means nothing to Alertmanager.
    ends = notice.at + (0.0 if notice.matter in GOOD_NEWS else _LASTS.get(notice.matter, FIRES_FOR))
    for labels in labels_of_alerts(notice, host):
        yield {
            "labels": labels,
            "annotations": {"summary": notice.text, "trace": notice.trace},
            "startsAt": _moment(notice.at),
            "endsAt": _moment(ends),
        }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
