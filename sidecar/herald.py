"""The process that speaks through Apprise: one message, what came of it, and it ends.

``python -m sidecar.herald`` reads the message as JSON from its input, since an address holds secrets and
arguments are for everybody to see. The last line of its output is the answer. The service itself never
imports Apprise, whose hundred services it would keep in memory for good.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping

DELIVERED, REFUSED, UNKNOWN, MISSING = "delivered", "refused", "unknown", "missing"
"""What may come of it."""
_SAID = 300
_PIECES = re.compile(r"[/:@?&=#,\s]+")
_LEAST_SECRET = 3


def main() -> None:
    """Deliver the message on the standard input."""
    outcome, words = deliver(json.load(sys.stdin))
    print(json.dumps({"outcome": outcome, "words": words}))


def deliver(asked: Mapping[str, str]) -> tuple[str, str]:
    """What came of it, and what is said about that, without secrets."""
    try:
        import apprise
    except ImportError as error:
        return MISSING, str(error)
    speaker = apprise.Apprise()
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as log:  # type: ignore[no-untyped-call]
        if not speaker.add(asked["url"]):
            return UNKNOWN, without_secrets(_last(log.getvalue()), asked["url"])
        done = speaker.notify(body=asked["body"], title=asked["title"], notify_type=asked["kind"])
        said = _last(log.getvalue())
    return (DELIVERED, "") if done else (REFUSED, without_secrets(said, asked["url"]))


def without_secrets(words: str, url: str) -> str:
    """The words, without what comes from the address; its scheme, and what is very short, may be told."""
    for piece in sorted(_PIECES.split(url.partition("://")[2]), key=len, reverse=True):
        if len(piece) > _LEAST_SECRET:
            words = words.replace(piece, "***")
    return words[:_SAID]


def _last(text: str) -> str:
    return text.strip().rpartition("\n")[2]


if __name__ == "__main__":
    main()
