"""``sidecar checkpoint ...``: list, show, take, compare, restore, check, export and thin out generations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from sidecar import client, redact
from sidecar import config_units as units
from sidecar.cli_common import (
    PATH,
    json_option,
    moment,
    paged,
    private_file,
    reaches_service,
    show_dry_run,
    show_json,
    state_option,
    tell_older,
    wait_for,
)
from sidecar.clock import SystemClock
from sidecar.errors import ServiceRefused
from sidecar.model.session import Operation
from sidecar.terminal import Cell, age, brief, safe, table

_HEAD = ("ID", "SESSION", "TAKEN", "AGE", "WHY", "WINDOWS", "PANES", "SIZE", "STATE")
_PANE_HEAD = ("PANE", "", "CWD", "TITLE", "STARTED AS", "RUNNING")
_PATH = "/api/v1/checkpoints"


@click.group()
def checkpoint() -> None:
    """Work on the stored generations of sessions."""


@checkpoint.command()
@reaches_service
@click.argument("session")
@json_option
def create(service: client.Client, session: str, as_json: bool) -> None:
    """Store SESSION as it is now."""
    answer = service.post(_PATH, {"session": session})
    if as_json:
        show_json(answer)
        return
    row = answer["checkpoint"]
    if answer["created"]:
        click.echo(
            safe(f"checkpoint {row['id']} of {session}: {_extent(row)}, {units.show_size(row['size'])}")
        )
    else:
        click.echo(safe(f"nothing has changed since checkpoint {row['id']} of {session}"))


@checkpoint.command("list")
@reaches_service
@click.argument("session", required=False)
@click.option(
    "--operation", type=click.Choice([word.value for word in Operation]), help="Only those taken for this."
)
@click.option("--until", metavar="TIME", help="Only those taken then or before.")
@click.option("--good", is_flag=True, help="Only those whose checksum holds.")
@paged
@json_option
def list_generations(
    service: client.Client,
    session: str | None,
    operation: str | None,
    until: str | None,
    good: bool,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List the generations of SESSION, or of all, newest first."""
    body = service.get(
        _PATH,
        session=session,
        operation=operation,
        until=_moment(until),
        good=good,
        limit=limit,
        before=before,
    )
    if as_json:
        show_json(body)
        return
    now = SystemClock().wall()
    if not body["checkpoints"]:
        click.echo("no checkpoints")
        return
    click.echo(table(_HEAD, [_row(row, now) for row in body["checkpoints"]]))
    tell_older(body)


@checkpoint.command()
@reaches_service
@click.argument("number", type=click.IntRange(1))
@json_option
def show(service: client.Client, number: int, as_json: bool) -> None:
    """Show what generation NUMBER holds; never environments or scrollback."""
    body = service.get(f"{_PATH}/{number}")
    if as_json:
        show_json(body)
        return
    row = body["checkpoint"]
    now = SystemClock().wall()
    click.echo(
        safe(
            f"checkpoint {row['id']} of {row['session']}, taken {_local(row['taken'])} "
            f"({age(row['taken'], now)}) for {row['operation']}, {units.show_size(row['size'])}, "
            f"sha256 {row['checksum'][:12]}"
        )
    )
    if row["quarantined"]:
        click.echo(safe(f"in quarantine, never used: {row['quarantined']}"))
        return
    _show_image(row["image"])


@checkpoint.command()
@reaches_service
@click.argument("number", type=click.IntRange(1))
@click.argument("other", type=click.IntRange(1), required=False)
@json_option
def diff(service: client.Client, number: int, other: int | None, as_json: bool) -> None:
    """Compare generation NUMBER with OTHER, or with the living session."""
    body = service.get(f"{_PATH}/{number}/diff", against=other)
    if as_json:
        show_json(body)
        return
    if not body["differences"]:
        click.echo("no differences")
        return
    head = ("WHERE", "FIELD", f"IN {number}", f"IN {other}" if other else "NOW")
    rows = [(one["where"], one["field"], one["wanted"], one["found"]) for one in body["differences"]]
    click.echo(table(head, rows))


@checkpoint.command()
@reaches_service
@click.argument("session")
@click.option("--id", "number", type=click.IntRange(1), metavar="ID", help="This generation.")
@click.option("--at", metavar="TIME", help="The newest good one of then: 2026-01-31T14:00Z, 14:00, 2h ago.")
@click.option("--window", type=click.IntRange(0), metavar="N", help="Only window N, into the living session.")
@click.option("--as", "name", metavar="NAME", help="Under this name, beside the living session.")
@click.option(
    "--replace", "replaces", is_flag=True, help="In the place of the living session, which is stored first."
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--wait", is_flag=True, help="Wait for the verdict; fail unless it is `verified`.")
def restore(
    service: client.Client,
    session: str,
    number: int | None,
    at: str | None,
    window: int | None,
    name: str | None,
    replaces: bool,
    dry_run: bool,
    wait: bool,
) -> None:
    """Build SESSION again as a generation has it, by default the newest good one."""
    if number is not None and at is not None:
        raise click.UsageError("--id and --at both name a generation; give one.")
    if window is not None and (name or replaces):
        raise click.UsageError("--window goes into the living session; it takes neither --as nor --replace.")
    if name and replaces:
        raise click.UsageError("--as stands beside the living session, --replace in its place; give one.")
    row = _chosen(service, session, number, at)
    asked = {"window": window, "as": name, "replace": replaces, "dry_run": dry_run}
    answer = service.post(f"{_PATH}/{row['id']}/restore", asked)
    if dry_run:
        click.echo(safe(f"checkpoint {row['id']}, taken {_local(row['taken'])}: {_extent(row)}"))
        show_dry_run(answer)
        return
    click.echo(
        safe(
            f"recovery {answer['id']} of {answer['session']} from checkpoint {row['id']}, "
            f"taken {_local(row['taken'])}, has begun (trace {answer['trace']})"
        )
    )
    if "undo" in answer:
        click.echo(safe(f"to undo it: sidecar checkpoint restore {session} --id {answer['undo']} --replace"))
    if wait and not wait_for(service, int(answer["id"])):
        click.get_current_context().exit(1)


@checkpoint.command()
@state_option
@json_option
def verify(state: Path, as_json: bool) -> None:
    """Check every stored byte, with or without a running service; writes nothing."""
    # SQLite and the store take longer to import than the other commands take to run.
    from sidecar.edges.store.inspect import inspect

    report = inspect(state)
    if as_json:
        show_json(report.as_dict())
    else:
        for fault in report.faults:
            click.echo(safe(f"{fault.where}: {fault.sentence}"))
        click.echo(
            f"{report.checkpoints} checkpoints, {report.texts} texts, {report.records} audit records: "
            + (f"{len(report.faults)} faults" if report.faults else "all good")
        )
    if report.faults:
        click.get_current_context().exit(1)


@checkpoint.command()
@reaches_service
@click.argument("session", required=False)
@click.option("--id", "number", type=click.IntRange(1), metavar="ID", help="This generation.")
@click.option(
    "--output", "-o", type=PATH, metavar="FILE", help="Write it there (mode 0600), not to the screen."
)
def export(service: client.Client, session: str | None, number: int | None, output: Path | None) -> None:
    """Write SESSION's newest good generation, or generation ID, as a tmuxp workspace file.

    Environments, scrollback, titles and zoom are not in the file, nor what looks like a secret.
    """
    if (session is None) == (number is None):
        raise click.UsageError("Name a SESSION, or a generation with --id.")
    if number is None:
        assert session is not None
        number = _chosen(service, session, None, None)["id"]
    body = service.get(f"{_PATH}/{number}/export")
    text = (
        f"# Checkpoint {body['checkpoint']} of a tmux session, taken {_local(body['taken'])}.\n"
        "# Load it with: tmuxp load -d FILE\n"
        + yaml.safe_dump(body["workspace"], sort_keys=False, allow_unicode=True, width=1000)
    )
    if output is None:
        click.echo(text, nl=False)
    else:
        with private_file(output) as file:
            file.write(text)
        click.echo(safe(f"{output}: checkpoint {body['checkpoint']}"))


@checkpoint.command()
@reaches_service
@click.option("--dry-run", is_flag=True, help="Show what would go, and remove nothing.")
@json_option
def prune(service: client.Client, dry_run: bool, as_json: bool) -> None:
    """Remove what retention does not keep; never a session's newest good generation."""
    body = service.post(f"{_PATH}/prune", {"dry_run": dry_run})
    if as_json:
        show_json(body)
        return
    rows = body["checkpoints"]
    if rows:
        now = SystemClock().wall()
        head = ("ID", "SESSION", "TAKEN", "AGE", "SIZE", "BECAUSE")
        click.echo(
            table(
                head,
                [
                    (
                        str(row["id"]), brief(row["session"]), _local(row["taken"]), age(row["taken"], now),
                        units.show_size(row["size"]), row["reason"],
                    )
                    for row in rows
                ],
            )
        )  # fmt: skip
    click.echo(f"{len(rows)} {'would go' if dry_run else 'removed'}")


def _chosen(service: client.Client, session: str, number: int | None, at: str | None) -> Mapping[str, Any]:
    """The generation that is meant.

    Raises:
        ServiceRefused: there is none.
    """
    if number is not None:
        row: Mapping[str, Any] = service.get(f"{_PATH}/{number}")["checkpoint"]
        if row["session"] != session:
            raise ServiceRefused(
                f"checkpoint {number} is one of {row['session']}, not of {session}",
                hint=f"`sidecar checkpoint list {session}` shows those that there are.",
            )
        return row
    rows = service.get(_PATH, session=session, until=_moment(at), good=True, limit=1)["checkpoints"]
    if not rows:
        when = f" taken at {at} or before" if at else ""
        raise ServiceRefused(
            f"there is no good checkpoint of {session}{when}",
            hint=f"`sidecar checkpoint list {session}` shows those that there are.",
        )
    chosen: Mapping[str, Any] = rows[0]
    return chosen


def _moment(text: str | None) -> str | None:
    """A person's words as the service reads them."""
    found = moment(text)
    return found.astimezone(UTC).isoformat().replace("+00:00", "Z") if found else None


def _local(taken: float) -> str:
    return datetime.fromtimestamp(taken, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _extent(row: Mapping[str, Any]) -> str:
    return f"{row['windows']} windows, {row['panes']} panes"


def _row(row: Mapping[str, Any], now: float) -> list[Cell | str]:
    quarantined = row["quarantined"]
    return [
        str(row["id"]),
        brief(row["session"]),
        _local(row["taken"]),
        age(row["taken"], now),
        row["operation"],
        "-" if quarantined else str(row["windows"]),
        "-" if quarantined else str(row["panes"]),
        units.show_size(row["size"]),
        Cell(f"quarantined: {quarantined}", "red") if quarantined else Cell("good", "green"),
    ]


def _show_image(image: Mapping[str, Any]) -> None:
    names = ", ".join(image["environment"]) or "none"
    click.echo(safe(f"size {image['width']}x{image['height']}, environment (names only): {names}"))
    for window in image["windows"]:
        marks = [mark for mark in ("active", "last", "zoomed") if window[mark]]
        click.echo()
        click.echo(safe(f"window {window['index']} {window['name']} {' '.join(marks)}".rstrip()))
        click.echo(table(_PANE_HEAD, [_pane_row(window, pane) for pane in window["panes"]]))


def _pane_row(window: Mapping[str, Any], pane: Mapping[str, Any]) -> list[Cell | str]:
    return [
        f"{window['index']}.{pane['index']}",
        "active" if pane["active"] else "",
        pane["cwd"],
        pane["title"],
        (redact.command(pane["argv"]) or pane["start_command"]) if pane["start_command"] else "shell",
        redact.command(pane["program"]),
    ]
