"""``sidecar token``: further tokens, with less scope than the admin's. They need no running service."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from sidecar.cli_common import PATH, json_option, private_file, show_json, state_option
from sidecar.clock import SystemClock
from sidecar.errors import SidecarError
from sidecar.model.access import Scope
from sidecar.terminal import safe, table
from sidecar.web import tokens

_HEAD = ("NAME", "SCOPE", "MADE")


def _name(context: click.Context, parameter: click.Parameter, word: str | None) -> str | None:
    if word is not None and not tokens.NAME.fullmatch(word):
        raise click.BadParameter("a name has letters, digits, `.`, `_` and `-`, 60 of them at most")
    return word


@click.group()
def token() -> None:
    """Make, list and revoke tokens; a running service knows at once."""


@token.command()
@state_option
@click.option(
    "--scope", type=click.Choice([scope.value for scope in Scope]), required=True, help="What it may do."
)
@click.option("--name", callback=_name, help="What it is called; by default its scope.")
@click.option("-o", "--output", type=PATH, help="Write it to this file (mode 0600) instead of showing it.")
def create(state: Path, scope: str, name: str | None, output: Path | None) -> None:
    """Make a token, and show it once: only a digest is kept.

    `alerts` may deliver alerts and nothing else, `read` may look, `admin` may do everything.
    """
    name = name or scope
    made = tokens.create(state.absolute(), name, Scope(scope), SystemClock().wall())
    if output is None:
        click.echo(made)
        click.echo("This is the only time that it is shown.", err=True)
        return
    try:
        with private_file(output) as file:
            file.write(made + "\n")
    except SidecarError:
        # Nobody has seen it, so nobody would miss it.
        tokens.revoke(state, name)
        raise


@token.command("list")
@state_option
@json_option
def list_tokens(state: Path, as_json: bool) -> None:
    """Show the tokens, beside the admin's own in the file `token`."""
    found, faults = tokens.read_all(state)
    if as_json:
        show_json(
            {"tokens": [{"name": one.name, "scope": one.scope, "created": one.created} for one in found]}
        )
    elif found:
        click.echo(table(_HEAD, [(one.name, one.scope, _moment(one.created)) for one in found]))
    else:
        click.echo("no tokens but the admin's own")
    for sentence in faults:
        click.echo(safe(sentence), err=True)
    if faults:
        click.get_current_context().exit(1)


@token.command()
@state_option
@click.argument("name", callback=_name)
def revoke(state: Path, name: str) -> None:
    """End a token: from now on it opens nothing."""
    tokens.revoke(state, name)
    click.echo(f"{safe(name)}: revoked")


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
