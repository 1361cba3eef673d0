"""The tmux door, opened onto the private server of a box."""

from __future__ import annotations

from sidecar.clock import Clock, SystemClock
from sidecar.decide import layout
from sidecar.edges import process
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from tests.box import TmuxBox


def open_door(
    tmux: TmuxBox, runner: TmuxRunner, *, descriptors: int | None = None, clock: Clock | None = None
) -> TmuxDoor:
    return TmuxDoor(
        runner,
        clock or SystemClock(),
        boot_id="boot",
        complete=process.complete,
        in_front=process.in_front,
        valid_layout=layout.valid,
        scratch=tmux.folder / "scratch",
        descriptors=descriptors,
    )
