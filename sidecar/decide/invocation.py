"""What an argument vector runs: a program, or a script behind its interpreter."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.decide.shells import shell_name

_INTERPRETER = re.compile(r"node|nodejs|bun|deno|python[0-9.]*|ruby[0-9.]*|perl|php|sh|bash|dash|zsh")
_SHELL = re.compile(r"(ba|da|z)?sh")
_INLINE = re.compile(r"-[cmep]|--eval|--print")
_INLINE_OF_SHELLS = re.compile(r"-[a-z]*c[a-z]*")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One way to see an argument vector."""

    program: tuple[str, ...]
    """The words up to the program, as run: ``("node", "/usr/bin/claude")``."""
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        """The bare name of the program or script."""
        return shell_name(self.program[-1])

    @property
    def text(self) -> str:
        """What rules are matched against: the bare name and the arguments, shell-quoted."""
        return shlex.join((self.name, *self.arguments))


def without_blank_tail(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Without the row of empty arguments that a program leaves which wrote a title over its argv."""
    full = len(argv)
    while full and not argv[full - 1]:
        full -= 1
    return argv[:full] if len(argv) - full > 1 or not full else argv


def invocations(argv: tuple[str, ...]) -> Iterator[Invocation]:
    """The argv as it is first; then, if it is an interpreter's with the path of a script, the script's."""
    if not argv:
        return
    yield Invocation(argv[:1], argv[1:])
    name = shell_name(argv[0])
    if not _INTERPRETER.fullmatch(name):
        return
    inline = _INLINE_OF_SHELLS if _SHELL.fullmatch(name) else _INLINE
    for place, argument in enumerate(argv[1:], start=1):
        if inline.fullmatch(argument):
            return
        if not argument.startswith("-"):
            if "/" in argument:
                yield Invocation(argv[: place + 1], argv[place + 1 :])
            return
