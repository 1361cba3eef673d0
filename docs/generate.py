"""Writes the pages of docs/ that say what the code says: ``python docs/generate.py``.

The words are the docstrings of the settings, the defaults are the settings' own; nothing is kept
here but the order. A test regenerates the pages and compares.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

from sidecar import config_read
from sidecar import config_units as units
from sidecar.config import AlertRoute, SessionOverride, Settings
from sidecar.config_fields import unavailable
from sidecar.config_probes import PROBES
from sidecar.decide.builtin import BUILTIN
from sidecar.model.check import Check
from sidecar.model.heartbeat import Heartbeat
from sidecar.model.incident import IncidentState
from sidecar.model.lifecycle import MOVES
from sidecar.model.notice import Alertmanager, Apprise, Channel, Email, Pacing, Webhook
from sidecar.model.policy import AtOnce, Budget, ResumeRule
from sidecar.model.probe import ProbeKind
from sidecar.model.quiet import Window
from sidecar.model.supervise import ProgramRule

PAGE = Path(__file__).with_name("configuration.md")
RECOVERY_PAGE = Path(__file__).with_name("recovery.md")
AGENTS_PAGE = Path(__file__).with_name("agents.md")
PROBES_PAGE = Path(__file__).with_name("probes.md")

_RENAMED = {
    "recovery.per_session": "recovery.budget.per_session",
    "recovery.overall": "recovery.budget.global",
    "recovery.at_once": "recovery.budget.at_once",
    "notify.tmux": "notify[].tmux",
    "quiet[].begins": "quiet[].from",
    "quiet[].ends": "quiet[].to",
}
_NOT_IN_THE_FILE = {"declared", "source", "text", "tz", "probe", "built_in", "shown_only"}
_ITEMS: Mapping[str, tuple[type, str]] = {
    "sessions.overrides": (SessionOverride, "sessions.overrides.NAME"),
    "resume": (ResumeRule, "resume[]"),
    "heartbeats": (Heartbeat, "heartbeats[]"),
    "checks": (Check, "checks[]"),
    "programs": (ProgramRule, "programs[]"),
    "alerts": (AlertRoute, "alerts[]"),
    "quiet": (Window, "quiet[]"),
}
_SHARES = {"failure_rate", "slow_rate"}
_PROBE_SHARES = {"above", "inodes"}
_CHANNEL_KEYS: tuple[tuple[type, str, str], ...] = (
    (Webhook, "url", "webhook"),
    (Webhook, "token_file", "token_file"),
    (Alertmanager, "url", "alertmanager"),
    (Apprise, "url", "apprise"),
    *((Email, one.name, f"email.{'from' if one.name == 'sender' else one.name}") for one in fields(Email)),
    *((Channel, name, name) for name in ("name", "template")),
    *((Pacing, one.name, one.name) for one in fields(Pacing)),
)
"""What an entry of ``notify`` may have beside ``tmux``: class, field, key."""
_PLAIN_NUMBERS = {"base", "memory_free", "memory_stalled", "cpu_stalled", "load"}
_RULES = re.compile(
    r"(?<=<!-- rules: written by docs/generate.py -->\n).*(?=<!-- end of rules -->)", re.DOTALL
)
_STATES = re.compile(
    r"(?<=<!-- states: written by docs/generate.py -->\n).*(?=<!-- end of states -->)", re.DOTALL
)
_KEYS = re.compile(r"(?<=<!-- keys of )(?P<kind>\w+) -->\n.*?(?=<!-- end -->)", re.DOTALL)
_HEAD = """\
# Configuration

YAML, by default in `$XDG_CONFIG_HOME/tmux-sidecar/config.yml`. Every key is optional; a key without a value
keeps its default, and without a file the defaults serve. `sidecar config check FILE` names every fault with
its line: unknown keys are faults, and aliases are refused.

Durations take units: `200ms`, `15s`, `10m`, `1h30m`, `7d`. So do sizes: `64KiB`, `100MB`. Globs know `*`, `?`
and `[...]`.

This page is generated from the settings' own docstrings by `python docs/generate.py`.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of the file."""

    path: str
    default: str
    meaning: str
    available: bool


def entries(kind: type, path: str = "") -> Iterator[Entry]:
    """The keys of a settings class and of those below it, in the order of the code."""
    meanings = _docstrings(kind)
    for one in fields(kind):
        if one.name in _NOT_IN_THE_FILE:
            continue
        where = f"{path}.{one.name}" if path else one.name
        default = _default(one)
        key = _RENAMED.get(where, where)
        if is_dataclass(default) and not isinstance(default, Budget | AtOnce):
            yield from entries(type(default), where)
            continue
        if where == "notify.channels":
            yield from _channel_entries()
            continue
        if where in _ITEMS:
            yield from entries(*_ITEMS[where])
            continue
        yield Entry(key, _show(one.name, default), meanings.get(one.name, ""), _available(key))


def _channel_entries() -> Iterator[Entry]:
    for kind, name, key in _CHANNEL_KEYS:
        default = next(_default(one) for one in fields(kind) if one.name == name)
        # None of the channels has to be there; the name has the kind's word for a default.
        shown = {"url": "none", "name": "`webhook` and so on"}.get(name) or _show(name, default)
        yield Entry(f"notify[].{key}", shown, _docstrings(kind)[name], True)


def page() -> str:
    """The page as it has to be."""
    parts = [_HEAD]
    for section in fields(Settings):
        if section.name in _NOT_IN_THE_FILE:
            continue
        rows = [entry for entry in entries(Settings) if _root(entry.path) == section.name]
        about = _docstrings(Settings).get(section.name) or inspect.getdoc(type(_default(section))) or ""
        parts.append(
            f"\n## {section.name}\n\n{_markdown(about)}\n\n| key | default | meaning |\n|---|---|---|\n"
        )
        parts.extend(_row(entry) for entry in rows)
    return "".join(parts)


def agents_page() -> str:
    """The page about programs, with the shipped rules as they are."""
    head = "| match | comes back as | without an id | heavy |\n|---|---|---|---|\n"
    table = head + "".join(map(_rule_row, BUILTIN))
    return _RULES.sub(lambda _: table, AGENTS_PAGE.read_text(encoding="utf-8"))


def recovery_page() -> str:
    """The page about recoveries, with the states of an incident as the table has them."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {IncidentState.OPEN}"]
    for old, following in MOVES.items():
        moves = [new for new in IncidentState if new in following and new is not old]
        lines += [f"    {old} --> {new}" for new in moves] or [f"    {old} --> [*]"]
    drawn = "\n".join([*lines, "```", ""])
    return _STATES.sub(lambda _: drawn, RECOVERY_PAGE.read_text(encoding="utf-8"))


def probes_page() -> str:
    """The page about probes, with the keys of each kind as the readers have them."""
    return _KEYS.sub(_keys, PROBES_PAGE.read_text(encoding="utf-8"))


def _keys(match: re.Match[str]) -> str:
    kind = ProbeKind(match["kind"])
    form = PROBES[kind]
    meanings, by_name = {}, {}
    for made in (form.made, *form.parts):
        meanings |= _docstrings(made)
        by_name |= {{"paths": "path"}.get(one.name, one.name): one for one in fields(made)}
    rows = (
        f"| `{key}` | {_probe_default(kind, by_name[key])} | {_markdown(meanings[by_name[key].name])} |\n"
        for key in form.keys
    )
    return f"{kind} -->\n| key | default | meaning |\n|---|---|---|\n{''.join(rows)}"


def _probe_default(kind: ProbeKind, one: Field[Any]) -> str:
    default = _default(one)
    if isinstance(default, float) and one.name in _PROBE_SHARES and kind is not ProbeKind.LOAD:
        return f"`{default:.0%}`"
    plain = kind is ProbeKind.LOAD and isinstance(default, int | float)
    return f"`{default:g}`" if plain else _show(one.name, default)


def _rule_row(rule: ResumeRule) -> str:
    cells = (rule.match, rule.command, rule.fallback)
    return f"| {' | '.join(map(_code, cells))} | {'yes' if rule.heavy else ''} |\n"


def _code(text: str) -> str:
    # A bar would end the cell, even within code.
    return f"`{text}`".replace("|", "\\|") if text else ""


def _row(entry: Entry) -> str:
    note = "" if entry.available else " **Not available in this version.**"
    return f"| `{entry.path}` | {entry.default} | {_markdown(entry.meaning)}{note} |\n"


def _root(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _docstrings(kind: type) -> dict[str, str]:
    """The docstrings that stand below the fields of a class."""
    module = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    body = next(
        node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    found: dict[str, str] = {}
    for field_node, text_node in pairwise(body):
        match field_node, text_node:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = inspect.cleandoc(text)
    return found


def _default(one: Field[Any]) -> Any:
    if one.default is not MISSING:
        return one.default
    return one.default_factory() if one.default_factory is not MISSING else MISSING


def _show(name: str, value: Any) -> str:
    match value:
        case None | "" | ():
            text = "none"
        case Budget(count=count, period=period):
            text = f"`{count} per {units.show_seconds(period)}`"
        case AtOnce():
            text = f"`{value}`"
        case Enum():
            text = f"`{value.value}`"
        case bool():
            text = f"`{str(value).lower()}`"
        case int() if "bytes" in name:
            text = f"`{units.show_size(value)}`"
        case float() if name in _SHARES:
            text = f"`{value:.0%}`"
        case float() if name not in _PLAIN_NUMBERS:
            text = f"`{units.show_seconds(value)}`"
        case int() | float():
            text = f"`{value:g}`"
        case frozenset():
            text = "all"
        case tuple():
            text = ", ".join(f"`{item}`" for item in value)
        case Mapping():
            text = "; ".join(
                f"{key}: {', '.join(f'`{item}`' for item in items)}" for key, items in value.items()
            )
        case str():
            text = f"`{value}`"
        case _:
            text = "required"
    return text or "none"


def _available(path: str) -> bool:
    """Whether the reader takes the key for more than a promise."""
    *sections, key = path.replace("[]", "").split(".")
    tables = {
        "sessions": config_read.SESSIONS,
        "checkpoints": config_read.CHECKPOINTS,
        "http": config_read.HTTP,
    }
    return not (len(sections) == 1 and tables.get(sections[0], {}).get(key) is unavailable)


def _markdown(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    AGENTS_PAGE.write_text(agents_page(), encoding="utf-8")
    RECOVERY_PAGE.write_text(recovery_page(), encoding="utf-8")
    PROBES_PAGE.write_text(probes_page(), encoding="utf-8")
