"""A YAML or JSON file as a tree of nodes that know their lines, or one fault that says why not.

Bounded in size and depth, so that no file can do harm by being read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from sidecar.errors import ConfigInvalid, Fault

LARGEST_FILE = 1 << 20
"""Bytes."""
DEEPEST = 32
"""Levels of lists and mappings in each other."""
_MOST_NODES = 20_000
_MERGE = "tag:yaml.org,2002:merge"


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ConfigInvalid: it cannot be read, or is no text, or too large.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigInvalid([Fault(str(path), 0, "", f"cannot be read: {error.strerror}")]) from error
    except ValueError as error:
        raise ConfigInvalid([Fault(str(path), 0, "", f"cannot be read: {error}")]) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigInvalid([Fault(str(path), line, "", "is not UTF-8 text")]) from error


def compose(content: str, name: str, *, aliases: bool = False) -> yaml.Node | None:
    """The one document of a text; None if there is none. ``name`` stands in the faults and in the marks.

    Where ``aliases`` are allowed, they and merge keys are written out in the tree that is returned.

    Raises:
        ConfigInvalid: it is no YAML, or more than it may be.
    """
    if len(content) > LARGEST_FILE:
        raise ConfigInvalid([Fault(name, 0, "", f"is larger than {LARGEST_FILE} bytes")])
    try:
        loader = _Loader(content, name, aliases)
        try:
            root = loader.get_single_node()
            return _Unfolding().of(root) if aliases and root is not None else root
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigInvalid(
            [Fault(name, mark.line + 1 if mark else 0, "", f"is not YAML: {reason}")]
        ) from error
    except yaml.reader.ReaderError as error:
        line = content.count("\n", 0, error.position) + 1
        sentence = f"has the character U+{ord(content[error.position]):04X}, which YAML does not allow"
        raise ConfigInvalid([Fault(name, line, "", sentence)]) from error
    except (ValueError, OverflowError) as error:
        # The scanner lets numbers of escapes and of directives through that Python does not take.
        raise ConfigInvalid([Fault(name, 0, "", f"is not YAML: {error}")]) from error


def compose_file(path: Path) -> yaml.Node | None:
    """The document of a workspace file, JSON by its ending, with its aliases written out.

    Raises:
        ConfigInvalid: every reason why there is none.
    """
    content = read_text(path)
    if path.suffix == ".json":
        return compose_json(content, str(path))
    return compose(content, str(path), aliases=True)


def compose_json(content: str, name: str) -> yaml.Node | None:
    """The same for JSON, which is YAML but for tabs and for characters written as two escapes.

    Raises:
        ConfigInvalid: it is no JSON, or more than it may be.
    """
    try:
        json.loads(content)
    except json.JSONDecodeError as error:
        raise ConfigInvalid([Fault(name, error.lineno, "", f"is not JSON: {error.msg}")]) from error
    except RecursionError as error:
        raise ConfigInvalid([Fault(name, 0, "", "is not JSON: it is nested too deeply")]) from error
    # Within its strings JSON has no bare tabs.
    root = compose(content.replace("\t", " "), name)
    if root is not None:
        _join_surrogates(root)
    return root


class _Loader(yaml.SafeLoader):
    """Composes a document of bounded depth."""

    def __init__(self, content: str, name: str, aliases: bool) -> None:
        super().__init__(content)
        self.name = name
        self._aliases = aliases
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if not self._aliases and self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are refused; write the value out", mark)
        if self._depth == DEEPEST:
            raise yaml.composer.ComposerError(None, None, "it is nested too deeply", mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Unfolding:
    """Copies a tree with every alias and merge key written out. A small file may not become a huge one."""

    def __init__(self) -> None:
        self._left = _MOST_NODES

    def of(self, node: yaml.Node, depth: int = 0) -> yaml.Node:
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            what = "is nested too deeply" if depth > DEEPEST else f"has more than {_MOST_NODES} values"
            raise yaml.composer.ComposerError(None, None, f"with its aliases it {what}", node.start_mark)
        if isinstance(node, yaml.SequenceNode):
            items = [self.of(item, depth + 1) for item in node.value]
            return yaml.SequenceNode(node.tag, items, node.start_mark, node.end_mark)
        if isinstance(node, yaml.MappingNode):
            entries = [
                (self.of(key, depth + 1), self.of(value, depth + 1)) for key, value in self._entries(node, 0)
            ]
            return yaml.MappingNode(node.tag, entries, node.start_mark, node.end_mark)
        return node

    def _entries(self, node: yaml.MappingNode, depth: int) -> list[tuple[yaml.Node, yaml.Node]]:
        """The mapping's own entries, and those it merges that it does not have itself."""
        own = [(key, value) for key, value in node.value if key.tag != _MERGE]
        seen = {key.value for key, _ in own if isinstance(key, yaml.ScalarNode)}
        for key, value in node.value:
            if key.tag != _MERGE:
                continue
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(source, yaml.MappingNode) or depth > DEEPEST:
                    raise yaml.composer.ComposerError(
                        None, None, "only a mapping can be merged", key.start_mark
                    )
                for pair in self._entries(source, depth + 1):
                    if isinstance(pair[0], yaml.ScalarNode) and pair[0].value not in seen:
                        seen.add(pair[0].value)
                        own.append(pair)
        return own


def _join_surrogates(node: yaml.Node) -> None:
    if isinstance(node, yaml.ScalarNode):
        node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _join_surrogates(item)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _join_surrogates(key)
            _join_surrogates(value)
