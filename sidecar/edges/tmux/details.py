"""The part of a capture that is about options: the commands that print them, and what they print. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from functools import lru_cache

from sidecar.edges.tmux.arming import ARMED, KEPT
from sidecar.edges.tmux.options import hook_names, read_bindings, read_hooks, read_options, without
from sidecar.model.session import Details, Look, Options, ServerSettings, Session

_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "server_options": ("show-options", "-s"),
    "session_options": ("show-options", "-g"),
    "session_hooks": ("show-hooks", "-g"),
    "window_options": ("show-options", "-gw"),
    "window_hooks": ("show-hooks", "-gw"),
    "bindings": ("list-keys",),
}
"""What is asked of the server as a whole, by the key of its part in the answer."""
_OUR_HOOK = "wait-for -S tmux-sidecar"
_OUR_COUNT = "@sidecar_touched"
_REMAIN = "remain-on-exit"
_LINK = "@sidecar_link"


def settings_commands() -> Mapping[str, tuple[str, ...]]:
    """The commands whose answers :func:`read_settings` reads, by key."""
    return _SETTINGS


def details_commands(session: Session) -> dict[str, tuple[str, ...]]:
    """The commands whose answers :func:`read_settings` and :func:`read_details` read, by key."""
    return {**_SETTINGS, **local_commands(session)}


def local_commands(session: Session) -> dict[str, tuple[str, ...]]:
    """Those of them that are about the session alone."""
    commands: dict[str, tuple[str, ...]] = {"own": ("show-options", "-H", "-t", session.id)}
    commands["path"] = ("display-message", "-p", "-t", f"{session.id}:", "#{session_path}")
    for window in session.windows:
        commands[_key(window.id)] = ("show-options", "-H", "-w", "-t", window.id)
    for pane in session.panes():
        commands[_key(pane.id)] = ("show-options", "-H", "-p", "-t", pane.id)
    return commands


def read_settings(parts: Mapping[str, bytes]) -> ServerSettings:
    """The settings of the whole server.

    Raises:
        ValueError: a part is not what tmux prints.
    """
    return _read_settings(tuple(parts[key] for key in _SETTINGS))


@lru_cache(maxsize=2)
def _read_settings(answers: tuple[bytes, ...]) -> ServerSettings:
    """The same for every session, and at nearly every capture: read, and kept in memory, once."""
    text = dict(zip(_SETTINGS, map(_text, answers), strict=True))
    return ServerSettings(
        server=read_options(text["server_options"]),
        session=_with_hooks(text["session_options"], text["session_hooks"]),
        window=_with_hooks(text["window_options"], text["window_hooks"]),
        bindings=read_bindings(text["bindings"]),
    )


def read_details(parts: Mapping[str, bytes], session: Session, look: Look) -> Details:
    """The options of the session and of all that is in it, and which windows are shared.

    Raises:
        ValueError: a part is not what tmux prints.
    """
    hooks = hook_names(_text(parts["session_hooks"])) | hook_names(_text(parts["window_hooks"]))
    places = Counter(window.id for each in look.sessions for window in each.windows)
    remains = dict(read_options(_text(parts["window_options"]))).get(_REMAIN)
    windows: dict[str, Options] = {}
    links: dict[str, str] = {}
    for window in session.windows:
        text = _text(parts[_key(window.id)])
        # By the capture's own account: the look before it may be older than the arming.
        armed = bool(_own_word(text, ARMED))
        windows[window.id] = _disarmed(read_options(text, hooks), remains, armed=armed)
        if places[window.id] > 1:
            # The link's word from before a recovery goes on, so that an older checkpoint still fits.
            links[window.id] = _own_word(text, _LINK) or f"{look.server}/{window.id}"
    return Details(
        session=read_options(_text(parts["own"]), hooks),
        windows=windows,
        panes={pane.id: _let_go(_text(parts[_key(pane.id)]), hooks) for pane in session.panes()},
        links=links,
        path=_text(parts["path"]).removesuffix("\n"),
    )


def _with_hooks(options: str, hooks: str) -> Options:
    theirs = (pair for pair in read_hooks(hooks) if not (pair[1] or "").startswith(_OUR_HOOK))
    return tuple(sorted((*read_options(options), *theirs), key=lambda pair: pair[0]))


def _disarmed(options: Options, remains: str | None, *, armed: bool) -> Options:
    """Without what the sidecar itself has set to keep failed panes, which it does only where it was off.

    Off where it is off everywhere is nothing that could be told from that afterwards.
    """
    own = "off" if armed else dict(options).get(_REMAIN)
    rest = without(options, {_REMAIN})
    if own is None or own == remains == "off":
        return rest
    return tuple(sorted((*rest, (_REMAIN, own))))


def _let_go(text: str, hooks: Container[str]) -> Options:
    """The options of a pane, without what the sidecar itself has set to keep it."""
    options = read_options(text, hooks)
    return without(options, {_REMAIN}) if _own_word(text, KEPT) else options


def _own_word(text: str, option: str) -> str:
    """The value of an option of our own among those that were printed; empty if it is not set."""
    prefix = f"{option} "
    return next((line.removeprefix(prefix) for line in text.split("\n") if line.startswith(prefix)), "")


def _key(number: str) -> str:
    """A part's key for a window or pane id."""
    return {"@": "window", "%": "pane"}[number[0]] + number[1:]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
