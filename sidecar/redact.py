"""Secrets in command lines, as patterns: what is shown or written down never holds them.

One function for argument vectors, one for text. Too much is hidden rather than too little; what is
needed to start a program again is kept elsewhere, as it was.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

HIDDEN = "***"

_NAMES = (
    r"(?:pass(?:word|wd|phrase)?|pwd|token|secret|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key"
    r"|secret[_-]?key|license[_-]?key|credentials?|bearer|cookie|sas|dsn)"
)
_NAME = rf"(?:[A-Za-z0-9]+[._-])*{_NAMES}(?:[._-][0-9]+)?"
_NOT_ITSELF = r"(?![._-]?(?:file|path|dir|stdin|env|name|id)\b)"
"""``--password-file x`` names where a secret is, and is none."""

_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_FLAG = re.compile(rf"--?{_NAME}", re.IGNORECASE)
_VALUE = r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"]+)"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        r"()-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        r"\b((?:proxy-)?authorization\s*[:=]\s*)(?:(?:bearer|basic|token|digest)\s+)?[^\s'\"]+",
        r"\b((?:bearer|basic)\s+)[A-Za-z0-9+/=._~-]{8,}",
        r"\b((?:set-)?cookie\s*:\s*)[^'\"]+",
        r"\b(x-[a-z-]*(?:key|token|secret)\s*:\s*)[^\s'\"]+",
        r"([a-z][a-z0-9+.-]*://[^/\s:@'\"]*:)[^/\s@'\"]+(?=@)",
        rf"((?<![A-Za-z0-9])--?{_NAME}{_NOT_ITSELF}(?:\s+|=))(?!-){_VALUE}",
        rf"((?<![A-Za-z0-9-]){_NAME}{_NOT_ITSELF}\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s'\"&;,]+)",
        r"((?:^|\s)(?:-u|--user)(?:\s+|=)[^\s:'\"]+:)(?!\d+(?:\s|$))[^\s'\"]+",
    )
)
"""What comes after group 1 is hidden."""

_SHAPES = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|(?:gh[pousr]|github_pat)_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|hf_[A-Za-z0-9]{20,}"
    r"|npm_[A-Za-z0-9]{30,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)"
)
"""Tokens that are known by their form, wherever they stand."""

_LOGIN = re.compile(r"([^\s:]+):(?!\d+$)\S+")
_LOGIN_FLAGS = frozenset({"-u", "--user"})


def text(line: str) -> str:
    """A command line, title or sentence without what looks like a secret."""
    for pattern in _PATTERNS:
        line = pattern.sub(rf"\1{HIDDEN}", line)
    return _SHAPES.sub(HIDDEN, line)


def named(name: str, value: str) -> str:
    """A value whose name tells whether it is a secret."""
    return HIDDEN if value and _SECRET_NAME.fullmatch(name.lstrip("@")) else text(value)


def command(words: Sequence[str]) -> str:
    """An argument vector as one line for people."""
    return " ".join(HIDDEN if word == HIDDEN else shlex.quote(word) for word in argv(words))


def argv(words: Sequence[str]) -> tuple[str, ...]:
    """An argument vector without what looks like a secret; as many words as before."""
    shown: list[str] = []
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if place and _FLAG.fullmatch(before) and not word.startswith("-"):
            shown.append(HIDDEN)
        elif before in _LOGIN_FLAGS and _LOGIN.fullmatch(word):
            shown.append(_LOGIN.sub(rf"\1:{HIDDEN}", word))
        else:
            shown.append(text(word))
    return tuple(shown)
