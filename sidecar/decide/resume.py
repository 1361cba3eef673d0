"""How the program that ran in a pane's shell comes back: typed, held for a person, or left alone.

Running something again may do harm, so only what a person has named (the pane option
``@sidecar_resume``, a rule of the configuration) or what is harmless by itself is entered.
Everything else is typed and waits for a person to press Enter. A command line comes from one of
these and from the argv that ran, and from nowhere else.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from sidecar.decide.shells import command_line, is_shell, shell_name, typeable
from sidecar.model.plan import Entry, Resumption
from sidecar.model.policy import ResumeRule
from sidecar.model.session import SavedPane

__all__ = ["BUILTIN", "MATCHED", "conversation_id", "is_shell", "resumption"]

BUILTIN: tuple[ResumeRule, ...] = (
    ResumeRule(r"^(top|htop|btop)( |$)", "{argv}"),
    ResumeRule(r"^tail (.* )?(-[0-9a-zA-Z]*[fF][0-9a-zA-Z]*|--follow(=\w+)?)( |$)", "{argv}"),
    ResumeRule(r"^(less|man|watch) ", "{argv}"),
    ResumeRule(r"^(vi|vim|nvim)( |$)", "{argv}"),
    ResumeRule(r"^python[0-9.]*( -[bBdEIOqsSuvx]+)* -m http\.server( |$)", "{argv}"),
    ResumeRule(r"^claude( |$)", "claude --resume {id}"),
)
"""What may run again without being asked: programs that only show, edit or serve."""

MATCHED = 4_096
"""Characters of a command line that rules are matched against; a slow pattern gets no more to chew on."""

_INTERPRETER = re.compile(r"node|nodejs|bun|deno|python[0-9.]*")
_INLINE = frozenset({"-c", "-m", "-e", "-p", "--eval", "--print"})
_ID_OPTIONS = ("--session-id", "--resume", "-r")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PLACE = re.compile(r"\{(argv|id)\}")

_Answer = tuple[Entry, str, str]
"""Entry, line, reason."""


def resumption(
    pane: SavedPane, window_index: int, rules: Sequence[ResumeRule], shell: str
) -> Resumption | None:
    """How the program of this pane comes back; None if nothing but its own process ran there.

    ``rules`` are the user's; they come before the built-in ones. ``shell`` is the path of the shell
    that will read the line. A pane that was started as a command, which is no shell, gets nothing
    typed into it: whatever ran there was that command's own doing.
    """
    argv = _without_blank_tail(pane.program)
    if not argv or (pane.start_command and not is_shell(pane.argv)):
        return None
    option = pane.resume.strip()
    entry, line, reason = (
        _typed(option, {}, "pane option @sidecar_resume")
        if option
        else _by_rules(argv, (*rules, *BUILTIN), shell)
    )
    return Resumption(window_index, pane.index, entry, line, argv, reason)


def conversation_id(argv: Sequence[str]) -> str:
    """The id of the conversation that an agent was holding; empty if its argv names none.

    ``--session-id`` comes first: beside ``--resume`` it names the fork that was really in use.
    """
    for option in _ID_OPTIONS:
        for value in _values(argv, option):
            if _ID.fullmatch(value):
                return value
    return next((argument for argument in argv[1:] if _UUID.fullmatch(argument)), "")


def _by_rules(argv: tuple[str, ...], rules: Sequence[ResumeRule], shell: str) -> _Answer:
    texts = [shlex.join(form)[:MATCHED] for form in _forms(argv)]
    for rule in rules:
        if any(_matches(rule, text) for text in texts):
            return _by_rule(rule, argv, shell)
    return _held(argv, shell, "no rule says that it may run again by itself")


def _matches(rule: ResumeRule, text: str) -> bool:
    try:
        return re.search(rule.match, text) is not None
    except re.error:
        return False


def _by_rule(rule: ResumeRule, argv: tuple[str, ...], shell: str) -> _Answer:
    reason = f"rule {rule.match}"
    values = {"{argv}": command_line(argv, shell), "{id}": conversation_id(argv)}
    for template in (rule.command, rule.fallback):
        if template and (values["{id}"] or "{id}" not in template):
            return _typed(template, values, reason)
    return _held(argv, shell, f"{reason}: it needs a conversation id, and the arguments name none")


def _typed(template: str, values: Mapping[str, str | None], reason: str) -> _Answer:
    if any(name in template and value is None for name, value in values.items()):
        return _unsafe(f"{reason}: the arguments")
    line = _PLACE.sub(lambda place: values.get(place[0], place[0]) or "", template)
    return (Entry.TYPED, line, reason) if typeable(line) else _unsafe(f"{reason}: its line")


def _held(argv: tuple[str, ...], shell: str, reason: str) -> _Answer:
    line = command_line(argv, shell)
    return _unsafe(f"{reason}; the arguments") if line is None else (Entry.HELD, line, reason)


def _unsafe(what: str) -> _Answer:
    return Entry.SKIPPED, "", f"{what} cannot be typed safely into this shell"


def _without_blank_tail(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Without the row of empty arguments that a program leaves which wrote a title over its argv."""
    full = len(argv)
    while full and not argv[full - 1]:
        full -= 1
    return argv[:full] if len(argv) - full > 1 or not full else argv


def _forms(argv: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The argv as rules see it: the bare name first; a script also without its interpreter."""
    yield (shell_name(argv[0]), *argv[1:])
    if not _INTERPRETER.fullmatch(shell_name(argv[0])):
        return
    for place, argument in enumerate(argv[1:], start=1):
        if argument in _INLINE:
            return
        if not argument.startswith("-"):
            if "/" in argument:
                yield (shell_name(argument), *argv[place + 1 :])
            return


def _values(argv: Sequence[str], option: str) -> Iterator[str]:
    for place, argument in enumerate(argv):
        if argument == option and place + 1 < len(argv):
            yield argv[place + 1]
        elif argument.startswith(f"{option}="):
            yield argument.removeprefix(f"{option}=")
