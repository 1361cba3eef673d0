"""``sidecar circuits``: which strategies rest, and putting one back by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from sidecar import client
from sidecar.cli_common import Listing, json_option, reaches_service, show_json
from sidecar.model.circuits import is_name
from sidecar.model.plan import Strategy
from sidecar.model.policy import Circuit
from sidecar.terminal import Cell, safe, table

_CIRCUIT_HEAD = ("CIRCUIT", "STATE", "FAILURES", "TRIED AGAIN")
_COLOURS = {Circuit.CLOSED: "green", Circuit.HALF_OPEN: "yellow", Circuit.OPEN: "red"}


@click.group(cls=Listing)
def circuits() -> None:
    """Show the circuits, open one, or put one back."""


@circuits.command("list")
@reaches_service
@json_option
def list_circuits(service: client.Client, as_json: bool) -> None:
    """Show the circuit of each strategy, and those of sessions for which one failed lately."""
    body = service.get("/api/v1/circuits")
    if as_json:
        show_json(body)
        return
    rows = [
        (
            safe(row["name"]),
            Cell(row["state"], _COLOURS[Circuit(row["state"])]),
            str(row["failures"]),
            _tried_again(row),
        )
        for row in body["circuits"]
    ]
    click.echo(table(_CIRCUIT_HEAD, rows))


def _circuit_name(context: click.Context, parameter: click.Parameter, name: str) -> str:
    if not is_name(name):
        strategies = ", ".join(Strategy)
        raise click.BadParameter(f"{name!r} is no circuit; there are {strategies}, and STRATEGY:SESSION")
    return name


@circuits.command("open")
@reaches_service
@click.argument("name", callback=_circuit_name)
def force_open(service: client.Client, name: str) -> None:
    """Open the circuit NAME: a strategy, or STRATEGY:SESSION. It rests until it is reset."""
    _show_circuit(service.post(f"/api/v1/circuits/{quote(name, safe='')}/open", {})["circuit"])


@circuits.command()
@reaches_service
@click.argument("name", callback=_circuit_name)
def reset(service: client.Client, name: str) -> None:
    """Close the circuit NAME, so that the strategy is tried again at once."""
    _show_circuit(service.post(f"/api/v1/circuits/{quote(name, safe='')}/reset", {})["circuit"])


def _show_circuit(row: Mapping[str, Any]) -> None:
    click.echo(safe(f"{row['name']}: {row['state']}"))


def _tried_again(row: Mapping[str, Any]) -> str:
    if row["retry_after"] is None:
        return "once reset"
    return f"in {row['retry_after']:.0f} s" if row["retry_after"] else "-"
