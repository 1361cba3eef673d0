"""Whether a failure is certain enough to be acted upon: now, and again at the moment of action.

"It is not there" is said by one answer of tmux, and may be the moment between two lives of a name. It
counts when something else says the same: the end of a process, another boot, or a second look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.decide.detect import Expected
from sidecar.decide.restore import obstacle
from sidecar.model.archive import Order
from sidecar.model.incident import Broken, Exit, Failure, Unit
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.session import Look, Presence, Session

CAME_BACK = Refusal(RefusalReason.STALE, "it was not there at one look, and there at the next")
"""What becomes of a doubt that the second look does not confirm."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A session that a look does not show, and what else is known of it."""

    entry: Expected | None
    look: Look
    exits: Mapping[int, Exit]
    boot_id: str
    missed: float | None
    """Monotonic seconds at which a look had come back without it for the first time; None: never before."""


def certain(failure: Failure, doubt: Doubt) -> bool:
    """Whether this may be diagnosed and acted upon at this look. What is seen broken is certain at once.

    A pane that is gone may be the first one of a window, or of a session, that goes as a whole.
    """
    if any(part.gone for part in failure.broken):
        missed = {one.pane.id for one in doubt.entry.gone} if doubt.entry else set()
        return all(part.pane in missed for part in failure.broken if part.gone)
    if not any(part.unit in (Unit.SESSION, Unit.SERVER) for part in failure.broken):
        return True
    return any(holds(doubt) for holds in _CONCLUSIVE)


def _never_seen(doubt: Doubt) -> bool:
    return doubt.entry is None or not doubt.entry.instance


def _another_boot(doubt: Doubt) -> bool:
    return doubt.entry is not None and not doubt.entry.instance.startswith(f"{doubt.boot_id}/")


def _server_ended(doubt: Doubt) -> bool:
    server = doubt.entry.server if doubt.entry else None
    return server is not None and server.pid in doubt.exits


def _processes_ended(doubt: Doubt) -> bool:
    """All of them: what is left of a session that is closed pane by pane has to be looked at again."""
    session = doubt.entry.session if doubt.entry else None
    panes = list(session.panes()) if session else []
    return bool(panes) and all(pane.pid in doubt.exits for pane in panes)


def _seen_twice(doubt: Doubt) -> bool:
    return doubt.missed is not None and doubt.look.taken >= doubt.missed


_CONCLUSIVE: Sequence[Callable[[Doubt], bool]] = (
    _never_seen,
    _another_boot,
    _server_ended,
    _processes_ended,
    _seen_twice,
)
"""Any of them is enough."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What was broken, and the look by which that is asked again."""

    failure: Failure
    before: Session | None
    """The session with what its broken parts were; None when it is gone."""
    order: Order | None
    """Set when a person has asked for one certain checkpoint."""
    look: Look

    @property
    def live(self) -> Session | None:
        return self.look.find(self.failure.session)


def still_broken(scene: Scene) -> bool:
    """Whether every part is still broken, and by the same break."""
    return all(_still(part, scene) for part in scene.failure.broken)


def _still(part: Broken, scene: Scene) -> bool:
    if scene.order is not None and (scene.order.replaces or part.unit is Unit.WINDOW):
        return _can_be_restored(scene, scene.order)
    return (_pane_gone if part.gone else _STILL[part.unit])(part, scene)


def _out_of_reach(part: Broken, scene: Scene) -> bool:
    return scene.look.presence is Presence.ABSENT


def _gone(part: Broken, scene: Scene) -> bool:
    return scene.look.presence is Presence.ABSENT or scene.live is None


def _window_gone(part: Broken, scene: Scene) -> bool:
    """The session is the same one, and nothing stands where its window was."""
    live, before = scene.live, scene.before
    if live is None or before is None or live.id != before.id:
        return False
    return part.window not in {window.index for window in live.windows}


def _pane_gone(part: Broken, scene: Scene) -> bool:
    """Its window is the same one, the pane is nowhere, and nothing was put into the window since."""
    live, before = scene.live, scene.before
    if live is None or before is None or live.id != before.id or scene.look.pane(part.pane) is not None:
        return False
    was = next((window for window in before.windows if window.index == part.window), None)
    now = next((window for window in live.windows if was is not None and window.id == was.id), None)
    return was is not None and now is not None and {p.id for p in now.panes} <= {p.id for p in was.panes}


def _dead(part: Broken, scene: Scene) -> bool:
    pane = scene.look.pane(part.pane)
    return pane is not None and pane.dead and pane.pid == part.pid


def _without_program(part: Broken, scene: Scene) -> bool:
    pane, before = scene.look.pane(part.pane), scene.before
    was = next((one for one in before.panes() if one.id == part.pane), None) if before else None
    if pane is None or was is None:
        return False
    return pane.pid == was.pid and pane.program is None and not pane.dead


def _can_be_restored(scene: Scene, order: Order) -> bool:
    """A restore into or over a living session: it is the same one, and nothing stands in the way."""
    live, before = scene.live, scene.before
    same = live is not None and before is not None and live.id == before.id
    return same and obstacle(order, scene.look, ()) is None


def _never(part: Broken, scene: Scene) -> bool:
    """No look tells whether a check fails."""
    return False


_STILL: Mapping[Unit, Callable[[Broken, Scene], bool]] = {
    Unit.CHECK: _never,
    Unit.SOCKET: _out_of_reach,
    Unit.TERMINAL: _without_program,
    Unit.PROGRAM: _without_program,
    Unit.PANE: _dead,
    Unit.WINDOW: _window_gone,
    Unit.SESSION: _gone,
    Unit.SERVER: _gone,
}
"""What has to be so at the look before the act, for each unit."""
