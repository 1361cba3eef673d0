"""Whatever service Apprise knows, each message in a process of its own; see :mod:`sidecar.herald`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping

from sidecar import herald
from sidecar.edges.probes.command import Ran, run
from sidecar.errors import Permanent, Temporary
from sidecar.model.notice import GOOD_NEWS, Apprise, Matter, Message

COMMAND = (sys.executable, "-P", "-m", "sidecar.herald")
_SECONDS = 40.0
"""Apprise gives each of its connections four seconds, tries some more than once, and has to be imported."""
_INSTALL = "pip install 'tmux-sidecar[apprise]'"


async def deliver(target: Apprise, message: Message) -> None:
    """See :meth:`sidecar.edges.notify.LocalMessenger.deliver`."""
    asked = {"url": target.url, "title": message.subject, "body": message.body, "kind": _kind(message)}
    try:
        ran = await run(COMMAND, _SECONDS, dict(os.environ), json.dumps(asked).encode())
    except OSError as error:
        raise Temporary(f"Apprise cannot be started: {error.strerror}", hint="It is tried again.") from error
    answer = _answer(ran)
    outcome, said = answer.get("outcome"), answer.get("words") or "it does not say why"
    if outcome == herald.DELIVERED:
        return
    where = f"Apprise ({target.scheme}://)"
    if outcome == herald.MISSING:
        raise Permanent(f"Apprise is not installed: {said}", hint=_INSTALL)
    if outcome == herald.UNKNOWN:
        raise Permanent(f"{where} does not understand the address: {said}", hint="See Apprise's own pages.")
    if outcome == herald.REFUSED:
        raise Temporary(f"{where} did not deliver the message: {said}", hint="It is tried again.")
    how = f"was cut off after {_SECONDS:g} s" if ran.status is None else f"ended with {ran.status}"
    raise Temporary(f"{where} {how}, without an answer", hint="It is tried again.")


def _answer(ran: Ran) -> Mapping[str, str]:
    last = ran.output.decode("utf-8", "replace").strip().rpartition("\n")[2]
    try:
        found = json.loads(last)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _kind(message: Message) -> str:
    """Apprise's word for how bad it is, which some services show by a colour."""
    matters = {notice.matter for notice in message.notices}
    if matters <= GOOD_NEWS:
        return "success"
    return "info" if matters <= {Matter.TEST} else "failure"
