"""The configuration that was last in force, kept in the state folder for a start that finds a broken one.

A restart at night with a half-written file must not leave the sessions without anybody who looks after
them. The copy holds the file's text, which is read anew by all the rules of this release, and what the
workspace files declared.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import msgspec

from sidecar import config_read
from sidecar.config import Declared, Settings
from sidecar.decide import layout
from sidecar.errors import ConfigInvalid, Fault, Permanent, SidecarError
from sidecar.model.workspace import NAMED_LAYOUTS, Workspace

FILE = "config.last-good.json"
_LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class Copy:
    """What is kept."""

    source: str
    """The file's full path; empty where the defaults served."""
    text: str
    at: float
    """Wall seconds when it was taken up."""
    declared: tuple[Workspace, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """The settings to start with."""

    settings: Settings
    faults: tuple[Fault, ...] = ()
    """What is wrong with the file on disk; then the settings are those that were last good."""
    loaded: float | None = None
    """Wall seconds when the copy was taken up that they are from; None when they are the file's own."""


def load(file: Path | None, state: Path, *, strict: bool = False) -> Start:
    """The settings of the configuration, or those that were last good if it has faults.

    Raises:
        ConfigInvalid: it has faults, and it is ``strict`` or there is no copy that is good.
    """
    try:
        settings = config_read.load_or_default(file)
    except ConfigInvalid as error:
        copy = None if strict else recall(state)
        if copy is None or copy.source != str((file or config_read.default_path()).absolute()):
            raise
        settings = _settings(copy, error)
        return Start(settings, error.faults, copy.at)
    copy = recall(state) if settings.declared.broken and not strict else None
    return Start(replace(settings, declared=settings.declared.keeping(_declared(copy))))


def recall(state: Path) -> Copy | None:
    """The copy in this state folder; None if there is none that can be used."""
    try:
        return msgspec.json.decode(_read(state / FILE), type=Copy)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def keep(settings: Settings, state: Path, now: float) -> None:
    """Keep these, which are in force now. ``now`` is wall seconds.

    Raises:
        Permanent: the state folder cannot take it; the earlier copy is still there.
    """
    source = "" if settings.source is None else str(settings.source)
    copy = Copy(source, settings.text, now, tuple(settings.declared.sessions.values()))
    path, fresh = state / FILE, state / f"{FILE}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(copy))
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except (OSError, ValueError) as error:
        raise Permanent(
            f"the last good configuration cannot be kept in {path}: {error}",
            hint="A start with a broken file would be refused; check the disk and the folder.",
        ) from error


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(f"{path} belongs to another user")
        return file.read(_LARGEST)


def _settings(copy: Copy, error: ConfigInvalid) -> Settings:
    try:
        # A package that is broken or gone costs its rungs, and not all that the file says.
        settings = config_read.parse(copy.text, f"{copy.source} (last good)", lenient=True)
    except SidecarError:
        # It was good for another release.
        raise error from None
    declared = _declared(copy)
    managed = {name: one for name, one in declared.sessions.items() if settings.sessions.manages(name)}
    source = Path(copy.source) if copy.source else None
    return replace(settings, source=source, text=copy.text, declared=Declared(MappingProxyType(managed)))


def _declared(copy: Copy | None) -> Declared:
    sessions = {one.name: one for one in copy.declared if _safe(one)} if copy else {}
    return Declared(MappingProxyType(sessions))


def _safe(workspace: Workspace) -> bool:
    """No layout of it harms tmux: the rules of the reader have not seen this copy."""
    return all(
        not window.layout or window.layout in NAMED_LAYOUTS or layout.valid(window.layout, len(window.panes))
        for window in workspace.windows
    )
