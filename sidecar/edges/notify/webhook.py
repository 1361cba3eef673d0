"""A JSON object to a webhook; its ``text`` is what chat services show."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sidecar.edges.notify.post import post
from sidecar.errors import Permanent
from sidecar.model.notice import Message, Notice, Webhook


async def deliver(target: Webhook, message: Message) -> None:
    """See :meth:`sidecar.edges.notify.LocalMessenger.deliver`."""
    headers = {}
    if target.token_file:
        headers["Authorization"] = f"Bearer {await asyncio.to_thread(read_secret, target.token_file)}"
    await post(target.url, payload(message), headers)


def payload(message: Message) -> dict[str, Any]:
    return {
        "text": _for_chats(f"{message.subject}\n{message.body}"),
        "host": message.host,
        "notices": [_notice(each) for each in message.notices],
    }


def _for_chats(text: str) -> str:
    """Slack and its like take ``<!channel>`` for a call to everybody, and a session may be called so."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "matter": notice.matter.value,
        "session": notice.session,
        "check": notice.check,
        "text": notice.text,
        "at": notice.at,
        "trace": notice.trace,
    }


def read_secret(file: str) -> str:
    """The first line of a file.

    Raises:
        Permanent: it cannot be read, or is empty.
    """
    try:
        lines = Path(file).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"{file} cannot be read: {error}", hint="Check its path, owner and mode.") from error
    if not lines or not lines[0].strip():
        raise Permanent(f"{file} is empty", hint="Its first line has to be the secret.")
    return lines[0].strip()
