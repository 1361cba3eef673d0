"""``sidecar audit``: what is on record, whether the record is whole, and a copy of it for elsewhere."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from sidecar import client
from sidecar.cli_common import (
    PATH,
    json_option,
    moment,
    paged,
    private_file,
    reaches_service,
    show_json,
    state_option,
    tell_older,
)
from sidecar.decide import told
from sidecar.model.audit import AuditFilter, Head
from sidecar.model.record import Action
from sidecar.terminal import brief, shortened, table

_HEAD = ("ID", "TIME", "SESSION", "ACTION", "BY", "REASON", "DETAIL")
_LONGEST_DETAIL = 100
_ACTIONS = click.Choice([word.value for word in Action])


@click.group()
def audit() -> None:
    """Read and check the audit trail."""


@audit.command("list")
@reaches_service
@click.argument("session", required=False)
@click.option("--action", type=_ACTIONS, help="Only records of this.")
@paged
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
            brief(row["session"] or "-"),
            row["action"],
            told.who(row["actor"], row["detail"]),
            row["reason"],
            shortened(told.sentence(row["action"], row["detail"]), _LONGEST_DETAIL),
        )
        for row in body["records"]
    ]
    click.echo(table(_HEAD, rows) if rows else "no records")
    tell_older(body)


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


@audit.command()
@state_option
@click.option("--since", metavar="TIME", help="Only what was recorded then or later.")
@click.option("--session", help="Only what is about this one.")
@click.option("--action", type=_ACTIONS, help="Only records of this.")
@click.option("-o", "--output", type=PATH, metavar="FILE", help="Write it there (mode 0600).")
def export(
    state: Path, since: str | None, session: str | None, action: str | None, output: Path | None
) -> None:
    """Write the records as JSON Lines, oldest first, with or without a running service."""
    # SQLite and the store take longer to import than the other commands take to run.
    from sidecar.edges.store.inspect import audit_pages

    begun = moment(since)
    wanted = AuditFilter(session, action, begun.timestamp() if begun else None)
    pages = audit_pages(state, wanted)
    if output is None:
        for rows in pages:
            sys.stdout.write("".join(f"{told.line(row)}\n" for row in rows))
        return
    count = 0
    with private_file(output) as file:
        for rows in pages:
            count += file.write("".join(f"{told.line(row)}\n" for row in rows)) and len(rows)
    click.echo(f"{count} records")
