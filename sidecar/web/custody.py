"""The windows upon one session's care: release, adopt, explain."""

from __future__ import annotations

from aiohttp import web

from sidecar.model.care import Care, Explanation
from sidecar.model.incident import Hypothesis
from sidecar.model.plan import Refusal
from sidecar.model.status import DryRun, UnknownSession
from sidecar.web import checkpoint_views, views
from sidecar.web.payload import check_json
from sidecar.web.ports import Custody
from sidecar.web.reply import as_json, refused, shown, unknown


def routes(custody: Custody) -> list[web.RouteDef]:
    """What is done about one session, below ``/api/v1/sessions/NAME``."""
    windows = _Custody(custody)
    return [
        web.post("/api/v1/sessions/{name:[^/]+}/release", windows.release),
        web.post("/api/v1/sessions/{name:[^/]+}/adopt", windows.adopt),
        web.get("/api/v1/sessions/{name:[^/]+}/explain", windows.explain),
    ]


class _Custody:
    def __init__(self, custody: Custody) -> None:
        self._custody = custody

    async def release(self, request: web.Request) -> web.Response:
        check_json(request)
        return _said(await self._custody.release(request.match_info["name"]))

    async def adopt(self, request: web.Request) -> web.Response:
        check_json(request)
        return _said(await self._custody.adopt(request.match_info["name"]))

    async def explain(self, request: web.Request) -> web.Response:
        found = await self._custody.explain(request.match_info["name"])
        if isinstance(found, UnknownSession):
            return unknown(found.session)
        return await shown(lambda: _explanation(found))


def _said(answer: Care | Refusal | UnknownSession) -> web.Response:
    if isinstance(answer, Refusal):
        return refused(answer)
    return unknown(answer.session) if isinstance(answer, UnknownSession) else as_json(answer)


def _explanation(found: Explanation) -> dict[str, object]:
    subject, finding = found.subject, found.finding
    checkpoint = subject.checkpoint
    return {
        "session": subject.name,
        "health": subject.health,
        "duty": subject.duty,
        "live": subject.live,
        "quiet": subject.quiet,
        "checkpoint": checkpoint_views.head(checkpoint) if checkpoint else None,
        "failure": finding.failure.kind if finding else None,
        "unit": finding.failure.unit if finding else None,
        "cause": finding.cause if finding else None,
        "intent": finding.intent if finding else None,
        "evidence": finding.evidence if finding else (),
        "hypotheses": [_hypothesis(one) for one in finding.hypotheses] if finding else [],
        "incident": found.incident,
        "by_itself": _decision(found.by_itself),
        "on_request": _decision(found.on_request),
    }


def _hypothesis(one: Hypothesis) -> object:
    """A cause that was considered; ``score`` by the table of docs/causes.md."""
    return {"cause": one.cause, "score": one.score, "for": one.supports, "against": one.contradicts}


def _decision(decision: DryRun | Refusal) -> object:
    """``act`` tells which of the two it is."""
    if isinstance(decision, Refusal):
        return {
            "act": False,
            "reason": decision.reason,
            "sentence": decision.sentence,
            "hint": decision.hint,
            "retry_after": decision.retry_after,
        }
    return views.dry_run(decision) | {"act": True}
