"""Secrets in command lines, as patterns: what is shown or written down never holds them.

One function for argument vectors, one for text. Too much is hidden rather than too little; what is
needed to start a program again is kept elsewhere, as it was.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

HIDDEN = "***"

# What is tried again at every place has a limit: a long run of letters would else take minutes.
_WORDS = (
    r"(?:pass(?:word|wd|phrase)|token|secret|(?:api|access|private|auth|secret|license)[_-]?key|credentials?)"
)
"""They tell a secret behind whatever they are run together with: ``PGPASSWORD``, ``--authtoken``."""
_SHORT = r"(?:(?:db|ssh|pg|my|sql|user|smtp|mail|ftp|ldap)?pass|pwd|bearer|cookie|sas|dsn)"
"""They do so by themselves, or behind a separator."""
_NAMES = rf"(?:[A-Za-z0-9]{{0,40}}{_WORDS}|{_SHORT}|(?<=_)(?:key|auth))"
_NAME = rf"(?:[A-Za-z0-9]{{1,40}}[._-]){{0,6}}{_NAMES}(?:[._-][0-9]+)?"
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
        r"\b(x-[a-z-]{0,60}(?:key|token|secret)\s*:\s*)[^\s'\"]+",
        r"(\b[a-z][a-z0-9+.-]{0,20}://[^/\s:@'\"]*:)[^/\s@'\"]+(?=@)",
        rf"((?<![A-Za-z0-9])--?{_NAME}{_NOT_ITSELF}(?:\s+|=))(?!-){_VALUE}",
        rf"((?<![A-Za-z0-9-]){_NAME}{_NOT_ITSELF}\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s'\"&;,]+)",
        rf"(\b(?:sshpass\s(?:[^;|&]{{0,200}}?\s)??-p|redis-cli\s(?:[^;|&]{{0,200}}?\s)??-a)\s*){_VALUE}",
        rf"(\b(?:mysql|mariadb)[\w-]{{0,20}}\s(?:[^;|&]{{0,200}}?\s)??-p){_VALUE}",
        r"((?:^|\s)(?:-u|--user)(?:\s+|=)[^\s:'\"]+:)(?!\d+(?:\s|$))[^\s'\"]+",
    )
)
"""What comes after group 1 is hidden."""

_SHAPES = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|(?:gh[pousr]|github_pat)_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|hf_[A-Za-z0-9]{20,}"
    r"|npm_[A-Za-z0-9]{30,}|sct_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{8,500}\.[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]*)"
)
"""Tokens that are known by their form, wherever they stand."""

_LOGIN = re.compile(r"([^\s:]+):(?!\d+$)\S+")
_LOGIN_FLAGS = frozenset({"-u", "--user"})
_LETTERS = {"sshpass": "-p", "redis-cli": "-a", "mysql": "-p", "mariadb": "-p"}
"""Programs, or the beginnings of their names, with the letter of a flag that holds a password."""
_TOOL = re.compile(r"(sshpass|redis-cli|mysql|mariadb)(?:(?<=l|b)[\w-]*)?")
_NEVER_APART = frozenset({"mysql", "mariadb"})
"""Their password is run together with the letter; what is apart is something else."""


def text(line: str) -> str:
    """A command line, title or sentence without what looks like a secret."""
    for pattern in _PATTERNS:
        line = pattern.sub(rf"\1{HIDDEN}", line)
    return _SHAPES.sub(HIDDEN, line)


def named(name: str, value: str) -> str:
    """A value whose name tells whether it is a secret."""
    return HIDDEN if value and _SECRET_NAME.fullmatch(name.lstrip("@")) else text(value)


def in_field(field: str, value: str) -> str:
    """What a field such as ``option @token`` holds, whose last word names it."""
    return named(field.rpartition(" ")[2], value)


def command(words: Sequence[str]) -> str:
    """An argument vector as one line for people."""
    return " ".join(HIDDEN if word == HIDDEN else shlex.quote(word) for word in argv(words))


def argv(words: Sequence[str]) -> tuple[str, ...]:
    """An argument vector without what looks like a secret; as many words as before."""
    shown: list[str] = []
    tool = ""
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if tool and before == _LETTERS[tool] and tool not in _NEVER_APART:
            shown.append(HIDDEN)
            tool = ""
        elif tool and len(word) > 2 and word.startswith(_LETTERS[tool]):
            shown.append(_LETTERS[tool] + HIDDEN)
            tool = ""
        elif place and _FLAG.fullmatch(before) and not word.startswith("-"):
            shown.append(HIDDEN)
        elif before in _LOGIN_FLAGS and _LOGIN.fullmatch(word):
            shown.append(_LOGIN.sub(rf"\1:{HIDDEN}", word))
        else:
            shown.append(text(word))
            found = _TOOL.fullmatch(word.rpartition("/")[2])
            tool = found[1] if found else tool
    return tuple(shown)
