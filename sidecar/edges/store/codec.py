"""A session image as JSON, and back. JSON and never pickle: reading it runs nothing.

ASCII only, so that argument vectors with undecodable bytes (lone surrogates) survive.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sidecar.errors import CheckpointUnusable
from sidecar.model.session import SavedPane, SavedWindow, ServerOrigin, SessionImage

VERSION = 1


def encode(image: SessionImage) -> str:
    """The one text of an image; equal images have equal texts."""
    body = {
        "version": VERSION,
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "default_shell": image.default_shell,
        "default_command": image.default_command,
        "environment": [list(pair) for pair in image.environment],
        "origin": {
            "environment": [list(pair) for pair in image.origin.environment],
            "cwd": image.origin.cwd,
            "config_files": image.origin.config_files,
        },
        "windows": [_window_out(window) for window in image.windows],
    }
    return json.dumps(body, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def checksum(text: str) -> str:
    """SHA-256 of the stored bytes, in hex."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def decode(text: str) -> SessionImage:
    """The image of a stored text.

    Raises:
        CheckpointUnusable: the text is not one of ours.
    """
    try:
        body = json.loads(text)
        if body["version"] != VERSION:
            raise CheckpointUnusable(f"checkpoint format {body['version']} is not known here")
        return SessionImage(
            name=_text(body["name"]),
            width=_number(body["width"]),
            height=_number(body["height"]),
            default_shell=_text(body["default_shell"]),
            default_command=_text(body["default_command"]),
            environment=tuple((_text(k), None if v is None else _text(v)) for k, v in body["environment"]),
            windows=tuple(_window_in(window) for window in body["windows"]),
            origin=ServerOrigin(
                environment=tuple((_text(k), _text(v)) for k, v in body["origin"]["environment"]),
                cwd=_text(body["origin"]["cwd"]),
                config_files=_text(body["origin"]["config_files"]),
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointUnusable(f"the checkpoint does not parse: {error!r}") from error


def _window_out(window: SavedWindow) -> dict[str, Any]:
    return {
        "index": window.index,
        "name": window.name,
        "layout": window.layout,
        "zoomed": window.zoomed,
        "active": window.active,
        "last": window.last,
        "automatic_rename": window.automatic_rename,
        "panes": [_pane_out(pane) for pane in window.panes],
    }


def _pane_out(pane: SavedPane) -> dict[str, Any]:
    return {
        "index": pane.index,
        "title": pane.title,
        "cwd": pane.cwd,
        "start_command": pane.start_command,
        "argv": list(pane.argv),
        "program": list(pane.program),
        "active": pane.active,
        "resume": pane.resume,
        "scrollback": pane.scrollback,
    }


def _window_in(body: dict[str, Any]) -> SavedWindow:
    return SavedWindow(
        index=_number(body["index"]),
        name=_text(body["name"]),
        layout=_text(body["layout"]),
        zoomed=bool(body["zoomed"]),
        active=bool(body["active"]),
        last=bool(body["last"]),
        automatic_rename=bool(body["automatic_rename"]),
        panes=tuple(_pane_in(pane) for pane in body["panes"]),
    )


def _pane_in(body: dict[str, Any]) -> SavedPane:
    return SavedPane(
        index=_number(body["index"]),
        title=_text(body["title"]),
        cwd=_text(body["cwd"]),
        start_command=_text(body["start_command"]),
        argv=tuple(_text(word) for word in body["argv"]),
        program=tuple(_text(word) for word in body["program"]),
        active=bool(body["active"]),
        resume=_text(body["resume"]),
        scrollback=_text(body["scrollback"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a number")
    return value
