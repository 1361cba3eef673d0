"""The commands. Thin: each reads its words, calls one function or the service, and prints.

Exit status: 0 done, 1 it failed, 2 wrong usage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sidecar import __version__, client, config_lastgood, config_read, config_web
from sidecar import config_units as units
from sidecar.cli_audit import audit
from sidecar.cli_checkpoints import checkpoint
from sidecar.cli_checks import checks
from sidecar.cli_checks import in_words as in_one_line
from sidecar.cli_common import (
    PATH,
    Commands,
    config_option,
    json_option,
    reaches_service,
    show_dry_run,
    show_json,
    state_option,
    strategy_name,
    wait_for,
)
from sidecar.cli_incidents import incidents
from sidecar.cli_notify import notify
from sidecar.cli_programs import program_line
from sidecar.cli_quiet import in_words, silence
from sidecar.cli_records import circuits
from sidecar.cli_sessions import adopt, explain, release
from sidecar.cli_tokens import token
from sidecar.clock import SystemClock
from sidecar.config import Settings
from sidecar.errors import ConfigInvalid
from sidecar.model.incident import FailureKind
from sidecar.model.policy import Circuit, Mode
from sidecar.model.session import Health
from sidecar.model.stress import CheckpointMode
from sidecar.terminal import Cell, age, brief, safe, table

_COLOURS = {
    Health.HEALTHY: "green",
    Health.UNKNOWN: "yellow",
    Health.RECOVERING: "yellow",
    Health.RELEASED: None,
}
_LESS = {
    CheckpointMode.STRUCTURE: "structure only, without new scrollback",
    CheckpointMode.PAUSED: "paused; what is stored is kept and used",
}
_HEAD = ("SESSION", "HEALTH", "WINDOWS", "PANES", "DEAD", "ACTIVE", "CHECKPOINTS", "SIZE", "NEWEST", "NOTE")


def _checked(read: Callable[[str], str]) -> Callable[..., str | None]:
    """An option that one of the configuration file's own readers has to understand."""

    def check_option(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        try:
            return None if value is None else read(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error

    return check_option


def _each_checked(read: Callable[[str], str]) -> Callable[..., tuple[str, ...]]:
    """The same for an option that may be given several times."""
    check_one = _checked(read)

    def check_option(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked for value in values if (checked := check_one(ctx, param, value)))

    return check_option


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sidecar")
def main() -> None:
    """Keeps long-lived tmux sessions alive: watches them, checkpoints them, brings back what breaks."""


@main.command()
@config_option
@state_option
@click.option(
    "--listen",
    metavar="ADDRESS",
    multiple=True,
    callback=_each_checked(units.listen_address),
    help="HOST:PORT or unix:PATH of the HTTP service; may be given several times.",
)
@click.option("--web-config-file", type=PATH, help="TLS and users, as Prometheus's own --web.config.file.")
@click.option("--tmux-socket-name", metavar="NAME", callback=_checked(units.socket_name), help="As tmux -L.")
@click.option("--tmux-socket-path", metavar="PATH", callback=_checked(units.socket_path), help="As tmux -S.")
@click.option("--observe", is_flag=True, help="Decide and record everything, do nothing.")
@click.option(
    "--strict-config", is_flag=True, help="Do not start from the last good configuration if FILE has faults."
)
def run(
    config_file: Path | None,
    state: Path,
    listen: tuple[str, ...],
    web_config_file: Path | None,
    tmux_socket_name: str | None,
    tmux_socket_path: str | None,
    observe: bool,
    strict_config: bool,
) -> None:
    """Run the service in the foreground; SIGTERM and Ctrl-C end it cleanly, SIGHUP reloads."""
    if tmux_socket_name and tmux_socket_path:
        raise click.UsageError("--tmux-socket-name and --tmux-socket-path name two servers; give one.")
    # A reload comes from anywhere: a relative path has to mean the same file then.
    file = config_file.absolute() if config_file else None
    web_file = str(web_config_file.absolute()) if web_config_file else None

    def as_asked(settings: Settings) -> Settings:
        if tmux_socket_name or tmux_socket_path:
            tmux = replace(settings.tmux, socket_name=tmux_socket_name, socket_path=tmux_socket_path)
            settings = replace(settings, tmux=tmux)
        if listen:
            settings = replace(settings, http=replace(settings.http, listen=listen))
        if web_file:
            settings = replace(settings, http=replace(settings.http, web_config_file=web_file))
        if observe:
            settings = replace(settings, recovery=replace(settings.recovery, mode=Mode.OBSERVE))
        return settings

    # The service's libraries take longer to import than the other commands take to run.
    from sidecar.serve import serve

    begin = config_lastgood.load(file, state, strict=strict_config)
    begin = replace(begin, settings=as_asked(begin.settings))
    ended = serve(begin, lambda: as_asked(config_read.load_or_default(file)), state.absolute())
    click.get_current_context().exit(ended)


@main.command()
@reaches_service
@json_option
def status(service: client.Client, as_json: bool) -> None:
    """Show the sessions, the open incidents and the circuits."""
    body = service.status()
    if as_json:
        show_json(body)
        return
    now = SystemClock().wall()
    server = f"tmux {body['tmux_version']}".rstrip() if body["server_up"] else "no tmux server"
    click.echo(safe(f"{server}, mode {body['mode']}"))
    if not body["config_good"]:
        click.echo("the configuration on disk has faults, an earlier one is in force: `sidecar config check`")
    for resource, why in body["short"].items():
        click.echo(safe(f"short of {resource}: {why}"))
    if body["checkpoint_mode"] != CheckpointMode.FULL:
        click.echo(f"checkpoints: {_LESS[body['checkpoint_mode']]}")
    for fault in body["workspace_faults"]:
        click.echo(safe(f"workspace file {fault}"))
    for hush in body.get("quiet", ()):
        click.echo(safe(f"quiet: {in_words(hush)}"))
    if words := in_one_line(body.get("checks", {})):
        click.echo(safe(words))
    if body["sessions"]:
        click.echo(table(_HEAD, [_session_row(session, now) for session in body["sessions"]]))
    else:
        click.echo("no sessions in our care")
    for incident in body["incidents"]:
        whose = incident["session"] or "the tmux server"
        sentence = f": {incident['sentence']}" if incident["sentence"] else ""
        click.echo(
            safe(
                f"incident {incident['id']}: {whose} {incident['failure']}, "
                f"cause {incident['cause']}, {incident['state']}{sentence}"
            )
        )
    for program in (one for session in body["sessions"] for one in session["programs"]):
        click.echo(safe(program_line(program, now)))
    for circuit in body["circuits"]:
        if circuit["state"] != Circuit.CLOSED:
            click.echo(safe(f"circuit {circuit['name']}: {circuit['state']}"))


@main.command()
@reaches_service
@click.argument("session")
@click.option("--failure", type=click.Choice([kind.value for kind in FailureKind]), help="What is wrong.")
@click.option("--strategy", callback=strategy_name, help="Use only this one.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--wait", is_flag=True, help="Wait for the verdict; fail unless it is `verified`.")
def recover(
    service: client.Client, session: str, failure: str | None, strategy: str | None, dry_run: bool, wait: bool
) -> None:
    """Ask the running service to recover a session."""
    answer = service.recover(session, failure, strategy, dry_run=dry_run)
    if dry_run:
        show_dry_run(answer)
        return
    begun = "was running already" if answer["joined"] else "has begun"
    click.echo(safe(f"recovery {answer['id']} of {session} {begun} (trace {answer['trace']})"))
    if wait and not wait_for(service, int(answer["id"])):
        click.get_current_context().exit(1)


@main.command()
def demo() -> None:
    """Injure a private tmux session in four ways, and watch it come back."""
    from sidecar.demo import main as show

    click.get_current_context().exit(show())


for command in (
    checkpoint, explain, release, adopt, silence, notify, audit, circuits, incidents, checks, token,
):  # fmt: skip
    main.add_command(command)


@main.group()
def config() -> None:
    """Work on the configuration file."""


@config.command()
@click.argument("file", type=PATH, required=False)
def check(file: Path | None) -> None:
    """Name every fault of FILE, or of the default file, and of its workspace files, with its line."""
    path = file or config_read.default_path()
    settings = config_read.load(path)
    faults = list(settings.declared.faults)
    try:
        config_web.load_for(settings.http)
    except ConfigInvalid as error:
        faults += error.faults
    if faults:
        raise ConfigInvalid(faults)
    click.echo(f"{safe(str(path))}: ok")


def _session_row(session: Mapping[str, Any], now: float) -> list[Cell | str]:
    differences = map(_difference, session.get("differences", ()))
    return [
        brief(session["name"]),
        Cell(session["health"], _COLOURS.get(session["health"], "red")),
        str(session["windows"]),
        str(session["panes"]),
        str(session["dead_panes"]),
        age(session["last_activity"], now),
        str(session["checkpoints"]),
        units.show_size(session["checkpoint_bytes"]),
        age(session["last_checkpoint"], now),
        "; ".join(filter(None, [session["note"], *_rungs(session), *differences])),
    ]


def _rungs(session: Mapping[str, Any]) -> list[str]:
    return [f"after {failure}: {where}" for failure, where in session.get("climbed", {}).items()]


def _difference(one: Mapping[str, Any]) -> str:
    return f"{one['where']}: {one['field']} is {one['found']}, declared {one['wanted']}"
