"""Settings from YAML: every fault at once, each with its line, its key and one sentence.

Nothing is guessed and nothing is ignored: an unknown key is a fault, and so is one that this
version cannot fulfil. The defaults live in ``config`` alone. Aliases are refused, so that a small
file cannot become a large one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from sidecar import config_units as units
from sidecar.config import (
    DEFAULT_LADDERS,
    AlertRoute,
    AuditSettings,
    CheckpointSettings,
    HttpSettings,
    RecoverySettings,
    SessionOverride,
    SessionSettings,
    Settings,
    TmuxSettings,
)
from sidecar.config_checks import checks
from sidecar.config_fields import (
    Place,
    Reader,
    Report,
    Wrong,
    at,
    decimal,
    duration,
    duration_or_off,
    list_of,
    member,
    one_of,
    read_as,
    record,
    regex,
    scalar,
    section,
    size,
    switch,
    table,
    text,
    unavailable,
    whole,
)
from sidecar.config_heartbeats import heartbeats
from sidecar.config_ladders import circuit_on, read_ladders, read_retry, read_strategy, retry_on
from sidecar.config_notify import read_channels
from sidecar.config_quiet import windows
from sidecar.config_supervise import programs
from sidecar.config_workspaces import load_workspaces
from sidecar.config_yaml import compose, read_text
from sidecar.decide.casting import miscast
from sidecar.decide.contradict import contradictions
from sidecar.errors import ConfigInvalid
from sidecar.model.incident import FailureKind
from sidecar.model.plan import StepKind
from sidecar.model.policy import AtOnce, BreakerPolicy, Mode, Restore, ResumeRule, RetryPolicy, Shape
from sidecar.model.stress import ResourceLimits

_WORD_IN_BRACES = re.compile(r"(?<!\$)\{([A-Za-z_]\w*)\}")
_LABEL_IN_BRACES = re.compile(r"\{\{\s*labels\.[A-Za-z_][A-Za-z0-9_]*\s*\}\}")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration lies unless another file is named."""
    return _base(environment, "XDG_CONFIG_HOME", ".config") / "config.yml"


def state_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the state lies unless another folder is named."""
    return _base(environment, "XDG_STATE_HOME", ".local/state")


def load_or_default(path: Path | None) -> Settings:
    """The settings of the named file; of the default file if none is named; without one, the defaults.

    Raises:
        ConfigInvalid: every fault of the file.
    """
    if path is None and not os.path.lexists(default_path()):
        return Settings()
    return load(path or default_path())


def load(path: Path) -> Settings:
    """The settings of a file, with the sessions that its workspace files declare.

    What is wrong in a workspace file is a fault of ``declared``, and stops nothing else.

    Raises:
        ConfigInvalid: the file cannot be read, or every fault of it.
    """
    text = read_text(path)
    settings = parse(text, str(path))
    declared = load_workspaces(settings.sessions)
    return replace(settings, source=path, text=text, declared=declared)


def parse(content: str, name: str, *, lenient: bool = False) -> Settings:
    """The settings of a text; ``name`` stands in the faults.

    ``lenient`` takes what is only missing beside the file, as a package, for no fault of it.

    Raises:
        ConfigInvalid: every fault of the text.
    """
    root = compose(content, name)
    report = Report(name, root=root, lenient=lenient)
    values: dict[str, Any] = {}
    if root is not None and not (place := Place(root, "", report)).blank:
        try:
            values = section(place, _SETTINGS)
        except Wrong as wrong:
            place.fault(str(wrong))
    if report.faults:
        raise ConfigInvalid(sorted(report.faults, key=lambda fault: fault.line))
    settings = Settings(**values)
    together = {
        "heartbeats": contradictions(settings.heartbeats, settings.sessions),
        "programs": miscast(settings.programs, settings.sessions),
    }
    for key, found in together.items():
        for number, sentence in found:
            assert root is not None
            at(Place(root, "", report), key, number).fault(sentence)
    if report.faults:
        raise ConfigInvalid(sorted(report.faults, key=lambda fault: fault.line))
    return settings


def _base(environment: Mapping[str, str], variable: str, otherwise: str) -> Path:
    # The XDG specification wants relative paths ignored.
    named = Path(environment.get(variable, ""))
    folder = named if named.is_absolute() else Path(os.path.expanduser("~")) / otherwise
    return folder / "tmux-sidecar"


def _command(*placeholders: str) -> Reader[str]:
    *others, last = (f"{{{name}}}" for name in placeholders)

    def read(word: str) -> str:
        for match in _WORD_IN_BRACES.finditer(word):
            if match[1] not in placeholders:
                known = f"{', '.join(others)} and {last}"
                raise ValueError(f"{match[0]} is an unknown placeholder; here is only {known}")
        return word

    return read_as(read)


def _session_template(word: str) -> str:
    rest = _LABEL_IN_BRACES.sub("", word)
    if "{{" in rest or "}}" in rest:
        raise ValueError(f"{word!r} has braces that are not of the form {{{{ labels.NAME }}}}")
    return word


def _label(word: str) -> str:
    if not _LABEL.fullmatch(word):
        raise Wrong(f"{word!r} is no label name; it takes letters, digits and _")
    return word


def _resources(**values: Any) -> ResourceLimits:
    limits = ResourceLimits(**values)
    if limits.disk_least_bytes > limits.disk_low_bytes:
        raise Wrong(
            f"disk_least_bytes ({units.show_size(limits.disk_least_bytes)}) is more than "
            f"disk_low_bytes ({units.show_size(limits.disk_low_bytes)})"
        )
    return limits


def _recovery(budget: Mapping[str, Any] = MappingProxyType({}), **values: Any) -> RecoverySettings:
    if "ladders" in values:
        values["ladders"] = MappingProxyType({**DEFAULT_LADDERS, **values["ladders"]})
    names = {"per_session": "per_session", "global": "overall", "at_once": "at_once"}
    return RecoverySettings(**values, **{names[key]: value for key, value in budget.items()})


def _at_once(place: Place) -> AtOnce:
    try:
        return units.at_once(scalar(place, "a count or a share"))
    except ValueError as error:
        raise Wrong(str(error)) from error


def _listen(place: Place) -> tuple[str, ...]:
    read = read_as(units.listen_address)
    if not isinstance(place.node, yaml.SequenceNode):
        return (read(place),)
    addresses = list_of(read)(place)
    if not place.node.value:
        raise Wrong("names no address")
    return addresses


_TMUX: Mapping[str, Reader[Any]] = {
    "socket_name": read_as(units.socket_name),
    "socket_path": read_as(lambda word: units.socket_path(os.path.expanduser(word))),
    "timeout": duration("100ms", "1m"),
}
_UNBLOCK = duration_or_off("1s", "7d")
_OVERRIDE: Mapping[str, Reader[Any]] = {
    "restore": one_of(Restore, "restore policy"),
    "ladder": read_ladders,
    "shape": one_of(Shape, "shape"),
    "unblock_terminal": _UNBLOCK,
    "critical_processes": list_of(regex),
    "checkpoint": unavailable,
}
SESSIONS: Mapping[str, Reader[Any]] = {
    "manage": list_of(read_as(units.glob)),
    "ignore": list_of(read_as(units.glob)),
    "restore": one_of(Restore, "restore policy"),
    "workspaces": list_of(read_as(units.full_path)),
    "shape": one_of(Shape, "shape"),
    "unblock_terminal": _UNBLOCK,
    "overrides": table(str, record(SessionOverride, _OVERRIDE)),
}
CHECKPOINTS: Mapping[str, Reader[Any]] = {
    "interval": duration("1s", "1d"),
    "scrollback_lines": whole(0, 1_000_000),
    "exclude": list_of(read_as(units.glob)),
    "max_age": duration("1m", "3650d"),
    "max_bytes_per_session": size("1MB", "100GB"),
    "rehearse": duration_or_off("1s", "7d"),
}
_BUDGETS: Mapping[str, Reader[Any]] = {
    "per_session": read_as(units.budget),
    "global": read_as(units.budget),
    "at_once": _at_once,
}
_RECOVERY: Mapping[str, Reader[Any]] = {
    "mode": one_of(Mode, "mode"),
    "retry": retry_on(RetryPolicy()),
    "circuit": circuit_on(BreakerPolicy()),
    "operations": table(member(StepKind, "step"), read_retry),
    "budget": record(dict, _BUDGETS),
    "slow_retry": duration("1s", "7d"),
    "starts": read_as(units.budget),
    "ladders": read_ladders,
    "stable": duration("1s", "7d"),
}
_AUDIT: Mapping[str, Reader[Any]] = {
    "max_age": duration("1h", "3650d"),
    "max_records": whole(1_000, 100_000_000),
}
_RESOURCES: Mapping[str, Reader[Any]] = {
    "memory_free": decimal(0, 90),
    "memory_stalled": decimal(1, 100),
    "memory_wait": duration("0s", "1h"),
    "oom_period": duration("1s", "1d"),
    "oom_starts": read_as(units.budget),
    "cpu_stalled": decimal(1, 100),
    "load": decimal(0.1, 1_000),
    "recoveries": whole(1, 1_000),
    "disk_low_bytes": size("0B", "1TB"),
    "disk_least_bytes": size("0B", "1TB"),
    "inodes_low": whole(0, 1_000_000_000),
}
_RESUME: Mapping[str, Reader[Any]] = {
    "match": regex,
    "command": _command("argv", "id", "program", "flags"),
    "fallback": _command("argv", "program", "flags"),
    "heavy": switch,
}
_ALERT: Mapping[str, Reader[Any]] = {
    "match": table(_label, text, least=1),
    "session": read_as(_session_template),
    "failure": one_of(FailureKind, "failure"),
    "strategy": read_strategy,
}
HTTP: Mapping[str, Reader[Any]] = {
    "listen": _listen,
    "token_file": read_as(units.full_path),
    "web_config_file": read_as(units.full_path),
    "hosts": list_of(read_as(units.host_name)),
    "max_connections": whole(8, 4096),
    "access_log": switch,
}
_SETTINGS: Mapping[str, Reader[Any]] = {
    "tmux": record(TmuxSettings, _TMUX),
    "sessions": record(SessionSettings, SESSIONS),
    "checkpoints": record(CheckpointSettings, CHECKPOINTS),
    "recovery": record(_recovery, _RECOVERY),
    "audit": record(AuditSettings, _AUDIT),
    "resources": record(_resources, _RESOURCES),
    "resume": list_of(record(ResumeRule, _RESUME, required=("match", "command"))),
    "heartbeats": heartbeats,
    "programs": programs,
    "checks": checks,
    "alerts": list_of(record(AlertRoute, _ALERT, required=("match", "session"))),
    "notify": read_channels,
    "quiet": windows,
    "http": record(HttpSettings, HTTP),
}
