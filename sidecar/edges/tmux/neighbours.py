"""What else is in the server, as far as a session shares windows with it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.edges.tmux.text import unvis

_FIELDS = (
    "#{pid}", "#{start_time}", "#{session_id}", "#{window_id}", "#{@sidecar_link}", "#{@sidecar_building}",
    "#{session_group}", "#{session_name}",
)  # fmt: skip
_EACH = "\t".join(_FIELDS)
NEIGHBOURS_COMMAND = (
    "display-message", "-p", f"#{{S:#{{W:{_EACH}\n}}}}", ";", "show-options", "-gwv", "window-size",
)  # fmt: skip
"""tmux encodes tabs in names, so that they separate."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One window in one session."""

    server: str
    """Pid and start of the server, as a link's word has them."""
    session_id: str
    window_id: str
    link: str
    building: bool
    """The session is one of ours that was never finished."""
    group: str
    name: str
    """The session's."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Every window of every session."""

    windows: tuple[Neighbour, ...] = ()
    manual_sizes: bool = False
    """Windows have the sizes that they were given. A 3.3a server then dies of every new window."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(each.name for each in self.windows)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Ids of sessions that an earlier rebuild has left half done."""
        return tuple(sorted({each.session_id for each in self.windows if each.building}))

    def member(self, group: str) -> str:
        """The id of a session of the group; empty if there is none."""
        members = (each.session_id for each in self.windows if group and each.group == group)
        return next(members, "")

    def shared(self, link: str) -> str:
        """The id of the window that a link's word means; empty if it is not there."""
        for each in self.windows:
            if not each.building and link in (each.link, f"{each.server}/{each.window_id}"):
                return each.window_id
        return ""


def read_neighbours(output: bytes, boot_id: str) -> Neighbours:
    """The answer to :data:`NEIGHBOURS_COMMAND`; a line that cannot be read is nobody's neighbour."""
    lines = output.decode("utf-8", "surrogateescape").splitlines()
    rows = (line.split("\t") for line in lines)
    return Neighbours(
        windows=tuple(_neighbour(row, boot_id) for row in rows if len(row) == len(_FIELDS)),
        manual_sizes=lines[-1:] == ["manual"],
    )


def _neighbour(row: list[str], boot_id: str) -> Neighbour:
    pid, started, session_id, window_id, link, building, group, name = row
    server = f"{boot_id}/{pid}/{started}"
    return Neighbour(server, session_id, window_id, link, bool(building), unvis(group), unvis(name))
