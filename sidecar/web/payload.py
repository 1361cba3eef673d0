"""Strict reading of what is sent. A wrong field is answered with its name, and nothing is done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

import msgspec
from aiohttp import web

from sidecar.config import AlertRoute
from sidecar.decide import quiet
from sidecar.decide.group import route
from sidecar.decide.restore import fault
from sidecar.model.archive import RestoreRequest
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Strategy
from sidecar.model.quiet import SilenceRequest
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
Word = TypeVar("Word", bound=StrEnum)
Text = Annotated[str, msgspec.Meta(min_length=1)]


class RecoverBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``POST /recover``."""

    session: Text
    failure: FailureKind = FailureKind.REQUESTED
    strategy: Strategy | None = None
    dry_run: bool = False


class CreateBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``POST /api/v1/checkpoints``."""

    session: Text


class RestoreBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"name": "as"}):
    """``POST /api/v1/checkpoints/ID/restore``."""

    window: Annotated[int, msgspec.Meta(ge=0)] | None = None
    name: str = ""
    replace: bool = False
    dry_run: bool = False


class SilenceBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``POST /api/v1/sessions/NAME/silence``."""

    seconds: float
    hold: bool = False
    reason: str = ""


class NotifyTestBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``POST /api/v1/notify/test``."""

    channel: Text | None = None


class PruneBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``POST /api/v1/checkpoints/prune``."""

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
_create = msgspec.json.Decoder(CreateBody)
_restore = msgspec.json.Decoder(RestoreBody)
_silence = msgspec.json.Decoder(SilenceBody)
_notify_test = msgspec.json.Decoder(NotifyTestBody)
_prune = msgspec.json.Decoder(PruneBody)
_webhook = msgspec.json.Decoder(Webhook)
_alert = msgspec.json.Decoder(Alert)


def read_recover(raw: bytes) -> RecoverRequest:
    """The request.

    Raises:
        Rejected: 400, naming the field.
    """
    body = _decoded(_recover, raw, "$", _RECOVER_HINT)
    return RecoverRequest(body.session, body.failure, body.strategy, body.dry_run)


def read_create(raw: bytes) -> str:
    """The session of which a checkpoint is asked for.

    Raises:
        Rejected: 400, naming the field.
    """
    return _decoded(_create, raw, "$", "It takes the field session.").session


def read_restore(number: int, raw: bytes) -> RestoreRequest:
    """The request to restore checkpoint ``number``; an empty body asks for the whole session.

    Raises:
        Rejected: 400, naming the field.
    """
    body = _decoded(_restore, raw or b"{}", "$", "It takes the fields window, as, replace and dry_run.")
    request = RestoreRequest(number, body.window, body.name, body.replace, body.dry_run)
    words = fault(request)
    if words:
        raise Rejected(400, "Malformed request", words, hint="Correct it, or leave that field out.")
    return request


def read_silence(target: str, raw: bytes) -> SilenceRequest:
    """The silence that is asked for.

    Raises:
        Rejected: 400, naming the field.
    """
    body = _decoded(_silence, raw, "$", "It takes the fields seconds, hold and reason.")
    asked = SilenceRequest(target, body.seconds, body.hold, body.reason.strip())
    words = quiet.fault(asked)
    if words:
        raise Rejected(400, "Malformed request", words, hint="Correct it; nothing was silenced.")
    return asked


def read_notify_test(raw: bytes) -> str | None:
    """The channel that is to be tested; None for all.

    Raises:
        Rejected: 400, naming the field.
    """
    return _decoded(_notify_test, raw or b"{}", "$", "It takes the field channel.").channel


def read_prune(raw: bytes) -> bool:
    """Whether only to show what would go.

    Raises:
        Rejected: 400, naming the field.
    """
    return _decoded(_prune, raw or b"{}", "$", "It takes the field dry_run.").dry_run


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
        raise _wrong(name, text, "a number from 1 up")
    return number


def moment(request: web.Request, name: str) -> float | None:
    """A time in wall seconds, out of the query; None if it is not there.

    Raises:
        Rejected: 400.
    """
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise _wrong(name, text, "a time like 2026-01-31T14:00:00Z") from error


def one_of(request: web.Request, name: str, words: type[Word]) -> Word | None:
    """A word of a closed list, out of the query; None if it is not there.

    Raises:
        Rejected: 400, with the list.
    """
    text = request.query.get(name)
    try:
        return None if text is None else words(text)
    except ValueError as error:
        raise _wrong(name, text or "", f"one of {', '.join(words)}") from error


def yes(request: web.Request, name: str) -> bool:
    """A switch out of the query, which is off if it is not there.

    Raises:
        Rejected: 400.
    """
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise _wrong(name, text, "true or false")
    return text == "true"


def _wrong(name: str, text: str, wanted: str) -> Rejected:
    return Rejected(
        400, "Malformed request", f"`{name}` is {text[:40]!r}, not {wanted}", hint="Leave it out."
    )


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
