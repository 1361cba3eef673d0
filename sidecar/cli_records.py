"""``sidecar audit`` and ``sidecar circuits``: what is on record, and whether the record is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from sidecar import client
from sidecar.cli_common import json_option, reaches_service, show_json, state_option
from sidecar.model.audit import Head
from sidecar.model.circuits import is_name
from sidecar.model.plan import Strategy
from sidecar.model.policy import Circuit
from sidecar.model.record import Action
from sidecar.terminal import Cell, safe, table

_AUDIT_HEAD = ("ID", "TIME", "SESSION", "ACTION", "BY", "REASON", "DETAIL")
_CIRCUIT_HEAD = ("CIRCUIT", "STATE", "FAILURES", "TRIED AGAIN")
_COLOURS = {Circuit.CLOSED: "green", Circuit.HALF_OPEN: "yellow", Circuit.OPEN: "red"}
_LONGEST_DETAIL = 100


@click.group()
def audit() -> None:
    """Read and check the audit trail."""


@audit.command("list")
@reaches_service
@click.argument("session", required=False)
@click.option("--action", type=click.Choice([word.value for word in Action]), help="Only records of this.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="At most so many.")
@click.option("--before", type=click.IntRange(1), metavar="ID", help="Only those older than this one.")
@json_option
def list_records(
    service: client.Client,
    session: str | None,
    action: str | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List the records of SESSION, or all, newest first."""
    body = service.get("/api/v1/audit", session=session, action=action, limit=limit, before=before)
    if as_json:
        show_json(body)
        return
    rows = [
        (
            str(row["id"]),
            datetime.fromtimestamp(row["at"], UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            row["session"] or "-",
            row["action"],
            row["actor"],
            row["reason"],
            _shortened(json.dumps(row["detail"], ensure_ascii=False) if row["detail"] else ""),
        )
        for row in body["records"]
    ]
    click.echo(table(_AUDIT_HEAD, rows) if rows else "no records")
    if body["next"] is not None:
        click.echo(f"there are older ones: --before {body['next']}")


@audit.command()
@state_option
@click.option("--head", metavar="ID:HASH", help="A head that was noted: the trail has to hold this record.")
def verify(state: Path, head: str | None) -> None:
    """Recompute the hash chain, with or without a running service; writes nothing.

    The log tells the head at each start and every hour (action `audit_head`).
    """
    # SQLite and the store take longer to import than the other commands take to run.
    from sidecar.edges.store.inspect import inspect_chain

    number, _, digest = (head or "0:").partition(":")
    if head is not None and not (number.isascii() and number.isdigit() and digest):
        raise click.BadParameter(f"{head!r} is not ID:HASH", param_hint="--head")
    chain = inspect_chain(state, Head(int(number), digest) if head is not None else None)
    if chain.broken is None:
        click.echo(f"{chain.records} records: the chain is whole")
        click.echo(f"head {chain.last.newest}:{chain.last.hash}")
        return
    click.echo(f"record {chain.broken.row}: {chain.broken.sentence}")
    click.get_current_context().exit(1)


class _Listing(click.Group):
    """A group that lists unless it is told what else to do."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if args and args[0] in known else ["list", *args])


@click.group(cls=_Listing)
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


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_DETAIL else f"{text[: _LONGEST_DETAIL - 1]}…"
