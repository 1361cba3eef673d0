"""What all commands share: options that lead to the service, errors as one line each, waiting.

Every command takes the words of its errors from where they arose; nothing here makes up its own.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from sidecar import client, config_lastgood, config_read, times
from sidecar.clock import SystemClock, pause
from sidecar.errors import ConfigInvalid, Permanent, ServiceRefused, SidecarError
from sidecar.model.plan import Outcome, Strategy
from sidecar.model.saga import Phase
from sidecar.terminal import colour_allowed, safe

PATH = click.Path(path_type=Path)
_POLL_SECONDS = 0.2


class Commands(click.Group):
    """Turns our errors into a line each, a hint, and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        ctx.color = colour_allowed()
        try:
            return super().invoke(ctx)
        except ConfigInvalid as error:
            for fault in error.faults:
                click.echo(safe(str(fault)), err=True)
        except SidecarError as error:
            reason = f"{error.reason}: " if isinstance(error, ServiceRefused) and error.reason else ""
            click.echo(f"sidecar: {safe(reason + str(error))}", err=True)
            if error.hint:
                click.echo(f"hint: {safe(error.hint)}", err=True)
        return ctx.exit(1)


class Listing(click.Group):
    """A group that lists unless it is told what else to do."""

    otherwise = "list"
    """The command that takes words which name none."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [self.otherwise, *args]
        return super().parse_args(ctx, args or ["list"])


config_option = click.option(
    "--config", "config_file", type=PATH, help="Configuration file, instead of the default one."
)
state_option = click.option(
    "--state", type=PATH, default=config_read.state_dir, help="State folder, instead of the default one."
)


def reaches_service(command: Callable[..., None]) -> Callable[..., None]:
    """Options that lead to the running service; the command receives its ``service``."""

    @functools.wraps(command)
    def with_service(config_file: Path | None, state: Path, url: str | None, **rest: Any) -> None:
        found = config_lastgood.load(config_file, state)
        for fault in found.faults:
            click.echo(safe(f"{fault} (the configuration that was last good is used)"), err=True)
        command(service=client.find(found.settings, state, url), **rest)

    url_option = click.option(
        "--url", metavar="URL", help="Address of the service, as http://127.0.0.1:9847."
    )
    return config_option(state_option(url_option(with_service)))


def paged(command: Callable[..., None]) -> Callable[..., None]:
    """Options of a list that comes in pages, newest first; the command receives ``limit`` and ``before``."""
    limit = click.option(
        "--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="At most so many."
    )
    before = click.option(
        "--before", type=click.IntRange(1), metavar="ID", help="Only those older than this one."
    )
    return limit(before(command))


def tell_older(body: Mapping[str, Any]) -> None:
    """How to get the next page, if there is one."""
    if body["next"] is not None:
        click.echo(f"there are older ones: --before {body['next']}")


json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")


def show_json(body: Mapping[str, Any]) -> None:
    click.echo(json.dumps(body, indent=2))


def show_dry_run(answer: Mapping[str, Any]) -> None:
    click.echo(safe(f"cause: {answer['cause']}"))
    for fact in answer["evidence"]:
        click.echo(safe(f"  {fact['source']}: {fact['fact']}"))
    click.echo(safe(f"would be done: {answer['strategy']}"))
    for step in answer["steps"]:
        click.echo(safe(f"  {step}"))
    if answer["strategy"] in answer["ladder"]:
        place = answer["ladder"].index(answer["strategy"]) + 1
        click.echo(safe(f"rung {place} of {len(answer['ladder'])}: {', '.join(answer['ladder'])}"))
    if answer["fallback"]:
        click.echo(safe(f"if that fails: {', '.join(answer['fallback'])}, and then a person is called"))


def moment(text: str | None) -> datetime | None:
    """A time in a person's words; None if none is given.

    Raises:
        click.UsageError: it is no time, or has not come yet.
    """
    if text is None:
        return None
    now = datetime.fromtimestamp(SystemClock().wall(), UTC).astimezone()
    try:
        return times.moment(text, now)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """A file to write, which nobody else may read.

    Raises:
        Permanent: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            # One that was there already has kept its own mode.
            os.fchmod(descriptor, 0o600)
            yield file
    except OSError as error:
        raise Permanent(
            f"{path} cannot be written: {error.strerror}", hint="Name another file with -o."
        ) from error


def wait_for(service: client.Client, number: int) -> bool:
    """Whether the recovery ended well; shows its steps and its verdict."""
    while (row := service.recovery(number))["state"] == "running":
        pause(_POLL_SECONDS)
    for step in row["steps"]:
        click.echo(safe(f"  {_attempt(step)}"))
    took = row["time_to_recovery"]
    good = bool(row["state"] == Outcome.VERIFIED)
    verdict = safe(f"{row['state']}: {row['verdict']}" if row["verdict"] else row["state"])
    after = f" after {took:.3f} s" if took is not None else ""
    click.secho(f"{verdict}{after}", fg="green" if good else "red")
    if commands := row.get("commands"):
        click.echo("It could not be undone. To put it right, run:")
        for line in commands:
            click.echo(safe(f"  {line}"))
    return good


def _attempt(step: Mapping[str, Any]) -> str:
    """One line of the journal."""
    undo = "undo " if step.get("phase") == Phase.UNDO else ""
    number = f" (attempt {step['attempt']})" if step.get("attempt", 1) > 1 else ""
    error = f": {step['error']}" if step["error"] else ""
    return f"{undo}{step['description']}{number}: {step['state']}{error}"


def strategy_name(context: click.Context, parameter: click.Parameter, word: str | None) -> str | None:
    """A strategy that there is, or could be: which packages are installed the service knows."""
    try:
        return word if word is None else Strategy(word).value
    except ValueError:
        known = ", ".join([*(each for each in Strategy if each is not Strategy.CUSTOM), "custom:NAME"])
        raise click.BadParameter(f"{word!r} is no strategy; there are {known}") from None
