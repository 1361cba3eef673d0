"""Reading ladders, and how their rungs are run: retries and circuits, each with what contradicts itself.

A rung says only what is different; the rest comes from ``recovery.retry`` and ``recovery.circuit`` of the
same file, wherever they stand in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import yaml

from sidecar import config_units as units
from sidecar.config import RecoverySettings
from sidecar.config_fields import (
    Nothing,
    Place,
    Reader,
    Report,
    Wrong,
    attempt,
    decimal,
    duration,
    entries,
    list_of,
    member,
    one_of,
    record,
    scalar,
    section,
    share,
    unknown_word,
    whole,
)
from sidecar.decide import backoff
from sidecar.decide.fitting import possible
from sidecar.edges import catalogue
from sidecar.errors import ExtensionUnusable
from sidecar.model.incident import Cause, FailureKind
from sidecar.model.ladder import Ladder, Ladders, Rung
from sidecar.model.plan import Strategy
from sidecar.model.policy import BreakerPolicy, Jitter, RetryPolicy

RETRY: Mapping[str, Reader[Any]] = {
    "max_attempts": whole(1, 100),
    "initial_delay": duration("1ms", "1h"),
    "max_delay": duration("1ms", "1d"),
    "base": decimal(1, 100),
    "jitter": one_of(Jitter, "jitter"),
    "max_total": duration("1s", "1d"),
}
CIRCUIT: Mapping[str, Reader[Any]] = {
    "failure_threshold": whole(1, 1_000),
    "window": duration("1s", "7d"),
    "recovery_timeout": duration("1s", "7d"),
    "minimum_calls": whole(1, 1_000),
    "failure_rate": share,
    "slow_call": duration("100ms", "1d"),
    "slow_rate": share,
    "probes": whole(1, 100),
}


@dataclass(frozen=True, slots=True)
class Basis:
    """What holds for every rung that does not say otherwise."""

    retry: RetryPolicy = RecoverySettings().retry
    circuit: BreakerPolicy = RecoverySettings().circuit


def read_retry(place: Place) -> RetryPolicy:
    """A retry policy that says only what differs from ``recovery.retry``."""
    return retry_on(_basis(place).retry)(place)


def read_strategy(place: Place) -> Strategy:
    """One of ours, or ``custom:NAME`` if an installed package brings it."""
    word = scalar(place, "a strategy")
    if word.partition(":")[0] != Strategy.CUSTOM:
        return _SHIPPED(word)
    try:
        strategy = Strategy(word)
    except ValueError:
        raise Wrong(f"{word!r} is no name of a strategy of one's own{_what_is_there()}") from None
    if not strategy.own_name:
        raise Wrong(f"{word} needs the name of one: {word}:NAME{_what_is_there()}")
    if not place.report.lenient and strategy.own_name not in catalogue.installed():
        raise Wrong(f"no installed package brings {word}{_what_is_there()}")
    return strategy


def read_ladders(place: Place) -> Ladders:
    """Ladders by failure or by cause."""
    basis = _basis(place)
    found: dict[FailureKind | Cause, Ladder] = {}
    for key_node, key, child in entries(place):
        word = _WORDS.get(key)
        if word is None:
            place.report.add(key_node, child.path, unknown_word("failure or cause", key, _WORDS, _LISTED))
            continue
        ladder = attempt(child, _ladder_on(basis, word))
        if not isinstance(ladder, Nothing):
            found[word] = ladder
    return MappingProxyType(found)


def _basis(place: Place) -> Basis:
    """What the document says for all. Its faults are told where that is read for good."""
    found: dict[str, Any] = {}
    readers: Mapping[str, Reader[Any]] = {
        "retry": retry_on(RetryPolicy()),
        "circuit": circuit_on(BreakerPolicy()),
    }
    for word, reader in readers.items():
        node = _node(place.report.root, "recovery", word)
        value = attempt(Place(node, "", Report("")), reader) if node is not None else _NONE
        if not isinstance(value, Nothing):
            found[word] = value
    return Basis(**found)


def retry_on(basis: RetryPolicy) -> Reader[RetryPolicy]:
    """A retry policy, of which only the differences are given."""

    def build(**values: Any) -> RetryPolicy:
        policy = replace(basis, **values)
        if policy.initial_delay > policy.max_delay:
            raise Wrong(
                f"initial_delay ({units.show_seconds(policy.initial_delay)}) is longer than "
                f"max_delay ({units.show_seconds(policy.max_delay)})"
            )
        waited = backoff.expected(policy)
        if waited > policy.max_total:
            took, most = units.show_seconds(round(waited, 1)), units.show_seconds(policy.max_total)
            raise Wrong(
                f"max_attempts ({policy.max_attempts}) can never be reached: the delays before the last come "
                f"to {took}, and max_total is {most}"
            )
        return policy

    return record(build, RETRY)


def circuit_on(basis: BreakerPolicy) -> Reader[BreakerPolicy]:
    """A circuit's policy, of which only the differences are given."""
    return record(lambda **values: replace(basis, **values), CIRCUIT)


def _ladder_on(basis: Basis, word: FailureKind | Cause) -> Reader[Ladder]:
    rungs_of = list_of(_rung_on(basis, word))

    def read(place: Place) -> Ladder:
        rungs = rungs_of(place)
        if not place.node.value:
            raise Wrong(
                "is empty; leave the key out for the default, or set sessions.restore to never to do nothing"
            )
        strategies = [rung.strategy for rung in rungs]
        twice = [each for number, each in enumerate(strategies) if each in strategies[:number]]
        if twice:
            raise Wrong(f"names {twice[0]} twice")
        return rungs

    return read


def _rung_on(basis: Basis, word: FailureKind | Cause) -> Reader[Rung]:
    readers: Mapping[str, Reader[Any]] = {
        "strategy": read_strategy,
        "retry": retry_on(basis.retry),
        "circuit": circuit_on(basis.circuit),
    }

    def read(place: Place) -> Rung:
        if isinstance(place.node, yaml.MappingNode):
            rung = Rung(**section(place, readers, required=("strategy",)))
        else:
            rung = Rung(read_strategy(place))
        if rung.strategy.own_name:
            return _with_extension(rung, word, place)
        if rung.strategy is Strategy.RETRY:
            raise Wrong("retry is how a rung is run, and no rung; write {strategy: STRATEGY, retry: {...}}")
        if rung.strategy not in possible(word):
            raise Wrong(f"{rung.strategy} mends nothing that is {word}{_what_does(word)}")
        return rung

    return read


def _with_extension(rung: Rung, word: FailureKind | Cause, place: Place) -> Rung:
    """What the package says of it decides whether it belongs here."""
    try:
        extension = catalogue.describe(rung.strategy.own_name)
    except ExtensionUnusable as error:
        if place.report.lenient:
            return rung
        raise Wrong(f"{rung.strategy} cannot be used: {error}") from error
    if not extension.concerns(word):
        raise Wrong(f"{rung.strategy} ({extension.package}) mends nothing that is {word}")
    return replace(rung, extension=extension)


def _what_is_there() -> str:
    names = ", ".join(f"{Strategy.CUSTOM}:{name}" for name in catalogue.installed())
    return f"; installed are: {names}" if names else "; none is installed"


def _what_does(word: FailureKind | Cause) -> str:
    # A cause may be found behind most failures, so that a list would tell nothing.
    fits = sorted(possible(word)) if isinstance(word, FailureKind) else ()
    return f"; what does: {', '.join(fits)}" if fits else ""


_NONE = Nothing()
_SHIPPED = member(Strategy, "strategy")
_LISTED = f"{', '.join(FailureKind)}; and every cause"
_WORDS: Mapping[str, FailureKind | Cause] = {word.value: word for word in (*FailureKind, *Cause)}


def _node(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    """What stands under these keys, one below the other."""
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    return node
