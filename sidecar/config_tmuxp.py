"""One session of a workspace file, as tmuxp reads it: nodes to words, with every fault and its line.

What tmuxp would fail on, or would do otherwise than its author can have meant, is a fault. What tmuxp
itself passes over (a key that it does not know) is a note: it is told, and the session is declared
all the same.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml

from sidecar.config_fields import (
    Place,
    Reader,
    Report,
    Told,
    Wrong,
    decimal,
    entries,
    is_text,
    kind_of,
    list_of,
    scalar,
    section,
    switch,
    table,
    text,
    unknown_word,
    whole,
)
from sidecar.decide import layout
from sidecar.decide.shells import LONGEST_LINE, typeable
from sidecar.decide.workspace import CommandText, PaneText, SessionText, WindowText
from sidecar.errors import Fault
from sidecar.model.workspace import NAMED_LAYOUTS, Pairs

T = TypeVar("T")

MOST_PANES = 64
"""In one session: tmux itself has been seen to die of a batch that makes more."""

_LONGEST_SLEEP = 600
_LAST_INDEX = 9_999
_NO_PANES = "a window has at least one pane; without the key it has a plain one"
_NO_COMMAND = frozenset({"", "blank", "pane"})
_OWN_TO_TMUXP = frozenset(
    {"plugins", "workspace_builder", "workspace_builder_options", "workspace_builder_paths"}
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPTION = re.compile(r"@?[A-Za-z][A-Za-z0-9_.-]*(\[[^\]]*\])?")


@dataclass(frozen=True, slots=True)
class Remarks(Report):
    """The faults of one session, and what is told without stopping it. A template has lines of its own."""

    notes: list[Fault] = field(default_factory=list)

    def add(self, node: yaml.Node, key: str, sentence: str) -> None:
        self.faults.append(self._told(node, key, sentence))

    def note(self, node: yaml.Node, key: str, sentence: str) -> None:
        self.notes.append(self._told(node, key, sentence))

    def _told(self, node: yaml.Node, key: str, sentence: str) -> Fault:
        return Fault(node.start_mark.name or self.file, node.start_mark.line + 1, key, sentence)


def read_session(place: Place, *, yesman: bool = False) -> SessionText:
    """The session at this place. ``yesman``: panes may have a ``command`` and a ``name``.

    Raises:
        Wrong: one sentence about the whole of it.
        Told: what is wrong has been noted.
    """
    pane = {**_PANE, "command": _commands, "name": text} if yesman else _PANE
    window = {**_WINDOW, "panes": _some(_pane(pane), _NO_PANES)}
    readers = {**_SESSION, "windows": _windows(_window(window))}
    before = len(place.report.faults)
    values = section(_known(place, readers), readers, required=("session_name", "windows"))
    if len(place.report.faults) > before:
        raise Told
    names = {"session_name": "name", "shell_command_before": "commands_before"}
    return SessionText(**_renamed(values, names))


def _known(place: Place, readers: Mapping[str, Reader[Any]]) -> Place:
    """The place without the keys that nobody knows, of which a note is taken."""
    kept = []
    for key_node, key, child in entries(place):
        if key in readers:
            kept.append((key_node, child.node))
        elif isinstance(place.report, Remarks):
            sentence = (
                "has no effect: it belongs to tmuxp alone"
                if key in _OWN_TO_TMUXP
                else f"has no effect: {unknown_word('key', key, readers)}"
            )
            place.report.note(key_node, child.path, sentence)
    node = place.node
    return Place(yaml.MappingNode(node.tag, kept, node.start_mark, node.end_mark), place.path, place.report)


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in values.items()}


def _expanded(word: str) -> str:
    return os.path.expandvars(os.path.expanduser(word))


def _shown(place: Place) -> str:
    """A name or a path, with ``~`` and variables written out."""
    value = _expanded(text(place))
    if not value:
        raise Wrong("is empty once its variables are written out")
    return value


def _session_name(place: Place) -> str:
    name = _shown(place)
    if set(name) & set(".:"):
        raise Wrong(f"{name!r} has a dot or a colon, which tmux does not keep in the name of a session")
    return name


def _value(place: Place) -> str:
    """Text or a number as written. What it is may be a secret, so no sentence shows it."""
    word = scalar(place, "text")
    if not is_text(place) and kind_of(place.node) != "a number":
        raise Wrong(f"is {kind_of(place.node)} to YAML; put it in quotes to make it text")
    if "\0" in word:
        raise Wrong("has a zero byte")
    return _near(_expanded(word), place)


def _near(value: str, place: Place) -> str:
    """What begins with a dot is a path from the file's own folder."""
    if not value.startswith("."):
        return value
    return os.path.normpath(os.path.join(os.path.dirname(place.report.file), value))


def _option_value(place: Place) -> str:
    if kind_of(place.node) == "true or false":
        return "on" if switch(place) else "off"
    return _value(place)


def _name(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def read(word: str) -> str:
        if not pattern.fullmatch(word):
            raise Wrong(f"{word!r} is no name of {what}")
        return word

    return read


def _pairs(name: Callable[[str], str], value: Reader[str]) -> Reader[Pairs]:
    read = table(name, value)
    return lambda place: tuple(read(place).items())


def _focus(place: Place) -> bool:
    """tmuxp's own examples write it in quotes now and then."""
    return (
        place.node.value == "true"
        if is_text(place) and place.node.value in ("true", "false")
        else switch(place)
    )


def _before_script(place: Place) -> tuple[str, ...]:
    """One line is a program with its arguments, as for tmuxp; several are a shell's."""
    word = scalar(place, "text").strip()
    if not is_text(place) or not word:
        raise Wrong("has to be a command line")
    if "\n" in word:
        return ("/bin/sh", "-e", "-c", word)
    try:
        return tuple(shlex.split(_near(_expanded(word), place)))
    except ValueError as error:
        raise Wrong(f"is no command line: {error}") from error


def _layout(place: Place) -> Place:
    """The place itself: whether it fits is known only with the panes."""
    text(place)
    return place


def _fitting(place: Place, panes: int) -> str:
    word = str(place.node.value)
    named = [name for name in NAMED_LAYOUTS if name.startswith(word)]
    if word in NAMED_LAYOUTS or len(named) == 1:
        return named[0]
    if "," not in word:
        raise Wrong(unknown_word("layout", word, NAMED_LAYOUTS))
    root = layout.parse(word)
    if root is None:
        raise Wrong("is no layout: its syntax or its checksum is wrong")
    if root.panes != panes:
        raise Wrong(
            f"is a layout for {root.panes}, and the window has {panes} pane{'s' if panes > 1 else ''}"
        )
    if not layout.valid(word, panes):
        raise Wrong("is a layout whose cells do not fill it")
    return word


def _command(place: Place) -> CommandText:
    if isinstance(place.node, yaml.MappingNode):
        values = section(_known(place, _COMMAND), _COMMAND, required=("cmd",))
        return CommandText(**_renamed(values, {"cmd": "text"}))
    return CommandText(_typed(place))


def _typed(place: Place) -> str:
    """Lines that a terminal takes as text."""
    value = scalar(place, "text")
    if not is_text(place):
        raise Wrong(f"is {kind_of(place.node)} to YAML; put it in quotes to make it text")
    for number, line in enumerate(value.split("\n"), start=1):
        if not typeable(f" {line}"):
            raise Wrong(
                f"line {number} of it cannot be typed: it has a tab or another character that acts in a "
                f"terminal, or more than {LONGEST_LINE} bytes"
            )
    return value


def _commands(place: Place) -> tuple[CommandText, ...]:
    """The forms of ``shell_command``: nothing, one text, or a list of texts and mappings."""
    if place.blank:
        return ()
    if isinstance(place.node, yaml.SequenceNode):
        items = place.node.value
        if len(items) == 1 and _says_nothing(place.below("0", items[0])):
            return ()
        found = list_of(_command)(place)
    elif isinstance(place.node, yaml.MappingNode):
        raise Wrong("has to be text or a list, and is a mapping")
    else:
        found = () if _says_nothing(place) else (_command(place),)
    return tuple(command for command in found if command.text.strip("\n"))


def _says_nothing(place: Place) -> bool:
    return place.blank or (is_text(place) and place.node.value in _NO_COMMAND)


def _commands_before(place: Place) -> tuple[CommandText, ...]:
    if isinstance(place.node, yaml.MappingNode):
        values = section(_known(place, _BEFORE), _BEFORE)
        found: tuple[CommandText, ...] = values.get("shell_command", ())
        return found
    return _commands(place)


def _pane(readers: Mapping[str, Reader[Any]]) -> Reader[PaneText]:
    """The forms of a pane: nothing, commands alone, or a mapping."""

    def read(place: Place) -> PaneText:
        if not isinstance(place.node, yaml.MappingNode):
            return PaneText(_commands(place))
        values = section(_known(place, readers), readers)
        commands = (*values.pop("shell_command", ()), *values.pop("command", ()))
        names = {"name": "title", "shell_command_before": "commands_before"}
        return PaneText(commands, **_renamed(values, names))

    return read


def _some(item: Reader[T], what: str) -> Reader[tuple[T, ...]]:
    """A list that is not empty."""
    read = list_of(item)

    def some(place: Place) -> tuple[T, ...]:
        if isinstance(place.node, yaml.SequenceNode) and not place.node.value:
            raise Wrong(f"is empty: {what}")
        return read(place)

    return some


def _window(readers: Mapping[str, Reader[Any]]) -> Reader[WindowText]:
    def read(place: Place) -> WindowText:
        before = len(place.report.faults)
        values = section(_known(place, readers), readers)
        if len(place.report.faults) > before:
            raise Told
        given: Place | None = values.pop("layout", None)
        if given is not None:
            try:
                values["layout"] = _fitting(given, len(values.get("panes", (None,))))
            except Wrong as wrong:
                given.fault(str(wrong))
                raise Told from wrong
        names = {
            "window_name": "name",
            "window_index": "index",
            "window_shell": "shell",
            "shell_command_before": "commands_before",
        }
        return WindowText(**_renamed(values, names))

    return read


def _windows(window: Reader[WindowText]) -> Reader[tuple[WindowText, ...]]:
    read = _some(window, "a session has at least one window")

    def windows(place: Place) -> tuple[WindowText, ...]:
        found = read(place)
        indexes = [one.index for one in found if one.index is not None]
        twice = [index for number, index in enumerate(indexes) if index in indexes[:number]]
        if twice:
            raise Wrong(f"has two windows with the window_index {twice[0]}")
        panes = sum(len(one.panes) for one in found)
        if panes > MOST_PANES:
            raise Wrong(f"has {panes} panes; there may be {MOST_PANES}")
        return found

    return windows


_ENVIRONMENT = _pairs(_name(_VARIABLE, "a variable"), _value)
_OPTIONS = _pairs(_name(_OPTION, "an option"), _option_value)
_SLEEP = decimal(0, _LONGEST_SLEEP)

_COMMAND: Mapping[str, Reader[Any]] = {
    "cmd": _typed,
    "enter": switch,
    "sleep_before": _SLEEP,
    "sleep_after": _SLEEP,
}
_BEFORE: Mapping[str, Reader[Any]] = {"shell_command": _commands}
_PANE: Mapping[str, Reader[Any]] = {
    "shell_command": _commands,
    "shell_command_before": _commands_before,
    "start_directory": _shown,
    "environment": _ENVIRONMENT,
    "shell": text,
    "focus": _focus,
    "suppress_history": switch,
    "enter": switch,
    "sleep_before": _SLEEP,
    "sleep_after": _SLEEP,
}
_WINDOW: Mapping[str, Reader[Any]] = {
    "window_name": _shown,
    "window_index": whole(0, _LAST_INDEX),
    "window_shell": text,
    "layout": _layout,
    "focus": _focus,
    "start_directory": _shown,
    "environment": _ENVIRONMENT,
    "options": _OPTIONS,
    "options_after": _OPTIONS,
    "shell_command_before": _commands_before,
    "suppress_history": switch,
}
_SESSION: Mapping[str, Reader[Any]] = {
    "session_name": _session_name,
    "start_directory": _shown,
    "environment": _ENVIRONMENT,
    "options": _OPTIONS,
    "global_options": _OPTIONS,
    "before_script": _before_script,
    "shell_command_before": _commands_before,
    "suppress_history": switch,
}
