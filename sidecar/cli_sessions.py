"""``sidecar explain``, ``release`` and ``adopt``: what is made of one session, and whether it is ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import click

from sidecar import client
from sidecar.cli_common import json_option, reaches_service, show_json
from sidecar.cli_quiet import in_words
from sidecar.clock import SystemClock
from sidecar.decide.by_hand import asking
from sidecar.terminal import age, safe


@click.command()
@reaches_service
@click.argument("session")
@json_option
def explain(service: client.Client, session: str, as_json: bool) -> None:
    """Say what is wrong with SESSION, why, and what would be done; changes nothing."""
    body = service.get(_path(session, "explain"))
    if as_json:
        show_json(body)
        return
    click.echo(safe(f"{session}: {body['health']}, {body['duty'].replace('_', ' ')}"))
    if hush := body.get("quiet"):
        click.echo(safe(f"quiet: {in_words(hush)}"))
    row = body["checkpoint"]
    if row is None:
        click.echo("checkpoint: none")
    else:
        taken = age(row["taken"], SystemClock().wall())
        click.echo(f"checkpoint: {row['id']}, {taken}, {row['windows']} windows, {row['panes']} panes")
    if body["failure"] is not None:
        click.echo(f"failure: {body['failure']} ({body['unit']})")
        click.echo(f"cause: {body['cause']}, intent {body['intent']}")
        for fact in body["evidence"]:
            click.echo(safe(f"  {fact['source']}: {fact['fact']}"))
        _show_considered(body["hypotheses"])
    elif body["health"] in ("healthy", "passing"):
        click.echo("nothing is wrong")
    _show_incident(body["incident"], body["evidence"])
    _show_decision("by itself", body["by_itself"])
    if body["on_request"] != body["by_itself"]:
        _show_decision("on request", body["on_request"])


@click.command()
@reaches_service
@click.argument("session")
@json_option
def release(service: client.Client, session: str, as_json: bool) -> None:
    """Stop looking after SESSION; it lives on, and nothing is done about it."""
    body = service.post(_path(session, "release"), {})
    if as_json:
        show_json(body)
        return
    state = "is released" if body["changed"] else "was released already"
    click.echo(safe(f"{session} {state}: nothing is done about it until `{asking('adopt', session)}`"))


@click.command()
@reaches_service
@click.argument("session")
@json_option
def adopt(service: client.Client, session: str, as_json: bool) -> None:
    """Look after SESSION again."""
    body = service.post(_path(session, "adopt"), {})
    if as_json:
        show_json(body)
        return
    state = "is in our care again" if body["changed"] else "was in our care already"
    there = "" if body["live"] else ", though it is not there now"
    click.echo(safe(f"{session} {state}{there}"))


def _path(session: str, what: str) -> str:
    return f"/api/v1/sessions/{quote(session, safe='')}/{what}"


def _show_considered(causes: Sequence[Mapping[str, Any]]) -> None:
    """Every cause that might have been, with what speaks for and against it."""
    if len(causes) < 2:
        return
    click.echo("considered, likeliest first:")
    for one in causes:
        click.echo(f"  {one['cause']} ({one['score']})")
        for mark, facts in (("+", one["for"]), ("-", one["against"])):
            for fact in facts:
                click.echo(safe(f"    {mark} {fact['source']}: {fact['fact']}"))


def _show_incident(row: Mapping[str, Any] | None, told: Sequence[Mapping[str, str]]) -> None:
    """What is on record, and what was found out that the present evidence does not say."""
    if row is None:
        return
    since = age(row["opened"], SystemClock().wall())
    click.echo(safe(f"incident {row['id']}: {row['state']}, opened {since}" + _because(row)))
    for fact in row["evidence"]:
        if fact not in told:
            click.echo(safe(f"  {fact['source']}: {fact['fact']}"))
    click.echo(f"  what was seen then: `sidecar incidents show {row['id']}`")


def _because(row: Mapping[str, Any]) -> str:
    return f": {row['sentence']}" if row["sentence"] else ""


def _show_decision(who: str, decision: Mapping[str, Any]) -> None:
    if not decision["act"]:
        click.echo(safe(f"{who}: nothing ({decision['reason']}): {decision['sentence']}"))
        if decision["hint"]:
            click.echo(safe(f"  hint: {decision['hint']}"))
        return
    click.echo(safe(f"{who}: {decision['strategy']}"))
    for step in decision["steps"]:
        click.echo(safe(f"  {step}"))
