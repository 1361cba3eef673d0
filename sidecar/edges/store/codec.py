"""A session image as JSON, and back. JSON and never pickle: reading it runs nothing.

ASCII only, so that argument vectors with undecodable bytes (lone surrogates) survive. A server's
settings are the bulk of it (every key binding), and are the same in most generations: packed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from functools import lru_cache
from typing import Any

from sidecar.errors import CheckpointUnusable
from sidecar.model.session import (
    Options,
    SavedPane,
    SavedWindow,
    ServerOrigin,
    ServerSettings,
    SessionImage,
)

VERSION = 2
_READABLE = (1, VERSION)
"""Version 1 knew no options, links, groups or last panes."""
_LARGEST_SETTINGS = 1 << 24
"""Bytes; far above any real configuration, far below what would exhaust the memory."""


def encode(image: SessionImage) -> str:
    """The one text of an image; equal images have equal texts."""
    body = {
        "version": VERSION,
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "default_shell": image.default_shell,
        "default_command": image.default_command,
        "environment": _options_out(image.environment),
        "origin": {
            "environment": [list(pair) for pair in image.origin.environment],
            "cwd": image.origin.cwd,
            "config_files": image.origin.config_files,
            "settings": _settings_out(image.origin.settings),
        },
        "options": None if image.options is None else _options_out(image.options),
        "group": image.group,
        "path": image.path,
        "windows": [_window_out(window) for window in image.windows],
    }
    return _dense(body)


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
        if body["version"] not in _READABLE:
            raise CheckpointUnusable(f"checkpoint format {body['version']} is not known here")
        options = body.get("options")
        return SessionImage(
            name=_text(body["name"]),
            width=_number(body["width"]),
            height=_number(body["height"]),
            default_shell=_text(body["default_shell"]),
            default_command=_text(body["default_command"]),
            environment=_options_in(body["environment"]),
            windows=tuple(_window_in(window) for window in body["windows"]),
            origin=ServerOrigin(
                environment=tuple((_text(k), _text(v)) for k, v in body["origin"]["environment"]),
                cwd=_text(body["origin"]["cwd"]),
                config_files=_text(body["origin"]["config_files"]),
                settings=_settings_in(body["origin"].get("settings", "")),
            ),
            options=None if options is None else _options_in(options),
            group=_text(body.get("group", "")),
            path=_text(body.get("path", "")),
        )
    except (AttributeError, KeyError, TypeError, ValueError, zlib.error) as error:
        raise CheckpointUnusable(f"the checkpoint does not parse: {error!r}") from error


def _dense(body: Any) -> str:
    return json.dumps(body, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=2)
def _settings_out(settings: ServerSettings) -> str:
    """Empty for empty settings. Of all that is stored it takes the longest to pack, and changes least."""
    if settings == ServerSettings():
        return ""
    body = {
        "server": _options_out(settings.server),
        "session": _options_out(settings.session),
        "window": _options_out(settings.window),
        "bindings": list(settings.bindings),
    }
    return base64.b64encode(zlib.compress(_dense(body).encode("ascii"), 6)).decode("ascii")


def _settings_in(text: Any) -> ServerSettings:
    if not _text(text):
        return ServerSettings()
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(base64.b64decode(text, validate=True), _LARGEST_SETTINGS)
    if not unpacker.eof:
        raise ValueError("the server's settings are cut off or too large")
    body = json.loads(raw)
    return ServerSettings(
        server=_options_in(body["server"]),
        session=_options_in(body["session"]),
        window=_options_in(body["window"]),
        bindings=tuple(_text(line) for line in body["bindings"]),
    )


def _options_out(options: Options) -> list[list[str | None]]:
    return [list(pair) for pair in options]


def _options_in(body: Any) -> Options:
    return tuple((_text(name), None if value is None else _text(value)) for name, value in body)


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
        "options": _options_out(window.options),
        "link": window.link,
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
        "last": pane.last,
        "options": _options_out(pane.options),
        **({"conversation": pane.conversation} if pane.conversation else {}),
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
        options=_options_in(body.get("options", ())),
        link=_text(body.get("link", "")),
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
        last=bool(body.get("last", False)),
        options=_options_in(body.get("options", ())),
        conversation=_text(body.get("conversation", "")),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a number")
    return value
