"""The sessions that workspace files declare: which files there are, and every fault of all of them.

A file with a fault declares nothing and stops no other file. A folder holds either tmuxp's files, or is
yesman-claude's own, with sessions, templates and projects.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import yaml

from sidecar import config_yesman as yesman
from sidecar.config import Declared, SessionSettings
from sidecar.config_fields import Place, Told, Wrong
from sidecar.config_tmuxp import Remarks, read_session
from sidecar.config_yaml import compose_file
from sidecar.decide.workspace import declare
from sidecar.errors import ConfigInvalid, Fault
from sidecar.model.workspace import Workspace

_ENDINGS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Source:
    """One session to be read."""

    file: Path
    node: yaml.Node
    is_yesman: bool = False


@dataclass(slots=True)
class _Harvest:
    """What has been read until now."""

    settings: SessionSettings
    sessions: dict[str, Workspace] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def lose(self, where: Path, faults: Iterable[Fault]) -> None:
        """Something there could not be declared."""
        self.broken.add(str(where))
        self.faults.extend(faults)


def load_workspaces(settings: SessionSettings) -> Declared:
    """Read every file that ``sessions.workspaces`` names. Never raises for what is wrong in them."""
    harvest = _Harvest(settings)
    for path in map(Path, settings.workspaces):
        for source in _sources(path, harvest):
            _read(source, harvest)
    return Declared(MappingProxyType(harvest.sessions), tuple(harvest.faults), frozenset(harvest.broken))


def _sources(path: Path, harvest: _Harvest) -> Iterator[Source]:
    if not path.is_dir():
        yield from _file(path, harvest)
    elif yesman.is_home(path):
        for entry in yesman.entries(path, harvest.lose):
            yield Source(entry.file, entry.node, is_yesman=True)
    else:
        yield from _folder(path, harvest)


def _folder(path: Path, harvest: _Harvest) -> Iterator[Source]:
    """tmuxp's files in a folder, not in those below it; and the one that a project keeps for itself."""
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        harvest.lose(path, [Fault(str(path), 0, "", f"cannot be read: {error.strerror}")])
        return
    hidden = {f".tmuxp{ending}" for ending in _ENDINGS}
    files = [
        path / name
        for name in names
        if name.endswith(_ENDINGS) and (name in hidden or not name.startswith((".", "_")))
    ]
    if not files:
        harvest.lose(path, [Fault(str(path), 0, "", f"holds no workspace files ({', '.join(_ENDINGS)})")])
    for file in files:
        yield from _file(file, harvest)


def _file(path: Path, harvest: _Harvest) -> Iterator[Source]:
    try:
        root = compose_file(path)
    except ConfigInvalid as error:
        harvest.lose(path, error.faults)
        return
    if root is None:
        harvest.lose(path, [Fault(str(path), 1, "", "is empty")])
        return
    yield Source(path, root)


def _read(source: Source, harvest: _Harvest) -> None:
    remarks = Remarks(str(source.file))
    place = Place(source.node, "", remarks)
    words = None
    try:
        words = read_session(place, yesman=source.is_yesman)
    except Wrong as wrong:
        place.fault(str(wrong))
    except Told:
        pass
    harvest.faults.extend(
        sorted((*remarks.faults, *remarks.notes), key=lambda fault: (fault.file, fault.line))
    )
    if words is None:
        harvest.broken.add(str(source.file))
        return
    line = source.node.start_mark.line + 1
    _keep(declare(words, file=str(source.file), line=line, home=os.path.expanduser("~")), harvest)


def _keep(workspace: Workspace, harvest: _Harvest) -> None:
    """The first of a name counts; one that is not managed is not declared."""
    name, earlier = workspace.name, harvest.sessions.get(workspace.name)
    if earlier is not None:
        complaint = f"{name!r} is declared already, in {earlier.file}:{earlier.line}"
        harvest.faults.append(Fault(workspace.file, workspace.line, "session_name", complaint))
    elif harvest.settings.manages(name):
        harvest.sessions[name] = workspace
