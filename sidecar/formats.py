"""tmux expands formats in names, folders and titles, and ``#(...)`` there runs a shell command.

What is other people's text has to pass through :func:`literal` wherever tmux will read it as a format.
"""

from __future__ import annotations

import re

_HASHES = re.compile(r"(#+)(\[?)")


def literal(text: str) -> str:
    """Text that tmux's format expansion turns back into ``text`` and nothing else.

    Every ``#`` is doubled, except in a run directly before ``[``, which tmux keeps as it is.
    """
    return _HASHES.sub(lambda match: match[0] if match[2] else match[1] * 2, text)
