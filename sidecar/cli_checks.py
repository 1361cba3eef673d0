"""``sidecar checks``: how health checks stand, and asking one now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from sidecar import client
from sidecar.cli_common import Listing, json_option, reaches_service, show_json
from sidecar.clock import SystemClock
from sidecar.model.check import CheckState
from sidecar.terminal import Cell, age, brief, safe, table

_HEAD = ("CHECK", "STATE", "SINCE", "FOUND", "HEAL")
_COLOURS = {
    CheckState.PASSING: "green",
    CheckState.FAILING: "red",
    CheckState.GIVEN_UP: "red",
    CheckState.HEALING: "yellow",
    CheckState.SUSPECT: "yellow",
}
_BAD = (CheckState.FAILING, CheckState.HEALING, CheckState.GIVEN_UP)


@click.group(cls=Listing)
def checks() -> None:
    """Show the health checks, or run one now."""


@checks.command("list")
@reaches_service
@json_option
def list_checks(service: client.Client, as_json: bool) -> None:
    """Show how every check stands."""
    body = service.get("/api/v1/checks")
    if as_json:
        show_json(body)
    elif body["checks"]:
        now = SystemClock().wall()
        click.echo(table(_HEAD, [_row(one, now) for one in body["checks"]]))
    else:
        click.echo("no checks")


@checks.command("run")
@reaches_service
@click.argument("name")
@json_option
def run_check(service: client.Client, name: str, as_json: bool) -> None:
    """Ask the check NAME now; fail unless it passes."""
    body = service.post(f"/api/v1/checks/{quote(name, safe='')}/run", {})
    one = body["check"]
    if as_json:
        show_json(body)
    else:
        click.echo(safe(f"{one['name']}: {one['state']}: {one['found']} ({one['took']:.3f} s)"))
    if one["state"] != CheckState.PASSING:
        click.get_current_context().exit(1)


def in_words(states: Mapping[str, str]) -> str:
    """One line about all of them; empty without any."""
    if not states:
        return ""
    counts = Counter(states.values())
    bad = [name for name, state in states.items() if state in _BAD]
    named = f" ({', '.join(bad[:5])}{', ...' if len(bad) > 5 else ''})" if bad else ""
    return f"checks: {', '.join(f'{count} {state}' for state, count in counts.items())}{named}"


def _row(one: Mapping[str, Any], now: float) -> tuple[str | Cell, ...]:
    vain = f"; {one['vain']} of {one['tries']} in vain" if one["vain"] else ""
    return (
        brief(one["name"]),
        Cell(one["state"], _COLOURS.get(CheckState(one["state"]))),
        age(one["since"], now),
        one["found"],
        ", then ".join(one["heal"]) + vain,
    )
