"""One session image against another, field by field, and how many fields that were.

Knows no tolerance: what a difference means is for the caller to say. Values of environments are
never told, since differences are stored and shown; only that they differ.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sidecar import redact
from sidecar.decide import layout
from sidecar.model.plan import Difference
from sidecar.model.session import Options, SavedPane, SavedWindow, ServerOrigin, SessionImage

Value = str | Mapping[str, str]
"""A field's value, or a part's value by the part's name."""

Thing = TypeVar("Thing")

_UNSET = "not set"
_EMPTY = "set and empty"
_REMOVED = "removed"
_SET = "set"
_SET_OTHERWISE = "set to something else"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, and what differs."""

    differences: tuple[Difference, ...]
    """None of them tolerated."""
    compared: Mapping[str, int]
    """How many values were compared, by field (``window name``, ``session option``)."""


def compare(wanted: SessionImage, found: SessionImage, fields: Container[str] | None = None) -> Comparison:
    """Every difference between two images of a session, as ``wanted`` and ``found``.

    ``fields`` limits it to these, named as in :attr:`Comparison.compared`. Windows and panes are
    matched by index. Options are left out where one of the images is too old to have them.
    """
    tally = _Tally(fields)
    differences = tuple(_images(wanted, found, tally))
    return Comparison(differences, dict(tally.counts))


class _Tally:
    """Compares fields, and counts them."""

    def __init__(self, fields: Container[str] | None) -> None:
        self._fields = fields
        self.counts: Counter[str] = Counter()

    def presence(self, where: str, wanted: object, found: object) -> Iterator[Difference]:
        yield from self._one(where, "presence", _there(wanted), _there(found))

    def things(
        self, where: str, table: Mapping[str, Callable[[Thing], Value]], wanted: Thing, found: Thing
    ) -> Iterator[Difference]:
        """Two things by the table of their fields."""
        for field, read in table.items():
            old, new = read(wanted), read(found)
            if isinstance(old, str) or isinstance(new, str):
                yield from self._one(where, field, str(old), str(new))
                continue
            for name in sorted(old.keys() | new.keys()):
                yield from self._one(where, field, *_two(field, old.get(name), new.get(name)), name)

    def _one(self, where: str, field: str, wanted: str, found: str, name: str = "") -> Iterator[Difference]:
        kind = f"{where.partition(' ')[0]} {field}"
        if self._fields is not None and kind not in self._fields:
            return
        self.counts[kind] += 1
        if wanted != found:
            full = f"{field} {name}".rstrip()
            # What differs is shown and logged; that it differs is all that a secret tells.
            old, new = (redact.in_field(full, value) for value in (wanted, found))
            yield Difference(where, full, old, new, tolerated=False)


def _images(wanted: SessionImage, found: SessionImage, tally: _Tally) -> Iterator[Difference]:
    where = f"session {wanted.name}"
    yield from tally.things(where, SESSION_FIELDS, wanted, found)
    optional = wanted.options is not None and found.options is not None
    if optional:
        yield from tally.things(where, SESSION_DETAILS, wanted, found)
    old, new = ({window.index: window for window in image.windows} for image in (wanted, found))
    for index in sorted(old.keys() | new.keys()):
        window, other = old.get(index), new.get(index)
        yield from tally.presence(f"window {index}", window, other)
        if window is not None and other is not None:
            yield from _windows(window, other, optional, tally)
    if optional:
        yield from tally.things("server", SERVER_FIELDS, wanted.origin, found.origin)


def _windows(wanted: SavedWindow, found: SavedWindow, optional: bool, tally: _Tally) -> Iterator[Difference]:
    where = f"window {wanted.index}"
    yield from tally.things(where, WINDOW_FIELDS, wanted, found)
    if optional:
        yield from tally.things(where, WINDOW_DETAILS, wanted, found)
    old, new = ({pane.index: pane for pane in window.panes} for window in (wanted, found))
    for index in sorted(old.keys() | new.keys()):
        place = f"pane {wanted.index}.{index}"
        pane, other = old.get(index), new.get(index)
        yield from tally.presence(place, pane, other)
        if pane is not None and other is not None:
            yield from tally.things(place, PANE_FIELDS, pane, other)
            if optional:
                yield from tally.things(place, PANE_DETAILS, pane, other)


def _two(field: str, wanted: str | None, found: str | None) -> tuple[str, str]:
    if field != "environment":
        return (_UNSET if wanted is None else wanted), (_UNSET if found is None else found)
    if wanted is None or found is None or _REMOVED in (wanted, found):
        return _hidden(wanted), _hidden(found)
    return _SET, _SET if wanted == found else _SET_OTHERWISE


def _hidden(value: str | None) -> str:
    if value is None:
        return _UNSET
    return _REMOVED if value == _REMOVED else _SET


def _there(thing: object) -> str:
    return "absent" if thing is None else "present"


def _by_name(options: Options) -> Mapping[str, str]:
    return {name: _EMPTY if value is None else value for name, value in options}


def _environment(variables: Options) -> Mapping[str, str]:
    # The sign keeps a value from passing for a mark.
    return {name: _REMOVED if value is None else f"={value}" for name, value in variables}


def _session_options(image: SessionImage) -> Mapping[str, str]:
    return _by_name(image.options or ())


def _window_options(window: SavedWindow) -> Mapping[str, str]:
    # Whether a window names itself is compared as such; how it came to that does not matter.
    return {name: value for name, value in _by_name(window.options).items() if name != "automatic-rename"}


def _layout(window: SavedWindow) -> str:
    return layout.shape(window.layout) or window.layout


def _bindings(origin: ServerOrigin) -> Mapping[str, str]:
    # bind-key [-r] -T table key ...
    return {
        _place(words): " ".join(words) for words in (line.split(" ") for line in origin.settings.bindings)
    }


def _place(words: Sequence[str]) -> str:
    start = words.index("-T") + 1 if "-T" in words else 0
    return " ".join(words[start : start + 2])


def _words(argv: Sequence[str]) -> str:
    return shlex.join(argv)


SESSION_FIELDS: Mapping[str, Callable[[SessionImage], Value]] = {
    "name": lambda image: image.name,
    "size": lambda image: f"{image.width}x{image.height}",
    "default shell": lambda image: image.default_shell,
    "default command": lambda image: image.default_command,
    "environment": lambda image: _environment(image.environment),
    "group": lambda image: image.group,
}
SESSION_DETAILS: Mapping[str, Callable[[SessionImage], Value]] = {
    "option": _session_options,
    "folder": lambda image: image.path,
}
WINDOW_FIELDS: Mapping[str, Callable[[SavedWindow], Value]] = {
    "name": lambda window: window.name,
    "layout": _layout,
    "zoomed": lambda window: str(window.zoomed),
    "active": lambda window: str(window.active),
    "last": lambda window: str(window.last),
    "automatic rename": lambda window: str(window.automatic_rename),
}
WINDOW_DETAILS: Mapping[str, Callable[[SavedWindow], Value]] = {
    "option": _window_options,
    "link": lambda window: window.link,
}
PANE_FIELDS: Mapping[str, Callable[[SavedPane], Value]] = {
    "title": lambda pane: pane.title,
    "cwd": lambda pane: pane.cwd,
    "start command": lambda pane: pane.start_command,
    "command": lambda pane: _words(pane.argv),
    "program": lambda pane: _words(pane.program),
    "active": lambda pane: str(pane.active),
    "resume": lambda pane: pane.resume,
    "scrollback": lambda pane: pane.scrollback,
}
PANE_DETAILS: Mapping[str, Callable[[SavedPane], Value]] = {
    "last": lambda pane: str(pane.last),
    "option": lambda pane: _by_name(pane.options),
}
SERVER_FIELDS: Mapping[str, Callable[[ServerOrigin], Value]] = {
    "cwd": lambda origin: origin.cwd,
    "configuration": lambda origin: origin.config_files,
    "environment": lambda origin: _environment(origin.environment),
    "option": lambda origin: _by_name(origin.settings.server),
    "session option": lambda origin: _by_name(origin.settings.session),
    "window option": lambda origin: _by_name(origin.settings.window),
    "binding": _bindings,
}
"""Each field of a thing, and how it is read. What older checkpoints lack is in the tables of details."""
