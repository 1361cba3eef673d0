"""Pure text work between us and tmux: quoting, and the undoing of tmux's own escapes.

Three languages meet here. What tmux *prints* is vis(3)-encoded in names. What tmux *reads* from
``source-file`` is its configuration language. And some arguments (names, folders, titles) are
expanded as *formats* when they are used, where ``#(...)`` would run a shell command: see
:func:`sidecar.formats.literal`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sidecar.formats import literal as literal

_VIS = re.compile(r"\\([0-7]{3}|.)", re.DOTALL)
_UNESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_VARIABLE = re.compile(
    r'unset (?P<removed>[^;\n]*);\n|(?P<name>[^=\n]+)="(?P<value>(?:[^"\\]|\\.)*)"; export [^;\n]*;\n',
    re.DOTALL,
)
_SHELL_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def unvis(text: str) -> str:
    """Undo the vis(3) encoding that tmux applies to the names it keeps."""
    if "\\" not in text:
        return text
    # Octal escapes are bytes, and several of them may be one character.
    return _VIS.sub(_unvis_one, text).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _unvis_one(match: re.Match[str]) -> str:
    body = match[1]
    if len(body) == 1:
        return _UNESCAPED.get(body, body)
    code = int(body, 8)
    return chr(code) if code < 0x80 else chr(0xDC00 + (code & 0xFF))


def message(text: str) -> str:
    """As :func:`literal`, for ``display-message``, which expands times (``%H``) as well."""
    return literal(text.replace("%", "%%"))


def quote(argument: str) -> str:
    """One argument in tmux's configuration language, to the letter.

    Newlines leave the single quotes, since a backslash before one continues the line even there.
    """
    lines = ("'" + line.replace("'", "'\\''") + "'" if line else "" for line in argument.split("\n"))
    return '"\\n"'.join(lines) or "''"


def command(*arguments: str) -> str:
    """One tmux command, quoted."""
    return " ".join(map(quote, arguments))


def in_one(*commands: str) -> str:
    """Quoted commands as one line: tmux stops at the first of them that fails."""
    return " ; ".join(commands)


def script(*lines: str) -> bytes:
    """Lines for ``source-file -``, each of which runs whether or not the one before it failed."""
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def split_arguments(text: str) -> tuple[str, ...]:
    """The argument vector behind ``pane_start_command``: the inverse of tmux's ``args_escape``."""
    arguments: list[str] = []
    position = 0
    while position < len(text):
        mark = text[position] if text[position] in "\"'" else ""
        start = position + len(mark)
        stop = _end_of(text, start, mark or " ")
        arguments.append(unvis(text[start:stop]))
        position = stop + len(mark) + 1
    return tuple(arguments)


def join_arguments(arguments: Iterable[str]) -> str:
    """An argument vector as ``pane_start_command`` shows it: what :func:`split_arguments` reads back."""
    return " ".join('"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"' for argument in arguments)


def _end_of(text: str, start: int, mark: str) -> int:
    """Where the first ``mark`` without a backslash before it is."""
    while start < len(text) and text[start] != mark:
        start += 2 if text[start] == "\\" else 1
    return min(start, len(text))


def read_environment(text: str) -> dict[str, str | None]:
    """What ``show-environment -s`` prints: values by name, None for a variable that is removed.

    Raises:
        ValueError: the text is something else, or is cut off.
    """
    found: dict[str, str | None] = {}
    position = 0
    while position < len(text):
        match = _VARIABLE.match(text, position)
        if match is None:
            raise ValueError("not the environment that tmux prints")
        if match["name"] is None:
            found[match["removed"]] = None
        else:
            found[match["name"]] = _SHELL_ESCAPE.sub(r"\1", match["value"])
        position = match.end()
    return found
