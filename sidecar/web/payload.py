"""Strict reading of what is sent. A wrong field is answered with its name, and nothing is done."""

from __future__ import annotations

import msgspec

from sidecar.config import AlertRoute
from sidecar.decide.group import route
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Strategy
from sidecar.model.record import AlertIntake
from sidecar.model.status import RecoverRequest
from sidecar.web.problem import Rejected


class RecoverBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``POST /recover``."""

    session: str
    failure: FailureKind = FailureKind.REQUESTED
    strategy: Strategy | None = None
    dry_run: bool = False


class Alert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert of a webhook call. Fields that we do not need are ignored: Alertmanager adds some."""

    status: str
    labels: dict[str, str]
    starts_at: str
    fingerprint: str


class Webhook(msgspec.Struct, frozen=True):
    """Alertmanager's payload, version 4."""

    version: str
    alerts: list[Alert]


_recover = msgspec.json.Decoder(RecoverBody)
_webhook = msgspec.json.Decoder(Webhook)


def read_recover(raw: bytes) -> RecoverRequest:
    """The request.

    Raises:
        Rejected: 400, naming the field.
    """
    try:
        body = _recover.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(error) from error
    if not body.session:
        raise Rejected(400, "Malformed request", "`session` is empty", hint="Name a session.")
    return RecoverRequest(body.session, body.failure, body.strategy, body.dry_run)


def read_alerts(raw: bytes, routes: tuple[AlertRoute, ...]) -> list[AlertIntake]:
    """The alerts of a webhook call, each routed. Slow for large groups: call it in a thread.

    Raises:
        Rejected: 400, naming the field.
    """
    try:
        body = _webhook.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(error) from error
    if body.version != "4":
        raise Rejected(400, "Malformed request", f"`version` is {body.version!r}, not '4'")
    return [_intake(number, alert, routes) for number, alert in enumerate(body.alerts)]


def _intake(number: int, alert: Alert, routes: tuple[AlertRoute, ...]) -> AlertIntake:
    if alert.status not in ("firing", "resolved"):
        raise Rejected(
            400, "Malformed request", f"`alerts[{number}].status` is {alert.status!r}, not firing or resolved"
        )
    if not alert.fingerprint or not alert.starts_at:
        raise Rejected(400, "Malformed request", f"`alerts[{number}]` has no fingerprint or startsAt")
    routed = route(alert.labels, routes)
    return AlertIntake(
        fingerprint=alert.fingerprint,
        starts_at=alert.starts_at,
        status=alert.status,
        labels=alert.labels,
        session=routed.session,
        failure=routed.failure,
        strategy=routed.strategy,
        skip=routed.skip,
    )


def _malformed(error: Exception) -> Rejected:
    words = str(error)
    if not isinstance(error, msgspec.ValidationError):
        words = f"the body is not JSON: {words}"
    return Rejected(400, "Malformed request", words, hint="The README names the fields.")
