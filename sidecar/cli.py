"""The commands. Thin: each reads its words, calls one function or the service, and prints.

Exit status: 0 done, 1 it failed, 2 wrong usage.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sidecar import __version__, client, clock, config_read
from sidecar.config import Settings
from sidecar.errors import ConfigInvalid, SidecarError
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Strategy
from sidecar.model.policy import Mode

_POLL = 0.2

config_option = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Configuration file."
)
state_option = click.option("--state", type=click.Path(path_type=Path), help="State folder.")


class _Group(click.Group):
    """Turns our errors into one line, a hint, and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigInvalid as error:
            for fault in error.faults:
                click.echo(str(fault), err=True)
        except SidecarError as error:
            click.echo(f"sidecar: {error}", err=True)
            if error.hint:
                click.echo(f"hint: {error.hint}", err=True)
        ctx.exit(1)
        return None


@click.group(cls=_Group)
@click.version_option(__version__, prog_name="sidecar")
def main() -> None:
    """Keeps long-lived tmux sessions alive."""


@main.command()
@config_option
@state_option
@click.option("--listen", metavar="HOST:PORT", help="Address of the HTTP service.")
@click.option("--tmux-socket-name", metavar="NAME", help="As tmux -L.")
@click.option("--tmux-socket-path", metavar="PATH", help="As tmux -S.")
@click.option("--observe", is_flag=True, help="Decide and record everything, do nothing.")
def run(
    config_file: Path | None,
    state: Path | None,
    listen: str | None,
    tmux_socket_name: str | None,
    tmux_socket_path: str | None,
    observe: bool,
) -> None:
    """Run the service in the foreground; SIGTERM and Ctrl-C end it cleanly."""
    from sidecar.app import serve

    settings = _settings(config_file)
    if tmux_socket_name or tmux_socket_path:
        tmux = replace(settings.tmux, socket_name=tmux_socket_name, socket_path=tmux_socket_path)
        settings = replace(settings, tmux=tmux)
    if listen:
        if not listen.rpartition(":")[2].isdecimal():
            raise click.BadParameter(f"{listen!r} is not HOST:PORT", param_hint="--listen")
        settings = replace(settings, http=replace(settings.http, listen=listen))
    if observe:
        settings = replace(settings, recovery=replace(settings.recovery, mode=Mode.OBSERVE))
    sys.exit(serve(settings, state or config_read.state_dir()))


@main.command()
@config_option
@state_option
@click.option("--json", "as_json", is_flag=True, help="The service's own answer.")
def status(config_file: Path | None, state: Path | None, as_json: bool) -> None:
    """Show the sessions, open incidents and circuits."""
    body = _client(config_file, state).call("GET", "/api/v1/sessions").body
    if as_json:
        click.echo(json.dumps(body, indent=2))
        return
    server = f"tmux {body['tmux_version']}" if body["server_up"] else "no tmux server"
    click.echo(f"{server}, mode {body['mode']}")
    rows: list[tuple[str, ...]] = [("SESSION", "HEALTH", "WINDOWS", "PANES", "CHECKPOINTS", "NOTE")]
    for one in body["sessions"]:
        row = (one["name"], one["health"], one["windows"], one["panes"], one["checkpoints"], one["note"])
        rows.append(tuple(_plain(str(cell)) for cell in row))
    _table(rows)
    for incident in body["incidents"]:
        click.echo(
            _plain(
                f"incident {incident['id']}: {incident['session']} {incident['failure']}, "
                f"{incident['cause']}, {incident['state']}: {incident['sentence']}"
            )
        )
    for circuit in body["circuits"]:
        if circuit["state"] != "closed":
            click.echo(f"circuit {circuit['name']}: {circuit['state']}")


@main.command()
@config_option
@state_option
@click.argument("session")
@click.option("--failure", type=click.Choice(list(FailureKind)), help="What is wrong.")
@click.option("--strategy", type=click.Choice(list(Strategy)), help="Use only this one.")
@click.option("--dry-run", is_flag=True, help="Show what would be done.")
@click.option("--wait", is_flag=True, help="Wait for the verdict.")
def recover(
    config_file: Path | None,
    state: Path | None,
    session: str,
    failure: str | None,
    strategy: str | None,
    dry_run: bool,
    wait: bool,
) -> None:
    """Ask the running service to recover a session."""
    service = _client(config_file, state)
    asked: dict[str, Any] = {"session": session, "dry_run": dry_run}
    asked |= {key: value for key, value in (("failure", failure), ("strategy", strategy)) if value}
    reply = service.call("POST", "/recover", asked)
    body = reply.body
    if reply.status >= 400:
        click.echo(f"{body.get('reason') or body['title']}: {body['detail']}", err=True)
        if body.get("hint"):
            click.echo(f"hint: {body['hint']}", err=True)
        sys.exit(1)
    if dry_run:
        click.echo(f"would be done: {body['strategy']} (cause: {body['cause']})")
        for step in body["steps"]:
            click.echo(_plain(f"  {step}"))
        return
    click.echo(f"recovery {body['id']} {'joined' if body['joined'] else 'begun'}: {body['strategy']}")
    if wait:
        _wait(service, int(body["id"]))


@main.group()
def config() -> None:
    """Work on the configuration file."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
def check(file: Path | None) -> None:
    """Name every fault of the file, with its line."""
    path = file or config_read.default_path()
    config_read.load(path)
    click.echo(f"{path}: ok")


def _wait(service: client.Client, recovery: int) -> None:
    while True:
        row = service.call("GET", f"/api/v1/recoveries/{recovery}").body["recovery"]
        if row["state"] != "running":
            break
        clock.pause(_POLL)
    took = row["time_to_recovery"]
    click.echo(_plain(f"{row['state']}: {row['verdict']}" + (f" ({took:.3f} s)" if took else "")))
    sys.exit(0 if row["state"] == "verified" else 1)


def _settings(config_file: Path | None) -> Settings:
    path = config_file or config_read.default_path()
    if config_file is None and not path.exists():
        return Settings()
    return config_read.load(path)


def _client(config_file: Path | None, state: Path | None) -> client.Client:
    return client.find(_settings(config_file), state or config_read.state_dir())


def _plain(text: str) -> str:
    """Without control characters: a session's name must not act on the reader's terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
