"""A checkpoint as a tmuxp workspace: the same windows, panes, layouts, folders, names and commands.

What the format has no word for (scrollback, titles, zoom) and what is nobody else's business
(environments, secrets in command lines) stays behind. Only what a rule would enter by itself is
entered; every other command line waits for a person.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from sidecar import redact
from sidecar.decide import layout
from sidecar.decide.restore import Resume
from sidecar.decide.shells import command_line, is_shell
from sidecar.formats import literal
from sidecar.model.plan import Entry, Resumption
from sidecar.model.session import Options, SavedPane, SavedWindow, SessionImage

_UNSAFE_IN_SESSION = re.compile(r"[#$:.\x00-\x1f\x7f]|^[~=]")
_VARIABLE = re.compile(r"\$(?=[\w{])", re.ASCII)


def workspace(image: SessionImage, resume: Resume) -> dict[str, Any]:
    """The mapping that ``tmuxp load`` reads, from YAML or JSON."""
    options: dict[str, Any] = {"default-size": f"{image.width}x{image.height}"}
    if image.default_shell:
        options["default-shell"] = image.default_shell
    if image.default_command:
        options["default-command"] = image.default_command
    options.update(_options(image.options or ()))
    return {
        # tmuxp insists on finding the session under the very name that it has asked for.
        "session_name": _UNSAFE_IN_SESSION.sub("_", _written(image.name)),
        "options": options,
        "windows": [_window(image, window, resume) for window in image.windows],
    }


def _window(image: SessionImage, window: SavedWindow, resume: Resume) -> dict[str, Any]:
    body: dict[str, Any] = {"window_name": _format(window.name), "window_index": window.index}
    if layout.valid(window.layout, len(window.panes)):
        body["layout"] = window.layout
    if window.active:
        body["focus"] = True
    after = _options(window.options)
    if window.automatic_rename:
        after["automatic-rename"] = "on"
    if after:
        body["options_after"] = after
    body["panes"] = [
        _pane(pane, resume(pane, window.index, image.default_shell), image.default_shell)
        for pane in window.panes
    ]
    return body


def _options(options: Options) -> dict[str, str]:
    """Those that tmuxp hands on as they are: no lists (hooks are some), nothing that it would expand."""
    return {
        name: value
        for name, value in options
        if value is not None
        and "[" not in name
        and redact.named(name, value) == value
        and _written(value) == value
        and not _VARIABLE.search(value)
        and not value.startswith(("~", "."))
    }


def _pane(pane: SavedPane, resumption: Resumption | None, shell: str) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if pane.cwd:
        body["start_directory"] = _format(pane.cwd)
    if pane.active:
        body["focus"] = True
    command = _start(pane, resumption)
    if command and redact.text(command) == command:
        body["shell"] = command
        body["shell_command"] = []
    elif command:
        body["shell_command"] = [_held(redact.text(command))]
    else:
        body["shell_command"] = _typed(resumption, shell)
    return body


def _start(pane: SavedPane, resumption: Resumption | None) -> str:
    """What the pane was started as, for ``sh -c``; empty for a shell."""
    if resumption is not None and resumption.command:
        return shlex.join(resumption.command)
    if not pane.start_command or is_shell(pane.argv):
        return ""
    if pane.argv:
        return shlex.join(pane.argv)
    words = _split(pane.start_command)
    return words[0] if len(words) == 1 else shlex.join(words)


def _split(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return (command,)


def _typed(resumption: Resumption | None, shell: str) -> list[Mapping[str, Any]]:
    if resumption is None or resumption.entry is Entry.SKIPPED:
        return []
    line = resumption.line
    shown = redact.text(line)
    if shown != line:
        return [_held(shown)]
    if line == command_line(resumption.argv, shell):
        # tmuxp expands variables itself, even between the single quotes that keep them from a shell.
        line = _VARIABLE.sub("$''", line)
    return [{"cmd": line}] if resumption.entry is Entry.TYPED else [_held(line)]


def _held(line: str) -> Mapping[str, Any]:
    return {"cmd": line, "enter": False}


def _format(text: str) -> str:
    """Text that both tmuxp, which expands variables, and tmux, which expands formats, leave as it is."""
    written = _VARIABLE.sub("#{l:$}", literal(_written(text)))
    return f"#{{l:~}}{written[1:]}" if written.startswith("~") else written


def _written(text: str) -> str:
    """Bytes that are no UTF-8 have no place in YAML."""
    return text.encode("utf-8", "replace").decode()
