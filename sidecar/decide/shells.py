"""Shells: which argv is an interactive one, and how to write an argv for it to read.

What is written here gets *typed* into a terminal, where a tab, a newline or an escape character
acts instead of being text. So a line either has none of them or is not written at all.
"""

from __future__ import annotations

import re
import shlex
import string
import unicodedata
from collections.abc import Callable, Mapping, Sequence

SHELLS = frozenset("sh bash dash zsh fish ksh mksh tcsh csh ash nu elvish xonsh pwsh".split())
"""Names of shells that people work in."""

LONGEST_LINE = 4_000
"""Bytes. A terminal whose shell has not set it up yet cuts a line off at 4,096 and keeps the rest."""

_BUSYBOX_SHELLS = frozenset({"sh", "ash", "hush"})
_VALUED = frozenset({"--rcfile", "--init-file", "-o", "+o", "-O", "+O"})
_COMMAND = re.compile(r"--command.*|-[a-z]{0,4}c[a-z]{0,4}", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9_./:+-]+")
_BACKSLASHED = {"\\": "\\\\", "'": "\\'"}


def shell_name(path: str) -> str:
    """The bare name of a program or shell: no folder, no dash of a login shell."""
    return path.rpartition("/")[2].removeprefix("-")


def is_shell(argv: Sequence[str]) -> bool:
    """Whether this is an interactive shell: no script and no command, only options."""
    if not argv:
        return False
    name, arguments = shell_name(argv[0]), argv[1:]
    if name == "busybox":
        return bool(arguments) and arguments[0] in _BUSYBOX_SHELLS and _only_options(arguments[1:])
    return name in SHELLS and _only_options(arguments)


def command_line(argv: Sequence[str], shell: str) -> str | None:
    """The argv as one line for this shell (name or path); None if it cannot be typed safely."""
    quote = _QUOTING.get(shell_name(shell), _quote_nothing)
    words: list[str] = []
    for argument in argv:
        word = quote(argument)
        if word is None:
            return None
        words.append(word)
    if words and words[0] == argv[0] and "=" in words[0]:
        words[0] = f"'{words[0]}'"  # Bare, it would be an assignment.
    line = " ".join(words)
    return line if typeable(line) else None


def typeable(line: str) -> bool:
    """Whether a terminal takes this line as text: printable, of valid characters, not too long."""
    return all(_printable(character) for character in line) and len(line.encode()) <= LONGEST_LINE


def _only_options(arguments: Sequence[str]) -> bool:
    rest = iter(arguments)
    for argument in rest:
        if argument in _VALUED:
            next(rest, None)
        elif argument[:1] not in ("-", "+") or _COMMAND.fullmatch(argument):
            return False
    return True


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cs")


def _quote_posix(argument: str) -> str | None:
    if not all(map(_printable, argument)):
        return None
    # zsh takes a leading = for the path of a command.
    return f"'{argument}'" if re.fullmatch(r"=[\w@%+=:,./-]*", argument, re.ASCII) else shlex.quote(argument)


def _quote_dollar(argument: str) -> str | None:
    """As POSIX, with ``$'...'`` for what has no printable form."""
    plain = _quote_posix(argument)
    if plain is not None or "\0" in argument:
        return plain
    written, in_escape = "", False
    for character in argument:
        # Some shells read any number of digits after \\x, so a digit that follows is escaped too.
        if _printable(character) and not (in_escape and character in string.hexdigits):
            written, in_escape = written + _BACKSLASHED.get(character, character), False
            continue
        try:
            escaped = character.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return None
        written, in_escape = written + "".join(f"\\x{byte:02x}" for byte in escaped), True
    return f"$'{written}'"


def _quote_csh(argument: str) -> str | None:
    # csh expands an exclamation mark even between single quotes.
    return None if "!" in argument else _quote_posix(argument)


def _quote_fish(argument: str) -> str | None:
    if not all(map(_printable, argument)):
        return None
    if _PLAIN.fullmatch(argument):
        return argument
    return "'" + argument.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quote_nothing(argument: str) -> str | None:
    """For shells whose quoting is not known here: only what needs none."""
    return argument if _PLAIN.fullmatch(argument) else None


_QUOTING: Mapping[str, Callable[[str], str | None]] = {
    **dict.fromkeys(("sh", "dash", "ash", "busybox", "mksh"), _quote_posix),
    **dict.fromkeys(("bash", "zsh", "ksh"), _quote_dollar),
    **dict.fromkeys(("csh", "tcsh"), _quote_csh),
    "fish": _quote_fish,
}
