"""Heal actions from YAML, each by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from sidecar.config_fields import Place, Reader, Wrong, entries, list_of, read_as, unknown_word
from sidecar.config_probes import argv
from sidecar.model.heal import CommandHeal, Heal, HealKind, PaneTarget, RespawnHeal, RestartHeal


def heals(place: Place) -> tuple[Heal, ...]:
    """One heal, or a list of them: the next one where the one before it has not helped."""
    if isinstance(place.node, yaml.SequenceNode):
        return list_of(_heal)(place)
    return (_heal(place),)


def _heal(place: Place) -> Heal:
    given = list(entries(place))
    if len(given) != 1:
        raise Wrong(f"names {len(given)} heals, and each takes one; write a list for several")
    _, word, child = given[0]
    if word not in HEALS:
        raise Wrong(unknown_word("heal", word, HEALS))
    found: Heal = HEALS[HealKind(word)](child)
    return found


def pane_target(text: str) -> PaneTarget:
    """``SESSION:WINDOW`` or ``SESSION:WINDOW.PANE``."""
    session, colon, rest = text.partition(":")
    window, dot, pane = rest.rpartition(".")
    if not dot:
        window, pane = rest, ""
    if not (session and colon and window) or (dot and not pane.isdigit()):
        raise ValueError(f"{text!r} is no pane; write SESSION:WINDOW.PANE, as api:web.0")
    return PaneTarget(session, window, int(pane) if pane else None)


HEALS: Mapping[HealKind, Reader[Any]] = {
    HealKind.RESTART: read_as(lambda word: RestartHeal(pane_target(word))),
    HealKind.RESPAWN: read_as(lambda word: RespawnHeal(pane_target(word))),
    HealKind.COMMAND: lambda place: CommandHeal(argv(place)),
}
"""By kind, which is also the key in the file."""
