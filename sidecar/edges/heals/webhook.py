"""The heal that asks another service to heal: one POST of JSON."""

from __future__ import annotations

import asyncio
import platform

from sidecar import redact
from sidecar.edges.notify.post import post
from sidecar.edges.notify.webhook import read_secret
from sidecar.model.heal import HealCall, WebhookHeal

KEY = "Idempotency-Key"
"""The header that tells an attempt that comes again from another heal."""


async def ask(heal: WebhookHeal, call: HealCall) -> str:
    """Have it done; one sentence with the beginning of the answer.

    Raises:
        Temporary: nobody answered in time, or the service has trouble of its own.
        Permanent: it refused.
    """
    headers = {KEY: call.mark}
    if heal.token_file:
        headers["Authorization"] = f"Bearer {await asyncio.to_thread(read_secret, heal.token_file)}"
    said = await post(heal.url, _body(call), headers, what="heal", seconds=heal.seconds)
    shown = redact.text("".join(c if c.isprintable() else " " for c in said.partition("\n")[0]))
    return f"{heal.host} was asked to heal" + (f": {shown}" if shown else "")


def _body(call: HealCall) -> dict[str, object]:
    return {
        "check": call.check,
        "subject": call.subject,
        "facts": call.facts,
        "recovery": call.mark,
        "again": call.again,
        "host": platform.node(),
    }
