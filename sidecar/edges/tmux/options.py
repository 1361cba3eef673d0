"""What ``show-options``, ``show-hooks`` and ``list-keys`` print, and the commands that set it again. Pure.

Values of options and hooks may hold ``#(...)``, which is the user's own configuration: it is kept
and set to the letter, by commands that expand nothing but a name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterator, Mapping

from sidecar.edges.tmux import marks
from sidecar.edges.tmux.text import command, literal, split_arguments
from sidecar.model.session import Options

_NAME = re.compile(r"(?P<name>[^ \[]+(?:\[[^\]]*\])?)(?: (?P<value>.*))?", re.DOTALL)
_KEYS = frozenset({"prefix", "prefix2"})
"""Printed as they are; every other option that holds text is printed in quotes where it needs them."""
_OURS = frozenset(
    {
        "@sidecar_armed",
        "@sidecar_kept",
        "@sidecar_start",
        "@sidecar_link",
        "@sidecar_group",
        "@sidecar_building",
        "@sidecar_built",
        "@sidecar_conversation",
        *marks.ALL,
    }
)
"""Our own bookkeeping, which is no part of a session. ``@sidecar`` and ``@sidecar_resume`` are the user's."""
_HOOK = re.compile(r"(?:after|alert|client|command|pane|session|window)-[a-z-]+(?<!pane-colours)\[\d+\]")
_BINDING = re.compile(r"bind-key\s+(?P<repeat>-r\s+)?-T\s+(?P<table>\S+)\s+(?P<key>\S+)\s+(?P<does>\S.*)")


def read_options(text: str, hooks: Container[str] = ()) -> Options:
    """The options that ``show-options`` has printed, sorted; ``hooks`` are the names of hooks among them.

    A user's own option whose name holds a blank or a bracket cannot be told from its value, and is left out.

    Raises:
        ValueError: the text is something else.
    """
    return tuple(sorted(_read_options(text, hooks), key=lambda pair: pair[0]))


def _read_options(text: str, hooks: Container[str]) -> Iterator[tuple[str, str | None]]:
    for line in _lines(text):
        found = _NAME.fullmatch(line)
        if found is None:
            raise ValueError(f"not an option as tmux prints it: {line[:40]!r}")
        name, value = found["name"], found["value"]
        if base_name(name) in _OURS:
            continue
        if value is None:
            yield name, None
        elif base_name(name) in hooks or name in _KEYS:
            yield name, value
        elif len(words := split_arguments(value)) == 1:
            yield name, words[0]
        elif not name.startswith("@"):
            raise ValueError(f"the option {name} has no single value: {value[:40]!r}")


def read_hooks(text: str) -> Options:
    """The hooks that ``show-hooks`` has printed; those that hold no command are left out."""
    return tuple(
        (name, value) for name, value in read_options(text, hooks=hook_names(text)) if value is not None
    )


def hook_names(text: str) -> frozenset[str]:
    """Every hook that this tmux knows, from what ``show-hooks -g`` prints."""
    return frozenset(base_name(line.partition(" ")[0]) for line in _lines(text))


def read_bindings(text: str) -> tuple[str, ...]:
    """The bindings that ``list-keys`` has printed, one ``bind-key`` each, without its columns."""
    return tuple(
        f"bind-key {'-r ' if found['repeat'] else ''}-T {found['table']} {found['key']} {found['does']}"
        for line in _lines(text)
        if (found := _BINDING.fullmatch(line))
    )


def base_name(name: str) -> str:
    """``status-format`` for ``status-format[0]``."""
    return name.partition("[")[0]


def is_hook(pair: tuple[str, str | None]) -> bool:
    """Whether the option holds a command that runs when something happens."""
    return _HOOK.fullmatch(pair[0]) is not None


def without(options: Options, names: Collection[str]) -> Options:
    """The options but those of these names."""
    return tuple(pair for pair in options if base_name(pair[0]) not in names)


def set_lines(scope: tuple[str, ...], options: Options) -> Iterator[str]:
    """Commands that set these options where none of them is set yet; ``scope`` is as for ``set-option``."""
    for name, value in options:
        # The name is expanded as a format, the value is not.
        yield command("set-option", *scope, "--", literal(name), value or "")


def change_lines(scope: tuple[str, ...], wanted: Options, found: Options) -> Iterator[str]:
    """Commands that make the options ``found`` into ``wanted``; an array that differs is set anew."""
    old, new = _by_name(found), _by_name(wanted)
    for name in sorted(old.keys() - new.keys()):
        # Another release of tmux may know options that were never recorded: those keep their value.
        if name.startswith("@") or "[" in old[name][0][0]:
            yield command("set-option", *scope, "-u", "--", literal(name))
    for name, items in new.items():
        if items != old.get(name):
            if any("[" in item for item, _ in items):
                yield command("set-option", *scope, "--", literal(name), "")
            yield from set_lines(scope, tuple(items))


def change_binding_lines(wanted: tuple[str, ...], found: tuple[str, ...]) -> Iterator[str]:
    """Commands that make the bindings ``found`` into ``wanted``, each failing for itself alone."""
    old, new = _by_key(found), _by_key(wanted)
    for table, key in sorted(old.keys() - new.keys()):
        yield by_itself(f"unbind-key -q -T {table} {key}")
    for place, line in new.items():
        if line != old.get(place):
            yield by_itself(line)


def by_itself(line: str) -> str:
    """A command that is parsed only when its turn comes, and may fail without ending its line."""
    return command("if-shell", "-F", "1", line)


def _by_name(options: Options) -> dict[str, list[tuple[str, str | None]]]:
    grouped: dict[str, list[tuple[str, str | None]]] = {}
    for pair in options:
        grouped.setdefault(base_name(pair[0]), []).append(pair)
    return grouped


def _by_key(bindings: tuple[str, ...]) -> Mapping[tuple[str, str], str]:
    found = (_BINDING.fullmatch(line) for line in bindings)
    return {(match["table"], match["key"]): match[0] for match in found if match}


def _lines(text: str) -> list[str]:
    return text.split("\n")[:-1]
