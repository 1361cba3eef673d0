"""Nodes of a YAML document as values, with every fault kept and none thrown away.

A :data:`Reader` turns one :class:`Place` into a value or raises :class:`Wrong` with one sentence.
Whoever reads several (a mapping, a list) notes the sentence, and goes on with the next one.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

import yaml

from sidecar import config_units as units
from sidecar.errors import Fault
from sidecar.regexes.ambiguity import endless_on

T = TypeVar("T")
N = TypeVar("N", int, float)
K = TypeVar("K")
E = TypeVar("E", bound=StrEnum)

_TAG = "tag:yaml.org,2002:"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
_KINDS = {
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date",
}
_OFF = frozenset({"off", "0", "0s"})
_SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Wrong(Exception):
    """One sentence about one value."""


class Told(Exception):
    """There is no value, and its faults are noted already."""


class Nothing:
    """There is no value here, or a wrong one."""


_NOTHING: Final = Nothing()


@dataclass(frozen=True, slots=True)
class Report:
    """The faults of one file."""

    file: str
    faults: list[Fault] = field(default_factory=list)
    root: yaml.Node | None = None
    """The document, for what depends on another part of it."""
    lenient: bool = False
    """What is only missing beside the file, as a package, is no fault of it."""

    def add(self, node: yaml.Node, key: str, sentence: str) -> None:
        self.faults.append(Fault(self.file, node.start_mark.line + 1, key, sentence))


@dataclass(frozen=True, slots=True)
class Place:
    """A node, the path of keys that leads to it, and where its faults go."""

    node: yaml.Node
    path: str
    report: Report

    def fault(self, sentence: str) -> None:
        self.report.add(self.node, self.path, sentence)

    def below(self, key: str, node: yaml.Node) -> Place:
        return Place(node, below(self.path, key), self.report)

    @property
    def blank(self) -> bool:
        """A key without a value keeps its default."""
        return self.node.tag == f"{_TAG}null"


Reader = Callable[[Place], T]


def below(path: str, key: str) -> str:
    """The path of a key: ``a.b``, or ``a['b c']`` where the key is not a plain word."""
    if not _PLAIN_KEY.fullmatch(key):
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key


def entries(place: Place) -> Iterator[tuple[yaml.Node, str, Place]]:
    """Key node, key and place of each entry; faults for keys that are no text or come twice."""
    if not isinstance(place.node, yaml.MappingNode):
        raise Wrong(f"has to be a mapping of keys to values, and is {kind_of(place.node)}")
    lines: dict[str, int] = {}
    for key_node, value_node in place.node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            place.report.add(
                key_node, place.path, f"a key has to be text, and this one is {kind_of(key_node)}"
            )
            continue
        key = key_node.value
        if key in lines:
            sentence = f"is given twice; the first time in line {lines[key]}"
            place.report.add(key_node, below(place.path, key), sentence)
            continue
        lines[key] = key_node.start_mark.line + 1
        yield key_node, key, place.below(key, value_node)


def section(
    place: Place, readers: Mapping[str, Reader[Any]], required: Collection[str] = ()
) -> dict[str, Any]:
    """The values of the keys that are there and right.

    Raises:
        Wrong: it is no mapping.
        Told: a required key is missing or wrong.
    """
    values: dict[str, Any] = {}
    given: set[str] = set()
    for key_node, key, child in entries(place):
        if key not in readers:
            place.report.add(key_node, child.path, unknown_word("key", key, readers))
        elif not child.blank:
            given.add(key)
            value = attempt(child, readers[key])
            if not isinstance(value, Nothing):
                values[key] = value
    for key in required:
        if key not in given:
            place.fault(f"needs the key `{key}`")
    if any(key not in values for key in required):
        raise Told
    return values


def faultless(
    place: Place, readers: Mapping[str, Reader[Any]], required: Collection[str] = ()
) -> dict[str, Any]:
    """As :func:`section`, for values that are weighed together: those left of one with faults may seem to
    have others.

    Raises:
        Wrong: it is no mapping.
        Told: something in it is wrong.
    """
    known = len(place.report.faults)
    values = section(place, readers, required)
    if len(place.report.faults) > known:
        raise Told
    return values


def record(
    build: Callable[..., T], readers: Mapping[str, Reader[Any]], required: Collection[str] = ()
) -> Reader[T]:
    """A mapping with known keys, handed to ``build`` as keyword arguments."""
    return lambda place: build(**section(place, readers, required))


def table(key: Callable[[str], K], value: Reader[T], least: int = 0) -> Reader[Mapping[K, T]]:
    """A mapping with keys of the user's own."""

    def read(place: Place) -> Mapping[K, T]:
        found: dict[K, T] = {}
        given = list(entries(place))
        for key_node, word, child in given:
            try:
                name = key(word)
            except Wrong as wrong:
                place.report.add(key_node, child.path, str(wrong))
                continue
            item = attempt(child, value)
            if not isinstance(item, Nothing):
                found[name] = item
        if len(given) < least:
            raise Wrong(f"needs at least {least} {'entry' if least == 1 else 'entries'}")
        return MappingProxyType(found)

    return read


def list_of(item: Reader[T]) -> Reader[tuple[T, ...]]:
    """A list; what is wrong in it is left out of the value."""

    def read(place: Place) -> tuple[T, ...]:
        if not isinstance(place.node, yaml.SequenceNode):
            raise Wrong(f"has to be a list, and is {kind_of(place.node)}")
        values = (
            attempt(Place(node, f"{place.path}[{number}]", place.report), item)
            for number, node in enumerate(place.node.value)
        )
        return tuple(value for value in values if not isinstance(value, Nothing))

    return read


def few_of(item: Reader[T], most: int, what: str) -> Reader[tuple[T, ...]]:
    """A list of no more than ``most``; ``what`` they are is said of more, with what to do instead."""
    read_all = list_of(item)

    def read(place: Place) -> tuple[T, ...]:
        found = read_all(place)
        if len(found) > most:
            name, _, instead = what.partition("; ")
            raise Wrong(f"has {len(found)} {name}, and may have {most}{f'; {instead}' if instead else ''}")
        return found

    return read


def at(place: Place, key: str, number: int) -> Place:
    """The item of this number in the list of this key, of a document that has been read without a fault."""
    child = next(child for _, word, child in entries(place) if word == key)
    return Place(child.node.value[number], f"{child.path}[{number}]", place.report)


def text(place: Place) -> str:
    """Text that is not empty and has no control characters."""
    value = scalar(place, "text")
    if not is_text(place):
        raise Wrong(f"is {kind_of(place.node)} to YAML; put it in quotes to make it text")
    if not value:
        raise Wrong("is empty")
    if not value.isprintable():
        raise Wrong(f"{value!r} has characters that cannot be printed")
    return value


def read_as(convert: Callable[[str], T]) -> Reader[T]:
    """Text in a form of its own; ``convert`` raises ``ValueError`` with a sentence."""

    def read(place: Place) -> T:
        try:
            return convert(text(place))
        except ValueError as error:
            raise Wrong(str(error)) from error

    return read


def duration(least: str, most: str) -> Reader[float]:
    """Seconds, from text with units."""
    return _between(units.seconds, "a duration", least, most)


def duration_or_off(least: str, most: str) -> Reader[float]:
    """As :func:`duration`, or 0 where it is switched off."""
    read_duration = duration(least, most)

    def read(place: Place) -> float:
        return 0.0 if scalar(place, "a duration or off").lower() in _OFF else read_duration(place)

    return read


def size(least: str, most: str) -> Reader[int]:
    """Bytes, from text with a unit."""
    return _between(units.size, "a size", least, most)


def _between(parse: Callable[[str], N], what: str, least: str, most: str) -> Reader[N]:
    low, high = parse(least), parse(most)

    def read(place: Place) -> N:
        word = scalar(place, what)
        try:
            value = parse(word)
        except ValueError as error:
            raise Wrong(str(error)) from error
        if not low <= value <= high:
            raise Wrong(f"is {word}, and has to lie between {least} and {most}")
        return value

    return read


def whole(least: int, most: int) -> Reader[int]:
    """A whole number."""

    def read(place: Place) -> int:
        word = scalar(place, "a whole number")
        if not _WHOLE.fullmatch(word):
            raise Wrong(f"{word!r} is no whole number")
        value = int(word)
        if not least <= value <= most:
            raise Wrong(f"is {value}, and has to lie between {least} and {most}")
        return value

    return read


def decimal(least: float, most: float) -> Reader[float]:
    """A number, with or without a decimal point."""

    def read(place: Place) -> float:
        word = scalar(place, "a number")
        if not _DECIMAL.fullmatch(word):
            raise Wrong(f"{word!r} is no number")
        value = float(word)
        if not least <= value <= most:
            raise Wrong(f"is {word}, and has to lie between {least:g} and {most:g}")
        return value

    return read


def share(place: Place) -> float:
    """A share of a whole, in percent: ``50%`` is 0.5."""
    word = scalar(place, "a share in percent")
    match = _SHARE.fullmatch(word)
    if match is None or not 0 < float(match[1]) <= 100:
        raise Wrong(f"{word!r} is no share; write one above 0% and up to 100%, as 50%")
    return float(match[1]) / 100


def switch(place: Place) -> bool:
    """``true`` or ``false``."""
    word = scalar(place, "true or false")
    if place.node.tag != f"{_TAG}bool":
        raise Wrong(f"{word!r} is neither true nor false")
    return _SWITCH[word.lower()]


def member(kind: type[E], what: str) -> Callable[[str], E]:
    """The member of an enum by its word; ``what`` names the enum in the sentence."""

    def read(word: str) -> E:
        try:
            return kind(word)
        except ValueError:
            raise Wrong(unknown_word(what, word, [one.value for one in kind])) from None

    return read


def one_of(kind: type[E], what: str) -> Reader[E]:
    """A member of an enum."""
    read_word = member(kind, what)
    return lambda place: read_word(scalar(place, f"a {what}"))


def regex(place: Place) -> str:
    """A regular expression that compiles, and does not plainly take for ever on some texts."""
    pattern = text(place)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise Wrong(f"{pattern!r} is no regular expression: {error}") from error
    example = endless_on(pattern, rounds=5)
    if example:
        raise Wrong(
            f"{pattern!r} would take for ever on some texts, as on many more of {example!r}: "
            "what repeats in it can match the same text in several ways"
        )
    return pattern


def unavailable(place: Place) -> Nothing:
    """A key that has a meaning, which this version does not know how to fulfil."""
    raise Wrong("is not available in this version")


def is_text(place: Place) -> bool:
    """Whether YAML takes the value for text, and not for a number, a switch or a date."""
    return place.node.tag == f"{_TAG}str"


def attempt(place: Place, read: Reader[T]) -> T | Nothing:
    """The value, or nothing once the fault is noted."""
    try:
        return read(place)
    except Wrong as wrong:
        place.fault(str(wrong))
    except Told:
        pass
    return _NOTHING


def scalar(place: Place, wanted: str) -> str:
    """The words of a single value, whatever YAML takes them for."""
    if not isinstance(place.node, yaml.ScalarNode):
        raise Wrong(f"has to be {wanted}, and is {kind_of(place.node)}")
    return str(place.node.value)


def kind_of(node: yaml.Node) -> str:
    """What a node is, for people."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    tag = node.tag.removeprefix(_TAG)
    return "text" if tag == "str" else _KINDS.get(tag, f"a value with the tag {tag}")


def unknown_word(what: str, word: str, known: Collection[str], listed: str = "") -> str:
    """The sentence about a word that is not among the known ones; ``listed`` tells them in short."""
    close = difflib.get_close_matches(word[:64], known, n=1, cutoff=0.7)
    guess = f"; did you mean {close[0]}?" if close else "."
    return f"{word!r} is an unknown {what}{guess} There are: {listed or ', '.join(known)}"
