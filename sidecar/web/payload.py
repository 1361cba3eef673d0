"""Strict reading of what is sent. A wrong field is answered with its name, and nothing is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from aiohttp import web

from sidecar.config import AlertRoute
from sidecar.decide.group import route
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Strategy
from sidecar.model.record import AlertIntake
from sidecar.model.status import RecoverRequest
from sidecar.web.problem import Rejected

RECOVER_LIMIT = 64 * 1024
ALERTS_LIMIT = 16 * 1024 * 1024
"""A large group of alerts is one request, and Alertmanager drops what is answered with a 4xx."""

_LONGEST_KEY = 255
_LARGEST_NUMBER = 2**63 - 1
_RECOVER_HINT = "It takes the fields session, failure, strategy and dry_run."
_ALERTS_HINT = "It takes the webhook payload of Alertmanager, version 4."

T = TypeVar("T")
Text = Annotated[str, msgspec.Meta(min_length=1)]


class RecoverBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``POST /recover``."""

    session: Text
    failure: FailureKind = FailureKind.REQUESTED
    strategy: Strategy | None = None
    dry_run: bool = False


class Alert(msgspec.Struct, frozen=True, rename="camel"):
    """One alert of a webhook call. Fields that we do not need are ignored: Alertmanager adds some."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    starts_at: Text
    fingerprint: Text


class Webhook(msgspec.Struct, frozen=True):
    """Alertmanager's payload. Its alerts are read one by one: reading them all at once would hold
    the interpreter, and with it the event loop, for as long as a large group takes."""

    version: Literal["4"]
    alerts: list[msgspec.Raw]


_recover = msgspec.json.Decoder(RecoverBody)
_webhook = msgspec.json.Decoder(Webhook)
_alert = msgspec.json.Decoder(Alert)


def read_recover(raw: bytes) -> RecoverRequest:
    """The request.

    Raises:
        Rejected: 400, naming the field.
    """
    body = _decoded(_recover, raw, "$", _RECOVER_HINT)
    return RecoverRequest(body.session, body.failure, body.strategy, body.dry_run)


def read_alerts(raw: bytes, routes: Sequence[AlertRoute]) -> list[AlertIntake]:
    """The alerts of a webhook call, each routed. Slow for large groups: call it in a thread.

    Raises:
        Rejected: 400, naming the field.
    """
    group = _decoded(_webhook, raw, "$", _ALERTS_HINT)
    return [
        _intake(_decoded(_alert, piece, f"$.alerts[{number}]", _ALERTS_HINT), routes)
        for number, piece in enumerate(group.alerts)
    ]


def check_json(request: web.Request) -> None:
    """A form of a page elsewhere cannot send JSON without being asked first.

    Raises:
        Rejected: 415.
    """
    if request.content_type != "application/json":
        raise Rejected(
            415,
            "Not JSON",
            f"Content-Type is {request.content_type}, not application/json",
            hint=_RECOVER_HINT,
        )


def idempotency_key(request: web.Request) -> str:
    """The key that the client gave; empty if none.

    Raises:
        Rejected: 400.
    """
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > _LONGEST_KEY or not key.isascii():
        raise Rejected(
            400,
            "Malformed request",
            f"`Idempotency-Key` is not ASCII, or longer than {_LONGEST_KEY} characters",
            hint="A UUID serves.",
        )
    return key


def positive(request: web.Request, name: str) -> int | None:
    """A whole number from 1 up, out of the query; None if it is not there.

    Raises:
        Rejected: 400.
    """
    text = request.query.get(name)
    if text is None:
        return None
    number = read_number(text)
    if not number:
        raise Rejected(
            400,
            "Malformed request",
            f"`{name}` is {text[:40]!r}, not a number from 1 up",
            hint="Leave it out.",
        )
    return number


def read_number(text: str) -> int | None:
    """A number that an id can have; None for anything else."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(_LARGEST_NUMBER)):
        return None
    number = int(text)
    return number if number <= _LARGEST_NUMBER else None


def _intake(alert: Alert, routes: Sequence[AlertRoute]) -> AlertIntake:
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


def _decoded(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw, where: str, hint: str) -> T:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise Rejected(400, "Malformed request", _located(str(error), where), hint=hint) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        words = f"the body is not JSON: {error}"
        raise Rejected(400, "Malformed request", words, hint=hint) from error


def _located(words: str, where: str) -> str:
    """msgspec names the place within the piece that it was given; the sender knows the whole."""
    what, found, place = words.partition(" - at `$")
    return f"{what} - at `{where}{place}" if found else f"{what} - at `{where}`"
