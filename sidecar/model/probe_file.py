"""Probes of files: whether they are there, how old and how large they are, and what stands in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidecar.model.probe import Local, ProbeKind


class Part(StrEnum):
    """Which 64 KiB of a file are searched."""

    HEAD = "head"
    TAIL = "tail"


@dataclass(frozen=True, slots=True)
class FileProbe(Local):
    """A file, a folder, or anything else that has a path. Symbolic links are followed."""

    path: str
    """Full path."""
    exists: bool = True
    """Whether it has to be there; ``false``: it must not be, as a lock that was forgotten."""
    younger: float | None = None
    """Seconds; it has to have been written within this time."""
    older: float | None = None
    """Seconds; it must not have been written within this time."""
    least: int | None = None
    """Bytes that it has to have."""
    most: int | None = None
    """Bytes that it may have."""
    match: str = ""
    """Regular expression that has to be found in it."""
    no_match: str = ""
    """Regular expression that must not be found in it."""
    part: Part = Part.TAIL
    """Where they are searched: in the first 64 KiB (``head``) or the last (``tail``)."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.FILE

    def describe(self) -> str:
        return f"the file {self.path}"
