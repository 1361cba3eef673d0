"""One pane against its checkpoint: one comparison per field, and what excuses a difference."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidecar import redact
from sidecar.decide.invocation import without_blank_tail
from sidecar.decide.judge_facts import Facts, Fields, Gap, Note, Place, compared, told
from sidecar.decide.shells import command_line, is_shell, shell_name
from sidecar.model.plan import DEAD, Difference, Entry, Resumption
from sidecar.model.session import Pane, SavedPane, SavedWindow, Window

_BETWEEN = frozenset(";&|")
"""What stands between two commands of a script."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pane as it has to be, and as it is."""

    wanted: SavedPane
    found: Pane
    place: Place
    facts: Facts

    @property
    def resumption(self) -> Resumption | None:
        return self.facts.resumptions.get(self.place)

    @property
    def typed(self) -> Resumption | None:
        """The resumption, where it is something in the pane's shell and not the pane's own command."""
        own = self.resumption is not None and self.resumption.entry is Entry.STARTED
        return None if own else self.resumption

    @property
    def program(self) -> tuple[str, ...]:
        return self.found.program.argv if self.found.program else ()


def pane_differences(
    window: SavedWindow, wanted: SavedPane, live: Window, facts: Facts
) -> Iterator[Difference]:
    """Every difference of this pane; of a dead or missing one, only that."""
    place = (window.index, wanted.index)
    where = f"pane {window.index}.{wanted.index}"
    found = facts.pane(live, place)
    facts.count("pane", ("presence",))
    if found is None:
        yield told(where, Gap("present", "absent"), "presence", facts.excuse(*place) or facts.group)
    elif found.dead:
        note = "was dead before, and is no part of this plan" if found.id in facts.leftover else ""
        yield told(where, Gap("alive", "dead"), DEAD, note)
    else:
        facts.count("pane", PANE_FIELDS)
        yield from compared(where, _Pair(wanted, found, place, facts), PANE_FIELDS)


def same_argv(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two argument vectors are the same, wherever the program lies."""
    if not one or not other:
        return not one and not other
    return shell_name(one[0]) == shell_name(other[0]) and list(one[1:]) == list(other[1:])


def _active(pair: _Pair) -> Gap | None:
    return Gap.between(str(pair.wanted.active), str(pair.found.active))


def _title(pair: _Pair) -> Gap | None:
    return Gap.between(pair.wanted.title, pair.found.title)


def _cwd(pair: _Pair) -> Gap | None:
    return Gap.between(pair.wanted.cwd, pair.found.cwd) if pair.wanted.cwd else None


def _command(pair: _Pair) -> Gap | None:
    """The pane's own process: a shell stays that shell, a command stays that command."""
    wanted, found = pair.wanted.argv, pair.found.argv
    if not wanted and pair.wanted.start_command:
        return None
    if not wanted:
        return None if is_shell(found) else Gap("a shell", _words(found))
    if same_argv(wanted, found) or (not pair.wanted.start_command and _same_shell(wanted, found)):
        return None
    return Gap(_words(wanted), _words(found))


def _program(pair: _Pair) -> Gap | None:
    """What runs in the foreground of the pane's shell."""
    wanted = pair.typed.argv if pair.typed else pair.wanted.program
    if not wanted or same_argv(wanted, pair.program):
        return None
    return Gap(_words(wanted), _words(pair.program) or "nothing")


def _sets_its_title(_: _Pair) -> Note:
    return "programs set their own titles"


def _folder_gone(pair: _Pair) -> Note:
    return "the folder no longer exists" if pair.wanted.cwd in pair.facts.gone_folders else ""


def _left_alone(pair: _Pair) -> Note:
    spared = pair.facts.spares(pair.found.id, pair.place)
    return "the pane was left alone and goes on by itself" if spared else ""


def _lives_on(pair: _Pair) -> Note:
    """What ran in a shell may have been elsewhere than the shell, which only its owner moves."""
    return "the pane's own process lives on where it was" if pair.found.id in pair.facts.untouched else ""


def _drifting(pair: _Pair) -> Note:
    return pair.facts.drifting


def _shell_in_between(pair: _Pair) -> Note:
    """``sh -c 'make; top'`` becomes top or runs it as a child, as the shell at hand likes."""
    wanted, found = pair.wanted.argv, pair.found.argv
    inner, above = _run_by_shell(wanted), _run_by_shell(found)
    if inner and same_argv(inner[1:] if inner[0] == "exec" else inner, found):
        return "the shell has become the command"
    return "the command runs below a shell" if above and same_argv(above, wanted) else ""


def _run_by_shell(argv: Sequence[str]) -> list[str]:
    """The last command of what a shell was given with ``-c``; empty for anything else."""
    if len(argv) != 3 or argv[1] != "-c" or not is_shell(argv[:1]):
        return []
    lexer = shlex.shlex(argv[2], posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:
        return []
    ends = [place for place, word in enumerate(words) if not set(word) - _BETWEEN]
    return words[ends[-1] + 1 :] if ends else words


def _default_shell(pair: _Pair) -> Note:
    """``exec zsh`` typed into a bash leaves no trace of how the pane was started."""
    found = pair.found.argv
    if pair.wanted.start_command or not is_shell(found):
        return ""
    if shell_name(found[0]) != shell_name(pair.facts.default_shell):
        return ""
    return "a person had put it in the place of the session's shell, which is back"


def _with_conversation(pair: _Pair) -> Note:
    """Exactly the command that takes up the conversation, or a title that the agent has written over it."""
    resumption = pair.resumption
    if resumption is None or not resumption.command:
        return ""
    found = without_blank_tail(pair.found.argv)
    names = {shell_name(word) for word in resumption.command}
    titled = len(found) == 1 < len(pair.found.argv) and shell_name(found[0]) in names
    if not titled and not same_argv(resumption.command, found):
        return ""
    return f"started as `{_words(resumption.command)}`: {resumption.reason}"


def _for_a_person(pair: _Pair) -> Note:
    resumption = pair.typed
    if resumption is None or resumption.entry is Entry.TYPED:
        return ""
    if resumption.entry is Entry.HELD:
        return f"held for a person, `{redact.text(resumption.line)}` waits to be entered: {resumption.reason}"
    return f"not typed: {resumption.reason}"


def _other_line(pair: _Pair) -> Note:
    """A rule that typed something else cannot promise the same argv, only a running program."""
    resumption = pair.resumption
    if resumption is None or resumption.entry is not Entry.TYPED or not pair.program:
        return ""
    if resumption.line == command_line(resumption.argv, pair.facts.default_shell):
        return ""
    return f"`{redact.text(resumption.line)}` was typed instead: {resumption.reason}"


def _nobody_resumes(pair: _Pair) -> Note:
    return "" if pair.typed else "started by the pane's own command, not by a resumption"


def _same_shell(wanted: Sequence[str], found: Sequence[str]) -> bool:
    return is_shell(wanted) and is_shell(found) and shell_name(wanted[0]) == shell_name(found[0])


def _words(argv: Sequence[str]) -> str:
    return redact.command(argv)


PANE_FIELDS: Fields[_Pair] = {
    "active": (_active, (_drifting,)),
    "title": (_title, (_sets_its_title,)),
    "cwd": (_cwd, (_folder_gone, _lives_on)),
    "command": (_command, (_left_alone, _with_conversation, _shell_in_between, _default_shell)),
    "program": (_program, (_left_alone, _for_a_person, _other_line, _nobody_resumes)),
}
"""Each field of a living pane: how it is compared, and what excuses a difference."""
