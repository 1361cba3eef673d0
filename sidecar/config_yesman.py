"""yesman-claude's folder: which sessions it names, each put together from its template and its overrides.

The folder has ``sessions/`` (any depth; the key of a session comes from the path, ``_*`` are passed
over), ``templates/``, and in older ones a ``projects.yaml``. Files are joined as trees of nodes, so
that a fault still tells the line of the file in which it stands.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from sidecar.config_fields import kind_of
from sidecar.config_yaml import compose_file
from sidecar.errors import ConfigInvalid, Fault

Lose = Callable[[Path, Iterable[Fault]], None]
"""(file, faults): nothing of it can be declared."""

_STR = "tag:yaml.org,2002:str"
_ENDINGS = (".yaml", ".yml")
_PROJECTS = tuple(f"projects{ending}" for ending in _ENDINGS)
_GIVEN = frozenset({"session_name", "start_directory"})
"""What a session tells its template; every other word comes from the environment."""
_MOST_FILES = 1_000
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*(?:\|\s*default\(\s*(?:'([^']*)'|\"([^\"]*)\")\s*\)\s*)?\}\}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One session, put together."""

    file: Path
    node: yaml.MappingNode


class _Unfit(Exception):
    """A fault that keeps one session from being put together."""

    def __init__(self, node: yaml.Node, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = Fault(node.start_mark.name, node.start_mark.line + 1, key, sentence)


def is_home(folder: Path) -> bool:
    """Whether this is a folder of yesman-claude's."""
    return (folder / "sessions").is_dir() or any((folder / name).is_file() for name in _PROJECTS)


def entries(home: Path, lose: Lose) -> Iterator[Entry]:
    """Every session of the folder; what is wrong goes to ``lose``."""
    for file, key, node in _keyed(home, lose):
        try:
            yield Entry(file, _assembled(home, key, node))
        except _Unfit as unfit:
            lose(file, [unfit.fault])
        except ConfigInvalid as error:
            lose(file, error.faults)


def _keyed(home: Path, lose: Lose) -> Iterator[tuple[Path, str, yaml.Node]]:
    projects = [file for name in _PROJECTS if (file := home / name).is_file()]
    files = _session_files(home / "sessions", lose)
    if not projects and not files:
        lose(home, [Fault(str(home), 0, "", "holds no session files and no projects")])
    for file in projects:
        for key, node in _projects(file, lose):
            yield file, key, node
    for key, file in files.items():
        root = _root(file, lose)
        if root is not None:
            yield file, key, root


def _root(file: Path, lose: Lose) -> yaml.Node | None:
    try:
        root = compose_file(file)
    except ConfigInvalid as error:
        lose(file, error.faults)
        return None
    if root is None:
        lose(file, [Fault(str(file), 1, "", "is empty")])
    return root


def _projects(file: Path, lose: Lose) -> Iterator[tuple[str, yaml.Node]]:
    root = _root(file, lose)
    if root is None:
        return
    try:
        top = _mapping(root, "")
        yield from (_mapping(top["sessions"], "sessions") if "sessions" in top else top).items()
    except _Unfit as unfit:
        lose(file, [unfit.fault])


def _session_files(folder: Path, lose: Lose) -> dict[str, Path]:
    """Files by the key that their path makes; ``.yaml`` comes before ``.yml``."""
    found: dict[str, Path] = {}
    for ending in _ENDINGS:
        for file in sorted(folder.rglob(f"*{ending}")):
            below = file.relative_to(folder)
            if file.name.startswith("_") or any(part.startswith(".") for part in below.parts):
                continue
            if len(found) == _MOST_FILES:
                lose(folder, [Fault(str(folder), 0, "", f"holds more than {_MOST_FILES} session files")])
                return found
            found.setdefault("-".join((*below.parts[:-1], file.stem)), file)
    return found


def _assembled(home: Path, key: str, node: yaml.Node) -> yaml.MappingNode:
    """The session as one mapping: its template, then its own keys, then its overrides."""
    own = _mapping(node, key)
    template = own.pop("template_name", None)
    override = own.pop("override", None)
    parts = {**own, **(_mapping(override, "override") if override is not None else {})}
    parts.setdefault("session_name", yaml.ScalarNode(_STR, key, node.start_mark, node.end_mark))
    if template is None or template.tag.endswith(":null"):
        return _node(node, parts)
    base = _mapping(_template(home, template), "")
    base.pop("session_name", None)
    words = {
        name: value.value
        for name, value in parts.items()
        if name in _GIVEN and isinstance(value, yaml.ScalarNode)
    }
    filled = {name: _filled(value, name, words) for name, value in base.items()}
    return _merged(_node(node, filled), _node(node, parts))


def _template(home: Path, name: yaml.Node) -> yaml.Node:
    if not isinstance(name, yaml.ScalarNode) or ".." in Path(name.value).parts or name.value.startswith("/"):
        raise _Unfit(name, "template_name", "has to be the name of a file in templates/, without its ending")
    for ending in _ENDINGS:
        file = home / "templates" / f"{name.value}{ending}"
        if file.is_file():
            root = compose_file(file)
            if root is None:
                raise _Unfit(name, "template_name", f"{file} is empty")
            return root
    raise _Unfit(name, "template_name", f"there is no template {name.value!r} in {home / 'templates'}")


def _mapping(node: yaml.Node, key: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise _Unfit(node, key, f"has to be a mapping of keys to values, and is {kind_of(node)}")
    found: dict[str, yaml.Node] = {}
    for key_node, value in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _Unfit(key_node, key, f"a key has to be text, and this one is {kind_of(key_node)}")
        if key_node.value in found:
            raise _Unfit(key_node, key_node.value, "is given twice")
        found[key_node.value] = value
    return found


def _node(like: yaml.Node, parts: Mapping[str, yaml.Node]) -> yaml.MappingNode:
    pairs = [
        (yaml.ScalarNode(_STR, key, value.start_mark, value.end_mark), value) for key, value in parts.items()
    ]
    return yaml.MappingNode("tag:yaml.org,2002:map", pairs, like.start_mark, like.end_mark)


def _merged(base: yaml.MappingNode, over: yaml.MappingNode) -> yaml.MappingNode:
    """Mappings are merged in each other, everything else is replaced."""
    result = _mapping(base, "")
    for key, value in _mapping(over, "").items():
        known = result.get(key)
        both = isinstance(known, yaml.MappingNode) and isinstance(value, yaml.MappingNode)
        result[key] = _merged(known, value) if both else value  # type: ignore[arg-type]
    return _node(over, result)


def _filled(node: yaml.Node, key: str, words: Mapping[str, str]) -> yaml.Node:
    """The node with every ``{{ name }}`` and ``{{ name | default('...') }}`` filled in."""
    if isinstance(node, yaml.SequenceNode):
        items = [_filled(item, f"{key}[{number}]", words) for number, item in enumerate(node.value)]
        return yaml.SequenceNode(node.tag, items, node.start_mark, node.end_mark)
    if isinstance(node, yaml.MappingNode):
        pairs = [(name, _filled(value, f"{key}.{name.value}", words)) for name, value in node.value]
        return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark)
    value = _PLACEHOLDER.sub(lambda match: _word(match, node, key, words), node.value)
    return node if value == node.value else yaml.ScalarNode(node.tag, value, node.start_mark, node.end_mark)


def _word(match: re.Match[str], node: yaml.Node, key: str, words: Mapping[str, str]) -> str:
    name, one, other = match.groups()
    default = one if one is not None else other
    value = words.get(name, os.environ.get(name, default))
    if value is None:
        raise _Unfit(
            node, key, f"{match[0]} has no value: it is no environment variable; write a default(...) here"
        )
    return value
