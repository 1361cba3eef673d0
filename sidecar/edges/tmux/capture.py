"""Everything a checkpoint needs that a look does not hold, through one client.

The parts of the answer are separated by lines with a random word, since captured text may hold
anything. A capture is whole or it is an error: never a smaller session.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sidecar.edges.tmux.details import details_commands, read_details, read_settings
from sidecar.edges.tmux.history import Texts
from sidecar.edges.tmux.parts import END, mark_line, new_mark, part, read_parts
from sidecar.edges.tmux.text import read_environment, script
from sidecar.errors import Temporary, TmuxUnknown
from sidecar.model.record import Capture
from sidecar.model.session import Look, ServerOrigin, Session, image_of

_SIZE = re.compile(r"[0-9a-f]{4},(\d+)x(\d+),")
_SERVER, _LOCAL, _GLOBAL = "server", "session", "global"
_HINT = "Nothing was stored; the next look tells what is there."


@dataclass(frozen=True, slots=True)
class Request:
    """What to capture, and the word that marks the parts of the answer."""

    session: Session
    look: Look
    private: bool
    """Leave the environment out."""
    mark: str


def request(session: Session, look: Look, private: bool) -> Request:
    """A request with a mark that no captured text can hold."""
    return Request(session, look, private, new_mark())


def capture_script(wanted: Request) -> bytes:
    """Commands that print, each behind a marker line: the server's identity, environments, options."""
    lines = [part(wanted.mark, _SERVER, "display-message", "-p", "#{pid} #{start_time}")]
    if not wanted.private:
        lines.append(part(wanted.mark, _LOCAL, "show-environment", "-s", "-t", wanted.session.id))
        lines.append(part(wanted.mark, _GLOBAL, "show-environment", "-g", "-s"))
    lines.extend(part(wanted.mark, key, *words) for key, words in details_commands(wanted.session).items())
    return script(*lines, mark_line(wanted.mark, END))


def read_capture(raw: bytes, wanted: Request, texts: Texts, *, taken: float, cwd: str) -> Capture:
    """The answer to :func:`capture_script`. ``taken`` is wall seconds, ``cwd`` the server's own folder.

    Raises:
        TmuxUnknown: the answer is not whole, as from a server that died meanwhile.
        Temporary: another server has answered.
    """
    parts = read_parts(raw, wanted.mark)
    server = wanted.look.server
    if END not in parts or server is None:
        raise TmuxUnknown("the capture was cut off", hint=_HINT)
    if parts[_SERVER].split() != [str(server.pid).encode(), str(server.started).encode()]:
        raise Temporary("the capture came from another tmux server than the look", hint=_HINT)
    width, height = _size(wanted.session)
    try:
        settings, details = read_settings(parts), read_details(parts, wanted.session, wanted.look)
    except ValueError as error:
        raise TmuxUnknown(str(error), hint=_HINT) from error
    image = image_of(
        wanted.session,
        width=width,
        height=height,
        environment=tuple(sorted(_environment(parts.get(_LOCAL, b"")).items())),
        origin=ServerOrigin(
            environment=tuple(
                sorted((k, v) for k, v in _environment(parts.get(_GLOBAL, b"")).items() if v is not None)
            ),
            cwd=cwd,
            config_files=wanted.look.config_files,
            settings=settings,
        ),
        scrollbacks=texts.by_pane,
        details=details,
    )
    return Capture(
        image=image,
        instance=f"{server}/{wanted.session.id}",
        taken=taken,
        manifests=texts.manifests,
        pieces=texts.pieces,
    )


def _environment(raw: bytes) -> dict[str, str | None]:
    try:
        return read_environment(raw.decode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise TmuxUnknown(str(error), hint=_HINT) from error


def _size(session: Session) -> tuple[int, int]:
    """The size of the window that is shown, from its layout: a zoomed pane's own size is the window's."""
    active = next((window for window in session.windows if window.active), session.windows[0])
    match = _SIZE.match(active.layout)
    if match is None:
        raise TmuxUnknown(f"tmux tells a layout without a size: {active.layout!r}", hint=_HINT)
    return int(match[1]), int(match[2])
