"""``sidecar notify``: whether people can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from sidecar import client
from sidecar.cli_common import json_option, reaches_service, show_json
from sidecar.model.notice import Delivery
from sidecar.terminal import safe

_COLOURS = {Delivery.DELIVERED: "green", Delivery.NOBODY_THERE: "yellow", Delivery.FAILED: "red"}


@click.group()
def notify() -> None:
    """The ways to people: tmux, and the channels of `notify`."""


@notify.command()
@reaches_service
@click.argument("channel", required=False)
@json_option
def test(service: client.Client, channel: str | None, as_json: bool) -> None:
    """Send a test message through every channel, or through CHANNEL, and say what came of each."""
    trials = service.post("/api/v1/notify/test", {"channel": channel})
    if as_json:
        show_json(trials)
    elif not trials["trials"]:
        click.echo("no channel is configured, and tmux is switched off")
    else:
        for trial in trials["trials"]:
            _show(trial)
    if any(trial["outcome"] == Delivery.FAILED for trial in trials["trials"]):
        click.get_current_context().exit(1)


def _show(trial: Mapping[str, Any]) -> None:
    outcome = Delivery(trial["outcome"])
    named = trial["channel"] if trial["channel"] == trial["kind"] else f"{trial['channel']} ({trial['kind']})"
    line = f"{named}: {outcome.replace('_', ' ')} after {trial['seconds']:.1f} s"
    click.secho(safe(line), fg=_COLOURS.get(outcome))
    for word in ("error", "hint"):
        if trial[word]:
            click.echo(safe(f"  {word}: {trial[word]}"))
