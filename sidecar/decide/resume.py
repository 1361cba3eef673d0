"""How the program that ran in a pane comes back: typed, held for a person, or left alone.

Running something again may do harm, so only what a person has named (the pane option
``@sidecar_resume``, a rule of the configuration) or what is harmless by itself is entered.
Everything else is typed and waits for a person to press Enter. A command line comes from one of
these, from the argv that ran and from a conversation's id, and from nowhere else.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sidecar.decide.agents import AGENTS, ID, Arguments, sort_arguments
from sidecar.decide.builtin import BUILTIN
from sidecar.decide.claims import Claims, Place
from sidecar.decide.conversation import agent_name, conversation_id
from sidecar.decide.invocation import Invocation, invocations, without_blank_tail
from sidecar.decide.shells import command_line, is_shell, typeable
from sidecar.model.plan import Entry, Resumption
from sidecar.model.policy import ResumeRule
from sidecar.model.session import SavedPane

__all__ = ["BUILTIN", "MATCHED", "Spot", "is_shell", "resumption"]

MATCHED = 4_096
"""Characters of a command line that rules are matched against; a slow pattern gets no more to chew on."""

_PLACE = re.compile(r"\{(argv|id|program|flags)\}")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./:=@%+,-]+")

_Values = Mapping[str, str | None]


class _Answer(NamedTuple):
    """What is done, with which line, and why."""

    entry: Entry
    line: str
    reason: str
    conversation: str = ""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a program comes back, and what has to be known there."""

    session: str
    window: int
    """Window index."""
    shell: str
    """The path of the shell that reads the line."""
    claims: Claims = field(default_factory=Claims)


@dataclass(frozen=True, slots=True)
class _Match:
    """A rule that fits, and what it may put into its line."""

    rule: ResumeRule
    argv: tuple[str, ...]
    call: Invocation
    place: Place
    folder: str
    claims: Claims
    conversation: str

    @property
    def heavy(self) -> bool:
        return self.rule.heavy or self.call.name in AGENTS

    @property
    def reason(self) -> str:
        return f"rule {self.rule.match}"

    @property
    def arguments(self) -> Arguments | None:
        return sort_arguments(self.call.name, self.call.arguments) if self.call.name in AGENTS else None


def resumption(pane: SavedPane, spot: Spot, rules: Sequence[ResumeRule]) -> Resumption | None:
    """How the program of this pane comes back; None if nothing but its own process ran there.

    ``rules`` are the user's; they come before the built-in ones. A pane that was started as a
    command, which is no shell, gets nothing typed into it: whatever ran there was that command's own
    doing. But if a rule calls the command heavy, it is started in its turn, and with its
    conversation where the rule has the means for that.
    """
    if pane.start_command and not is_shell(pane.argv):
        return _own_command(pane, spot, rules)
    argv = without_blank_tail(pane.program)
    if not argv:
        return None
    match = _match(argv, pane, spot, rules)
    heavy = match.heavy if match else bool(agent_name(argv))
    option = pane.resume.strip()
    if option:
        answer = _typed(option, {}, "pane option @sidecar_resume")
    elif match is None:
        answer = _held(argv, spot.shell, "no rule says that it may run again by itself")
    else:
        answer = _by_rule(match, spot.shell)
    return Resumption(
        spot.window,
        pane.index,
        answer.entry,
        answer.line,
        argv,
        answer.reason,
        heavy,
        conversation=answer.conversation,
    )


def _match(argv: tuple[str, ...], pane: SavedPane, spot: Spot, rules: Sequence[ResumeRule]) -> _Match | None:
    calls = [(call, call.text[:MATCHED]) for call in invocations(argv)]
    place = (spot.session, spot.window, pane.index)
    conversation = pane.conversation if ID.fullmatch(pane.conversation) else conversation_id(argv)
    for rule in (*rules, *BUILTIN):
        for call, text in calls:
            if _matches(rule, text):
                return _Match(rule, argv, call, place, pane.cwd, spot.claims, conversation)
    return None


def _matches(rule: ResumeRule, text: str) -> bool:
    try:
        return re.search(rule.match, text) is not None
    except re.error:
        return False


def _by_rule(match: _Match, shell: str) -> _Answer:
    template, obstacle = _template(match)
    if obstacle:
        return _held(match.argv, shell, f"{match.reason}: {obstacle}")
    answer = _typed(template, _values(match, shell), match.reason)
    if answer.entry is not Entry.TYPED:
        return answer
    arguments = match.arguments
    if "{flags}" in template and arguments is not None and not arguments.sure:
        reason = f"{match.reason}: not all of its arguments are understood here"
        return answer._replace(entry=Entry.HELD, reason=reason)
    return answer._replace(conversation=match.conversation if "{id}" in template else "")


def _template(match: _Match) -> tuple[str, str]:
    """The template that serves, or what stands in the way of both."""
    rule, claims = match.rule, match.claims
    arguments = match.arguments
    wanted = set(_PLACE.findall(rule.command + rule.fallback))
    if arguments is None and "flags" in wanted:
        return "", "its arguments are not understood here"
    if arguments is not None and not arguments.talks and wanted & {"flags", "id"}:
        return "", "it was no conversation that could be taken up"
    if rule.command and "{id}" not in rule.command:
        return rule.command, ""
    if rule.command and match.conversation:
        return rule.command, _taken_or_lost(match)
    if not rule.fallback or "{id}" in rule.fallback:
        return "", "it needs a conversation id, and none is known"
    if claims.shared(match.folder, match.place):
        return "", "no conversation id is known, and another pane shares the folder"
    if claims.lost("", match.folder):
        return "", "there is no conversation to take up"
    return rule.fallback, ""


def _taken_or_lost(match: _Match) -> str:
    owner = match.claims.owner(match.conversation, match.place)
    if owner is not None:
        return f"pane {owner[1]}.{owner[2]} of {owner[0]} has the same conversation"
    if match.claims.lost(match.conversation, match.folder):
        return f"there is no transcript of the conversation {match.conversation}"
    return ""


def _values(match: _Match, shell: str) -> _Values:
    arguments = match.arguments
    return {
        "{argv}": command_line(match.argv, shell),
        "{id}": match.conversation,
        "{program}": command_line(match.call.program, shell),
        "{flags}": _flags_line(arguments.flags, shell) if arguments else None,
    }


def _flags_line(flags: tuple[str, ...], shell: str) -> str | None:
    # A flag such as --model=x is no assignment, as the first word of a line would be.
    line = command_line(("x", *flags), shell)
    return None if line is None else line[2:]


def _typed(template: str, values: _Values, reason: str) -> _Answer:
    if any(name in template and value is None for name, value in values.items()):
        return _unsafe(f"{reason}: the arguments")
    for name in [name for name, value in values.items() if value == ""]:
        template = template.replace(f"{name} ", "").replace(f" {name}", "")
    line = _PLACE.sub(lambda place: values.get(place[0], place[0]) or "", template)
    return _Answer(Entry.TYPED, line, reason) if typeable(line) else _unsafe(f"{reason}: its line")


def _held(argv: tuple[str, ...], shell: str, reason: str) -> _Answer:
    line = command_line(argv, shell)
    return _unsafe(f"{reason}; the arguments") if line is None else _Answer(Entry.HELD, line, reason)


def _unsafe(what: str) -> _Answer:
    return _Answer(Entry.SKIPPED, "", f"{what} cannot be typed safely into this shell")


def _own_command(pane: SavedPane, spot: Spot, rules: Sequence[ResumeRule]) -> Resumption | None:
    """The pane's own command, if it is heavy: as it was, with its conversation, or with a new one."""
    argv = without_blank_tail(pane.argv)
    match = _match(argv, pane, spot, rules) if argv else None
    if match is None or not match.heavy:
        return None
    anew = _without_anothers(match)
    command, reason = anew or _with_conversation(match)
    line = shlex.join(command or argv)
    conversation = match.conversation if command and not anew else ""
    return Resumption(spot.window, pane.index, Entry.STARTED, line, argv, reason, True, command, conversation)


def _without_anothers(match: _Match) -> tuple[tuple[str, ...], str] | None:
    """The words for a new conversation where its own would take up one that another pane gets."""
    named, arguments = conversation_id(match.argv), match.arguments
    owner = match.claims.owner(named, match.place) if named else None
    if owner is None or arguments is None or not arguments.talks:
        return None
    flags = arguments.flags if arguments.sure else ()
    reason = f"pane {owner[1]}.{owner[2]} of {owner[0]} has the same conversation; with a new one"
    return (*match.call.program, *flags), f"{match.reason}: {reason}"


def _with_conversation(match: _Match) -> tuple[tuple[str, ...], str]:
    """The words that take up the conversation; none if it has to be started as it was."""
    template, obstacle = _template(match)
    arguments = match.arguments
    if obstacle or "{id}" not in template:
        return (), f"{match.reason}: {obstacle or 'no conversation id is known'}; as it was started"
    if arguments is None or not arguments.sure:
        return (), f"{match.reason}: not all of its arguments are understood here; as it was started"
    command = _words(template, match, arguments)
    if not command:
        return (), f"{match.reason}: its line needs a shell; as it was started"
    return command, f"{match.reason}: with its conversation"


def _words(template: str, match: _Match, arguments: Arguments) -> tuple[str, ...]:
    """The template as an argument vector; empty if only a shell could read it."""
    groups = {"{program}": match.call.program, "{flags}": arguments.flags, "{argv}": match.argv}
    words: list[str] = []
    for word in template.split():
        if word in groups:
            words.extend(groups[word])
        elif _PLAIN_WORD.fullmatch(filled := word.replace("{id}", match.conversation)):
            words.append(filled)
        else:
            return ()
    return tuple(words)
