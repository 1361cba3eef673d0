"""``sidecar silence``: people are not told of something for a while."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from sidecar import client
from sidecar import config_units as units
from sidecar.cli_common import Listing, json_option, reaches_service, show_json
from sidecar.clock import SystemClock
from sidecar.model.quiet import LONGEST, SHORTEST, QuietKind
from sidecar.terminal import brief, safe, table

_HEAD = ("NUMBER", "WHAT", "UNTIL", "LEFT", "HOLD", "REASON")


def _duration(context: click.Context, parameter: click.Parameter, word: str) -> float:
    """A time with units, within the bounds of a silence, in seconds."""
    try:
        seconds = units.seconds(word.strip())
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not SHORTEST <= seconds <= LONGEST:
        least, most = units.show_seconds(SHORTEST), units.show_seconds(LONGEST)
        raise click.BadParameter(f"a silence lasts {least} to {most}, and {word} is not")
    return seconds


def _named(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """An empty name would be no part of an address."""
    if not name:
        raise click.BadParameter("it is empty; '*' is everything")
    return name


class _Silence(Listing):
    """A name that is no command of the group is what is to be silent."""

    otherwise = "add"


@click.group(cls=_Silence)
def silence() -> None:
    """Silence NAME --for 1h: people are not told of it, healing goes on; `list`, `end NUMBER`.

    NAME is a session, a glob of them ('work-*', quoted), check:NAME for a health check, or '*' for all.
    What goes wrong meanwhile is told as one when the silence ends, if it is still wrong.
    """


@silence.command("add")
@reaches_service
@click.argument("name", callback=_named)
@click.option("--for", "seconds", callback=_duration, required=True, metavar="TIME", help="As 30m, 2h, 1d.")
@click.option("--hold", is_flag=True, help="Do nothing about it by itself, either: somebody works on it.")
@click.option("--reason", default="", help="Why, for whoever else looks.")
@json_option
def add(service: client.Client, name: str, seconds: float, hold: bool, reason: str, as_json: bool) -> None:
    """Silence NAME for a while; the same as without the word `add`."""
    path = f"/api/v1/sessions/{quote(name, safe='')}/silence"
    body = service.post(path, {"seconds": seconds, "hold": hold, "reason": reason})
    if as_json:
        show_json(body)
        return
    made = body["silence"]
    what = "nobody is told of it, and nothing is done about it" if hold else "nobody is told of it"
    click.echo(safe(f"silence {made['id']}: {name} until {_moment(made['until'])}; {what}"))


@silence.command("list")
@reaches_service
@json_option
def list_silences(service: client.Client, as_json: bool) -> None:
    """Show what is quiet now: silences, windows, and an Alertmanager's silences."""
    body = service.get("/api/v1/silences")
    if as_json:
        show_json(body)
    elif body["quiet"]:
        now = SystemClock().wall()
        click.echo(table(_HEAD, [_row(hush, now) for hush in body["quiet"]]))
    else:
        click.echo("nothing is quiet")


@silence.command()
@reaches_service
@click.argument("number", type=click.IntRange(1))
@json_option
def end(service: client.Client, number: int, as_json: bool) -> None:
    """End the silence NUMBER before its time."""
    body = service.delete(f"/api/v1/silences/{number}")
    if as_json:
        show_json(body)
        return
    click.echo(safe(f"silence {number} of {body['silence']['target']} is ended"))


def in_words(hush: Mapping[str, Any]) -> str:
    """One line about what keeps quiet."""
    what = f"{hush['kind']} {hush['name']}: {', '.join(hush['targets'])} until {_moment(hush['until'])}"
    held = ", and nothing is done by itself" if hush["hold"] else ""
    reason = f" ({hush['reason']})" if hush["reason"] else ""
    return what + held + reason


def _row(hush: Mapping[str, Any], now: float) -> tuple[str, ...]:
    named = hush["name"] if hush["kind"] == QuietKind.SILENCE else f"{hush['kind']} {hush['name']}"
    return (
        brief(named),
        brief(", ".join(hush["targets"])),
        _moment(hush["until"]),
        units.show_seconds(max(round(hush["until"] - now), 0)),
        "yes" if hush["hold"] else "",
        hush["reason"],
    )


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone():%Y-%m-%d %H:%M:%S %Z}"
