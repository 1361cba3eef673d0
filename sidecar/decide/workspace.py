"""A workspace file's words as a declared session, by tmuxp's rules; and which live window is which.

What is said for the session goes for its windows, and what is said for a window goes for its panes.
Everything here is total: a file's faults have been found by whoever read it.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sidecar.decide.resume import BUILTIN
from sidecar.model.policy import ResumeRule
from sidecar.model.session import Session, Window
from sidecar.model.workspace import Command, DeclaredPane, DeclaredWindow, Pairs, Workspace

TYPED_LATER = frozenset({"synchronize-panes"})
"""Window options that would send what is typed into one pane to all of them."""

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,= -]*")


@dataclass(frozen=True, slots=True)
class CommandText:
    """A command as written. None: as it was for the one before it."""

    text: str
    enter: bool | None = None
    sleep_before: float | None = None
    sleep_after: float | None = None


@dataclass(frozen=True, slots=True)
class PaneText:
    """A pane as written."""

    commands: tuple[CommandText, ...] = ()
    commands_before: tuple[CommandText, ...] = ()
    start_directory: str | None = None
    environment: Pairs | None = None
    shell: str = ""
    title: str = ""
    focus: bool = False
    suppress_history: bool | None = None
    enter: bool = True
    sleep_before: float = 0.0
    sleep_after: float = 0.0


@dataclass(frozen=True, slots=True)
class WindowText:
    """A window as written."""

    panes: tuple[PaneText, ...] = (PaneText(),)
    name: str = ""
    index: int | None = None
    layout: str = ""
    focus: bool = False
    start_directory: str | None = None
    environment: Pairs | None = None
    shell: str = ""
    options: Pairs = ()
    options_after: Pairs = ()
    commands_before: tuple[CommandText, ...] = ()
    suppress_history: bool | None = None


@dataclass(frozen=True, slots=True)
class SessionText:
    """A session as written."""

    name: str
    windows: tuple[WindowText, ...]
    start_directory: str | None = None
    environment: Pairs = ()
    options: Pairs = ()
    global_options: Pairs = ()
    before_script: tuple[str, ...] = ()
    commands_before: tuple[CommandText, ...] = ()
    suppress_history: bool | None = None


def declare(session: SessionText, *, file: str, line: int, home: str) -> Workspace:
    """The session that the words mean. ``home`` is where a session without a folder starts."""
    near = posixpath.dirname(file)
    cwd = _folder(session.start_directory, near)
    windows = tuple(_window(window, session, cwd, near, home) for window in session.windows)
    return Workspace(
        name=session.name,
        windows=windows,
        cwd=cwd or home,
        environment=session.environment,
        options=session.options,
        global_options=session.global_options,
        before_script=session.before_script,
        file=file,
        line=line,
    )


def pair(workspace: Workspace, session: Session) -> tuple[tuple[DeclaredWindow, Window | None], ...]:
    """Each declared window with the live one that it is: by its index, or else by its turn."""
    named = {window.index for window in workspace.windows} - {None}
    by_index = {window.index: window for window in session.windows}
    rest = iter([by_index[index] for index in sorted(by_index) if index not in named])
    return tuple(
        (window, next(rest, None) if window.index is None else by_index.get(window.index))
        for window in workspace.windows
    )


def resume_rules(workspace: Workspace) -> tuple[ResumeRule, ...]:
    """Rules by which a program that the file itself starts may run again without being asked.

    Only for plain words, which a shell takes as they are; and not where a built-in rule knows better, as
    for an agent that has a conversation to go on with.
    """
    lines = dict.fromkeys(command.text.strip() for command in workspace.commands if command.enter)
    texts = [shlex.join(line.split()) for line in lines if _PLAIN.fullmatch(line)]
    return tuple(
        ResumeRule(f"^{re.escape(text)}$", "{argv}")
        for text in texts
        if not any(re.search(rule.match, text) for rule in BUILTIN)
    )


def _window(window: WindowText, session: SessionText, cwd: str, near: str, home: str) -> DeclaredWindow:
    folder = _folder(window.start_directory, cwd or near) or cwd
    panes = tuple(
        DeclaredPane(
            cwd=_folder(pane.start_directory, folder or near) or folder or home,
            shell=pane.shell or window.shell,
            title=pane.title,
            environment=_first(pane.environment, window.environment, ()),
            commands=tuple(_commands(pane, window, session)),
            focus=pane.focus,
        )
        for pane in window.panes
    )
    later = tuple(option for option in window.options if option[0] in TYPED_LATER)
    return DeclaredWindow(
        panes=panes,
        name=window.name,
        index=window.index,
        layout=window.layout,
        options=tuple(option for option in window.options if option not in later),
        options_after=later + window.options_after,
        focus=window.focus,
    )


def _folder(text: str | None, base: str) -> str:
    """The full path; empty when nothing is said."""
    return posixpath.normpath(posixpath.join(base, text)) if text else ""


def _first(*values: Pairs | None) -> Pairs:
    return next((value for value in values if value is not None), ())


def _commands(pane: PaneText, window: WindowText, session: SessionText) -> Iterator[Command]:
    """Every line in its order. How a command is entered goes on for the ones after it."""
    suppress = next(
        (one for one in (pane.suppress_history, window.suppress_history) if one is not None), None
    )
    if suppress is None:
        suppress = session.suppress_history is not False
    enter, before, after = pane.enter, pane.sleep_before, pane.sleep_after
    written: Sequence[CommandText] = (
        *session.commands_before,
        *window.commands_before,
        *pane.commands_before,
        *pane.commands,
    )
    for command in written:
        enter = enter if command.enter is None else command.enter
        before = before if command.sleep_before is None else command.sleep_before
        after = after if command.sleep_after is None else command.sleep_after
        # A shell leaves out of its history what begins with a space, if its user has set that.
        text = f" {command.text}" if suppress else command.text
        yield from _lines(text.rstrip("\n").split("\n"), enter, before, after)


def _lines(lines: Sequence[str], enter: bool, before: float, after: float) -> Iterator[Command]:
    last = len(lines) - 1
    for position, line in enumerate(lines):
        yield Command(
            line,
            enter=enter if position == last else True,
            sleep_before=before if position == 0 else 0.0,
            sleep_after=after if position == last else 0.0,
        )
