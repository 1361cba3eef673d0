"""``sidecar incidents``: what broke and what became of it, and what was seen before anything was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import click

from sidecar import client
from sidecar import config_units as units
from sidecar.cli_common import Listing, json_option, paged, reaches_service, show_json, tell_older
from sidecar.clock import SystemClock
from sidecar.model.incident import IncidentState
from sidecar.terminal import Cell, age, brief, safe, shortened, table

_HEAD = ("ID", "OPENED", "SESSION", "FAILURE", "CAUSE", "STATE", "WHAT BECAME OF IT")
_PROCESS_HEAD = (
    "PID",
    "PARENT",
    "S",
    "AGE",
    "CPU",
    "MEMORY",
    "SHARE",
    "THREADS",
    "FDS",
    "WAITS IN",
    "COMMAND",
)
_COLOURS = {
    IncidentState.RECOVERED: "green",
    IncidentState.DISMISSED: None,
    IncidentState.FAILED: "red",
    IncidentState.GIVEN_UP: "red",
}
_LONGEST_SENTENCE = 80
_LONGEST_COMMAND = 60
_STATES = {
    "R": "running", "S": "sleeping", "D": "waiting for the kernel", "T": "stopped by a signal",
    "t": "held by a debugger", "Z": "ended and not yet reaped", "I": "idle",
}  # fmt: skip

Row = Mapping[str, Any]


@click.group(cls=Listing)
def incidents() -> None:
    """Show what broke: all of it, or one in full."""


@incidents.command("list")
@reaches_service
@click.argument("session", required=False)
@click.option("--waiting", is_flag=True, help="Only those that are not over.")
@paged
@json_option
def list_incidents(
    service: client.Client, session: str | None, waiting: bool, limit: int, before: int | None, as_json: bool
) -> None:
    """List the incidents of SESSION, or all, newest first."""
    body = service.get(
        "/api/v1/incidents", session=session, waiting=waiting or None, limit=limit, before=before
    )
    if as_json:
        show_json(body)
        return
    now = SystemClock().wall()
    rows = [
        (
            str(row["id"]),
            age(row["opened"], now),
            brief(row["session"] or "-"),
            row["failure"],
            row["cause"],
            Cell(row["state"], _COLOURS.get(IncidentState(row["state"]), "yellow")),
            shortened(row["sentence"], _LONGEST_SENTENCE),
        )
        for row in body["incidents"]
    ]
    click.echo(table(_HEAD, rows) if rows else "no incidents")
    tell_older(body)


@incidents.command()
@reaches_service
@click.argument("number", type=click.IntRange(1))
@json_option
def show(service: client.Client, number: int, as_json: bool) -> None:
    """Show the incident of this NUMBER: why, what was tried, and what was seen before anything was done."""
    body = service.get(f"/api/v1/incidents/{number}")
    if as_json:
        show_json(body)
        return
    for line in (*_story(body["incident"], body["recoveries"]), *_seen(body["diagnostics"])):
        click.echo(safe(line))


def _story(row: Row, recoveries: Sequence[Row]) -> Iterator[str]:
    whose = row["session"] or "the tmux server"
    yield f"incident {row['id']}: {whose} {row['failure']} ({row['unit']}), {row['state']}"
    yield f"opened {_time(row['opened'])}" + (f", closed {_time(row['closed'])}" if row["closed"] else "")
    yield f"cause: {row['cause']}, intent {row['intent']}, trace {row['trace']}"
    yield from (f"  {fact['source']}: {fact['fact']}" for fact in row["evidence"])
    for one in recoveries:
        took = f" after {one['time_to_recovery']:.3f} s" if one["time_to_recovery"] is not None else ""
        verdict = f": {one['verdict']}" if one["verdict"] else ""
        yield f"recovery {one['id']}: {one['strategy']}, {one['state']}{took}{verdict}"
    if row["sentence"] and all(row["sentence"] != one["verdict"] for one in recoveries):
        yield f"now: {row['sentence']}"


def _seen(found: Row | None) -> Iterator[str]:
    if found is None:
        yield "nothing was captured before it"
        return
    waited = f"the recovery waited {found['seconds'] * 1e3:.0f} ms for it"
    yield f"seen before anything was done, {_time(found['taken'])} ({waited}):"
    for pane in found["panes"]:
        yield from _pane(pane)
    if found["panes_left_out"]:
        yield f"  and {found['panes_left_out']} more panes, which were not looked at"
    yield from _server(found["server"])
    yield from _machine(found["machine"])
    if found["checkpoint"] is not None:
        then = found["checkpoint_taken"]
        when = f", taken {_time(then)}" if then is not None else ", pruned since"
        yield f"  newest checkpoint: {found['checkpoint']}{when}"
    yield from (f"  not captured: {line}" for line in found["missing"])


def _pane(pane: Row) -> Iterator[str]:
    ending, tree, tail = pane["ending"], pane["tree"], pane["tail"]
    how = f": process {ending['pid']} {ending['words']}" if ending else ""
    yield f"  pane {pane['pane']}, process {pane['pid']}{how}"
    if pane["subject"]:
        yield f"    it is about process {pane['subject']}, which ran in it"
    if tree["processes"]:
        yield from _indented(table(_PROCESS_HEAD, [_process(one) for one in tree["processes"]]).splitlines())
    if tree["left_out"]:
        yield f"    and {tree['left_out']} more processes"
    if len(tree["processes"]) > 1:
        yield f"    in all {_memory(tree['processes'])}"
    for one in tree["processes"]:
        yield from _where(one)
    if tree["group"]:
        yield f"    {_group(tree['group'])}"
    for stack in pane["stacks"]:
        yield from _python(stack)
    if tail is not None:
        kind = "the full-screen program showed" if tail["alternate"] else "it showed"
        yield f"    {kind}:" if tail["lines"] else f"    {kind} nothing"
        yield from _screen(tail["lines"])
        if tail["covered"]:
            yield "    and beneath it:"
            yield from _screen(tail["covered"])


def _screen(lines: Sequence[str]) -> Iterator[str]:
    """What stood there; of empty lines that follow each other only one is shown."""
    for above, line in pairwise(("|", *lines)):
        if above or line:
            yield f"      | {line}"


def _memory(processes: Sequence[Row]) -> str:
    """What all of them hold; where every share is known, without counting anything twice."""
    told = f"{units.show_size(sum(one['memory_bytes'] for one in processes))} of memory"
    shares = [one["shared_out_bytes"] for one in processes]
    return (
        told
        if None in shares
        else f"{told}, {units.show_size(sum(shares))} with what they share counted once"
    )


def _process(one: Row) -> list[str]:
    held = one["descriptors"]
    share = one["shared_out_bytes"]
    return [
        str(one["pid"]),
        str(one["parent"]),
        one["state"],
        units.show_seconds(round(one["age"])),
        units.show_seconds(round(one["cpu_seconds"], 1)),
        units.show_size(one["memory_bytes"]),
        "-" if share is None else units.show_size(share),
        str(one["threads"]),
        "-" if held is None else f"{held['open']}/{held['limit'] or 'unlimited'}",
        one["waits_in"] or "-",
        shortened(one["command"] or f"[{one['name']}]", _LONGEST_COMMAND),
    ]


def _where(one: Row) -> Iterator[str]:
    """What does not go into a column."""
    pid, held = one["pid"], one["descriptors"]
    if one["state"] not in "RS":
        yield f"    {pid} is {_STATES.get(one['state'], one['state'])}"
    if one["stack"]:
        yield f"    {pid} in the kernel: {' < '.join(one['stack'])}"
    if one["threads_in"]:
        places = (f"{t['count']} {t['state']} {t['waits_in'] or '-'}" for t in one["threads_in"])
        yield f"    {pid} threads: {', '.join(places)}"
    if held and held["kinds"] and (one["stack"] or held["open"] >= 100):
        kinds = (f"{count} {kind}" for kind, count in held["kinds"].items())
        of = f" (of the first {held['counted']})" if held["counted"] < held["open"] else ""
        yield f"    {pid} descriptors: {', '.join(kinds)}{of}"


def _python(stack: Row) -> Iterator[str]:
    if stack["trouble"]:
        yield f"    Python stack of {stack['pid']}: {stack['trouble']}"
        return
    yield f"    Python {stack['version']} stacks of {stack['pid']}, innermost call first:"
    for thread in stack["threads"]:
        state = f" ({thread['state']})" if thread["state"] else ""
        yield f"      thread {thread['name']}{state}"
        yield from (f"        {call}" for call in thread["calls"])


def _server(server: Row | None) -> Iterator[str]:
    if server is None:
        return
    ending, process = server["ending"], server["process"]
    lives = ", which lives" if process else ", of which nothing is left"
    how = f": it {ending['words']}" if ending else lives
    yield f"  tmux server {server['pid']}{how}"
    if process is not None:
        yield from _indented(table(_PROCESS_HEAD, [_process(process)]).splitlines())
        yield from _where(process)


def _machine(machine: Row | None) -> Iterator[str]:
    if machine is None:
        return
    now = machine["pressure"]
    free = units.show_size(int(now["memory_available"] * machine["memory_bytes"]))
    stalls = {"processor": now["cpu_stalled"], "memory": now["memory_stalled"]}
    told = [f"{name} stalled {share:g} %" for name, share in stalls.items() if share is not None]
    facts = [f"load {now['load']:.1f} for each processor", f"{free} of memory available", *told]
    yield f"  machine: {', '.join(facts)}"
    for folder, room in machine["rooms"].items():
        inodes = f", {room['inodes']} inodes" if room["inodes"] is not None else ""
        of = f"{units.show_size(room['free'])} free of {units.show_size(room['size'])}"
        yield f"  disk of {folder}: {of}{inodes}"
    yield from (f"  {_group(group)}" for group in machine["groups"])


def _group(group: Row) -> str:
    sizes = {"used": group["used"], "limit": group["limit"], "peak": group["peak"]}
    told = [f"{word} {units.show_size(size)}" for word, size in sizes.items() if size is not None]
    kills = [f"{group['oom_kills']} kills for memory"] if group["oom_kills"] else []
    return f"memory group {group['name']}: {', '.join([*told, *kills]) or 'it tells nothing'}"


def _indented(lines: Sequence[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
