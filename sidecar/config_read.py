"""Settings from YAML, with every fault at once, each with its line.

Nothing is guessed and nothing is ignored: an unknown key is a fault. The defaults live in
``config`` alone.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from sidecar import config
from sidecar.config import Settings
from sidecar.errors import ConfigInvalid, Fault
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Strategy
from sidecar.model.policy import BreakerPolicy, Budget, Jitter, Mode, Restore, ResumeRule, RetryPolicy

_LARGEST_FILE = 1 << 20
_SCALE = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SIZES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|[KMG]i?B)")
_BUDGET = re.compile(r"(\d+) per (\S+)")
_LATER = "not available in this version"


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration lies unless another file is named."""
    home = environment.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(home) / "tmux-sidecar" / "config.yml"


def state_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the state lies unless another folder is named."""
    home = environment.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(home) / "tmux-sidecar"


def load(path: Path) -> Settings:
    """The settings of a file.

    Raises:
        ConfigInvalid: the file cannot be read, or has faults.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_FILE + 1)
        text = raw.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid([Fault(str(path), 0, "", f"cannot be read: {error}")]) from error
    if len(raw) > _LARGEST_FILE:
        raise ConfigInvalid([Fault(str(path), 0, "", "is larger than 1 MiB")])
    return parse(text, str(path))


def parse(text: str, name: str) -> Settings:
    """The settings of a text; ``name`` stands in the faults.

    Raises:
        ConfigInvalid: every fault of it.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigInvalid([Fault(name, line, "", f"is not YAML: {error.problem}")]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigInvalid([Fault(name, 0, "", f"is not YAML: {error}")]) from error
    reader = _Reader(name)
    values = reader.mapping(root, "", _ROOT) if root is not None else {}
    if reader.faults:
        raise ConfigInvalid(sorted(reader.faults, key=lambda fault: fault.line))
    return _settings(values, Path(name))


class _Fault(ValueError):
    """One sentence about one value."""


Parse = Callable[["_Reader", yaml.Node, str], Any]
Fields = Mapping[str, Parse]


class _Reader:
    """Walks the nodes, so that every fault knows its line."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.faults: list[Fault] = []

    def fault(self, node: yaml.Node, key: str, sentence: str) -> None:
        self.faults.append(Fault(self._file, node.start_mark.line + 1, key, sentence))

    def mapping(self, node: yaml.Node, path: str, fields: Fields) -> dict[str, Any]:
        """The values of the known keys that are there; a fault for every other one."""
        values: dict[str, Any] = {}
        for key, child in self.pairs(node, path):
            parse_field = fields.get(key)
            where = f"{path}.{key}" if path else key
            if parse_field is None:
                close = difflib.get_close_matches(key, fields, n=1)
                hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(fields)}"
                self.fault(child, where, f"is not a key here{hint}")
            elif not _is_null(child):
                values[key] = self.value(child, where, parse_field)
        return values

    def pairs(self, node: yaml.Node, path: str) -> list[tuple[str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, path, "has to be a mapping of keys to values")
            return []
        found: dict[str, yaml.Node] = {}
        for key_node, child in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.fault(key_node, path, "has a key that is not text")
                continue
            if key_node.value in found:
                self.fault(key_node, f"{path}.{key_node.value}".lstrip("."), "is given twice")
            found[key_node.value] = child
        return list(found.items())

    def value(self, node: yaml.Node, path: str, parse_field: Parse) -> Any:
        try:
            return parse_field(self, node, path)
        except _Fault as fault:
            self.fault(node, path, str(fault))
            return None

    def items(self, node: yaml.Node, path: str, parse_item: Parse) -> tuple[Any, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise _Fault("has to be a list")
        return tuple(
            self.value(child, f"{path}[{number}]", parse_item) for number, child in enumerate(node.value)
        )


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _text(reader: _Reader, node: yaml.Node, path: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value:
        raise _Fault("has to be text")
    return str(node.value)


def _number(least: float, whole: bool = True) -> Parse:
    def parse_number(reader: _Reader, node: yaml.Node, path: str) -> float:
        text = _text(reader, node, path)
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            raise _Fault(f"is {text!r}, which is not a {'whole ' if whole else ''}number") from None
        if not least <= value < float("inf"):
            raise _Fault(f"is {text}, and has to be at least {least:g}")
        return value

    return parse_number


def _flag(reader: _Reader, node: yaml.Node, path: str) -> bool:
    if not isinstance(node, yaml.ScalarNode) or node.value not in ("true", "false"):
        raise _Fault("has to be true or false")
    return bool(node.value == "true")


def seconds(text: str) -> float:
    """A duration such as ``15s``, ``200ms`` or ``1h30m`` in seconds; raises ValueError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise _Fault(f"is {text!r}, which is not a duration such as 15s, 200ms or 1h30m")
    return sum(float(number) * _SCALE[unit] for number, unit in parts)


def _duration(reader: _Reader, node: yaml.Node, path: str) -> float:
    value = seconds(_text(reader, node, path))
    if value <= 0:
        raise _Fault("has to be longer than nothing")
    return value


def _size(reader: _Reader, node: yaml.Node, path: str) -> int:
    text = _text(reader, node, path)
    match = _SIZE.fullmatch(text)
    if match is None:
        raise _Fault(f"is {text!r}, which is not a size such as 100MB or 64KiB")
    return int(float(match.group(1)) * _SIZES[match.group(2)])


def _choice(kind: Any) -> Parse:
    def parse_choice(reader: _Reader, node: yaml.Node, path: str) -> Any:
        text = _text(reader, node, path)
        try:
            return kind(text)
        except ValueError:
            raise _Fault(f"is {text!r}, and has to be one of {', '.join(kind)}") from None

    return parse_choice


def _texts(reader: _Reader, node: yaml.Node, path: str) -> tuple[str, ...]:
    return reader.items(node, path, _text)


def _budget(reader: _Reader, node: yaml.Node, path: str) -> Budget:
    text = _text(reader, node, path)
    match = _BUDGET.fullmatch(text)
    if match is None or int(match.group(1)) < 1:
        raise _Fault(f"is {text!r}, which is not a budget such as 5 per 10m")
    return Budget(int(match.group(1)), seconds(match.group(2)))


def _regex(reader: _Reader, node: yaml.Node, path: str) -> str:
    text = _text(reader, node, path)
    try:
        re.compile(text)
    except re.error as error:
        raise _Fault(f"is not a regular expression: {error}") from None
    return text


def _template(*names: str) -> Parse:
    def parse_template(reader: _Reader, node: yaml.Node, path: str) -> str:
        text = _text(reader, node, path)
        for name in re.findall(r"\{(\w*)\}", text):
            if name not in names:
                raise _Fault(f"has the placeholder {{{name}}}; known: {', '.join(names)}")
        return text

    return parse_template


def _alert_session(reader: _Reader, node: yaml.Node, path: str) -> str:
    text = _text(reader, node, path)
    rest = re.sub(r"\{\{\s*labels\.[A-Za-z_]\w*\s*\}\}", "", text)
    if "{" in rest or "}" in rest:
        raise _Fault("has braces that are not of the form {{ labels.NAME }}")
    return text


def _listen(reader: _Reader, node: yaml.Node, path: str) -> str:
    text = _text(reader, node, path)
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise _Fault(f"is {text!r}, which is not HOST:PORT")
    return text


def _later(reader: _Reader, node: yaml.Node, path: str) -> None:
    raise _Fault(_LATER)


def _ladders(reader: _Reader, node: yaml.Node, path: str) -> Mapping[FailureKind, tuple[Strategy, ...]]:
    found: dict[FailureKind, tuple[Strategy, ...]] = {}
    for key, child in reader.pairs(node, path):
        where = f"{path}.{key}"
        if key not in set(FailureKind):
            reader.fault(child, where, f"is not a failure; known: {', '.join(FailureKind)}")
            continue
        steps = reader.value(child, where, lambda r, n, p: r.items(n, p, _choice(Strategy)))
        found[FailureKind(key)] = steps or ()
    return MappingProxyType(found)


def _mapping(fields: Fields) -> Parse:
    return lambda reader, node, path: reader.mapping(node, path, fields)


def _list_of(fields: Fields, *required: str) -> Parse:
    def parse_item(reader: _Reader, node: yaml.Node, path: str) -> dict[str, Any]:
        values = reader.mapping(node, path, fields)
        for name in required:
            if name not in values:
                reader.fault(node, path, f"has no {name}")
        return values

    return lambda reader, node, path: reader.items(node, path, parse_item)


def _overrides(reader: _Reader, node: yaml.Node, path: str) -> Mapping[str, config.SessionOverride]:
    fields: Fields = {
        "restore": _choice(Restore),
        "ladder": _ladders,
        "critical_processes": _later,
        "checkpoint": _later,
    }
    return MappingProxyType(
        {
            name: config.SessionOverride(**reader.mapping(child, f"{path}.{name}", fields))
            for name, child in reader.pairs(node, path)
        }
    )


def _labels(reader: _Reader, node: yaml.Node, path: str) -> Mapping[str, str]:
    return {key: reader.value(child, f"{path}.{key}", _text) for key, child in reader.pairs(node, path)}


_ROOT: Fields = {
    "tmux": _mapping({"socket_name": _text, "socket_path": _text, "timeout": _duration}),
    "sessions": _mapping(
        {
            "manage": _texts,
            "ignore": _texts,
            "restore": _choice(Restore),
            "workspaces": _later,
            "overrides": _overrides,
        }
    ),
    "checkpoints": _mapping(
        {
            "interval": _duration,
            "scrollback_lines": _number(0),
            "exclude": _texts,
            "max_age": _duration,
            "max_bytes_per_session": _size,
            "rehearse": _later,
        }
    ),
    "recovery": _mapping(
        {
            "mode": _choice(Mode),
            "retry": _mapping(
                {
                    "max_attempts": _number(1),
                    "initial_delay": _duration,
                    "max_delay": _duration,
                    "base": _number(1, whole=False),
                    "jitter": _choice(Jitter),
                }
            ),
            "circuit": _mapping(
                {"failure_threshold": _number(1), "window": _duration, "recovery_timeout": _duration}
            ),
            "budget": _mapping({"per_session": _budget, "global": _budget}),
            "slow_retry": _duration,
            "ladders": _ladders,
        }
    ),
    "resume": _list_of(
        {"match": _regex, "command": _template("argv", "id"), "fallback": _template("argv")},
        "match",
        "command",
    ),
    "checks": _later,
    "alerts": _list_of(
        {
            "match": _labels,
            "session": _alert_session,
            "failure": _choice(FailureKind),
            "strategy": _choice(Strategy),
        },
        "match",
        "session",
    ),
    "notify": _list_of({"tmux": _flag, "webhook": _later, "alertmanager": _later}),
    "http": _mapping({"listen": _listen, "token_file": _text, "web_config_file": _later}),
}


def _settings(values: dict[str, Any], source: Path) -> Settings:
    recovery = dict(values.get("recovery", {}))
    budget = recovery.pop("budget", {})
    if "retry" in recovery:
        recovery["retry"] = RetryPolicy(**recovery["retry"])
    if "circuit" in recovery:
        recovery["circuit"] = BreakerPolicy(**recovery["circuit"])
    if "ladders" in recovery:
        recovery["ladders"] = MappingProxyType({**config.DEFAULT_LADDERS, **recovery["ladders"]})
    if "per_session" in budget:
        recovery["per_session"] = budget["per_session"]
    if "global" in budget:
        recovery["overall"] = budget["global"]
    notify = {key: value for entry in values.get("notify", ()) for key, value in entry.items()}
    return Settings(
        tmux=config.TmuxSettings(**values.get("tmux", {})),
        sessions=config.SessionSettings(**values.get("sessions", {})),
        checkpoints=config.CheckpointSettings(**values.get("checkpoints", {})),
        recovery=config.RecoverySettings(**recovery),
        resume=tuple(ResumeRule(**rule) for rule in values.get("resume", ())),
        alerts=tuple(config.AlertRoute(**route) for route in values.get("alerts", ())),
        notify=config.NotifySettings(**notify),
        http=config.HttpSettings(**values.get("http", {})),
        source=source,
    )
