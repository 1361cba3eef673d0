"""The texts of captures, as the store would give them back, and captures of panes that do not exist."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.edges.tmux.piece import LINES
from sidecar.model.record import Capture
from sidecar.model.scrollback import Manifest, Piece, digest_of
from sidecar.model.session import SavedPane, SavedWindow, SessionImage

_SCREEN = 24


def texts_of(capture: Capture) -> dict[str, bytes]:
    """Whole texts by digest, of a capture that leaves no piece out."""
    return {digest: capture.text(digest) for digest in capture.manifests}


def text_of(capture: Capture, pane: SavedPane) -> bytes:
    return texts_of(capture)[pane.scrollback]


def only_text(capture: Capture) -> bytes:
    (text,) = texts_of(capture).values()
    return text


class Printer:
    """A pane that prints, and its text in the pieces in which a real one's would be captured."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._sealed: list[Piece] = []
        self._fresh: dict[str, bytes] = {}
        self._open: list[bytes] = []

    def print(self, lines: Sequence[bytes]) -> None:
        """Each with its newline."""
        self._open.extend(lines)
        while len(self._open) >= LINES + _SCREEN:
            self._sealed.append(self._piece(self._open[:LINES]))
            del self._open[:LINES]
        kept = self._lines // LINES + 1
        del self._sealed[: max(len(self._sealed) - kept, 0)]

    def take(self) -> tuple[Manifest, dict[str, bytes]]:
        """The manifest, and the pieces that an earlier one did not give."""
        pieces = (*self._sealed, self._piece(self._open))
        fresh, self._fresh = self._fresh, {}
        return Manifest(pieces), fresh

    def _piece(self, lines: Sequence[bytes]) -> Piece:
        text = b"".join(lines)
        self._fresh[digest_of(text)] = text
        return Piece(digest_of(text), len(lines))


def printed(
    printers: Sequence[Printer], taken: float, *, name: str = "web", instance: str = "boot/1/1/$1"
) -> Capture:
    """A session with a window for each of them."""
    manifests: dict[str, Manifest] = {}
    pieces: dict[str, bytes] = {}
    windows = []
    for number, printer in enumerate(printers):
        manifest, fresh = printer.take()
        digest = digest_of(manifest.encode())
        manifests[digest] = manifest
        pieces.update(fresh)
        pane = SavedPane(0, "", "/srv", "", ("/bin/bash", "-l"), ("app",), True, "", digest)
        windows.append(SavedWindow(number, "w", "b25d,80x24,0,0,1", False, not number, False, True, (pane,)))
    image = SessionImage(name, 80, 24, "/bin/bash", "", (), tuple(windows))
    return Capture(image, instance, taken, manifests, pieces)
