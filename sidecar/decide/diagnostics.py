"""What is to be looked at when something has broken, and what comes of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from sidecar.decide.clues import describe_code
from sidecar.decide.detect import NOT_RUNNING, Expected, server_of
from sidecar.model.diagnostics import (
    MOST_PANES,
    Diagnostics,
    Ending,
    Machine,
    PaneFacts,
    PythonStack,
    ServerFacts,
    Subject,
    Tail,
    Tree,
)
from sidecar.model.incident import Broken, Exit, Failure, Unit
from sidecar.model.session import Pane, Session

SERVER = "server"
"""The key of the server among the subjects; a pane's is its id."""
_FOLDERS = 4


@dataclass(frozen=True, slots=True)
class Scene:
    """A failure, as far as there is something to look at."""

    panes: tuple[PaneFacts, ...] = ()
    """What is known of the broken ones without looking."""
    left_out: int = 0
    server: ServerFacts | None = None
    shown: tuple[str, ...] = ()
    """Panes that are there, and have a text."""
    firm: tuple[Subject, ...] = ()
    """Those that run and may be ended: they are looked at first."""
    others: tuple[Subject, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """The memory groups of what has ended."""
        endings = [one.ending for one in self.panes]
        endings += [self.server.ending] if self.server is not None else []
        return tuple(dict.fromkeys(one.group for one in endings if one is not None and one.group))


def scene_of(
    failure: Failure,
    before: Session | None,
    expected: Mapping[str, Expected],
    exits: Mapping[int, Exit],
) -> Scene:
    """What there is to look at; ``before`` is the session as it was, while anything of it is there."""
    there = {pane.id: pane for pane in before.panes()} if before is not None else {}
    parts = [part for part in failure.broken if part.pane]
    known = list(islice((_pane(part, there.get(part.pane), exits) for part in parts), MOST_PANES))
    subjects = tuple(_subjects(parts[: len(known)], there, exits))
    server = _server(failure, expected, exits)
    if server is not None:
        alive = server.ending is None
        subjects = (Subject(SERVER, server.pid, whole=False, firm=alive), *subjects) if alive else subjects
    return Scene(
        panes=tuple(known),
        left_out=len(parts) - len(known),
        server=server,
        shown=tuple(one.pane for one in known if one.pane in there),
        firm=tuple(one for one in subjects if one.firm),
        others=tuple(one for one in subjects if not one.firm),
        folders=tuple(islice(_folders(known, there), _FOLDERS)),
    )


def composed(
    scene: Scene,
    taken: float,
    waited: float,
    tails: Mapping[str, Tail],
    trees: Mapping[str, Tree],
    stacks: Sequence[PythonStack],
    machine: Machine | None,
    missing: Sequence[str],
) -> Diagnostics:
    """What was known and what was seen, together."""
    server = scene.server
    if server is not None:
        seen = trees.get(SERVER, Tree()).processes
        server = replace(server, process=seen[0] if seen else None)
    return Diagnostics(
        taken=taken,
        seconds=waited,
        panes=tuple(
            _seen(one, tails.get(one.pane), trees.get(one.pane, Tree()), stacks) for one in scene.panes
        ),
        panes_left_out=scene.left_out,
        server=server,
        machine=machine,
        missing=tuple(dict.fromkeys(missing)),
    )


def _pane(part: Broken, pane: Pane | None, exits: Mapping[int, Exit]) -> PaneFacts:
    own = pane.pid if pane is not None else part.pid
    told = exits.get(part.pid)
    ending = None
    if told is not None:
        ending = Ending(part.pid, told.code, describe_code(told.code), told.source, told.group)
    elif part.code is not None or (pane is not None and pane.dead):
        code = part.code if part.code is not None else pane.dead_status if pane is not None else None
        ending = Ending(part.pid, code, describe_code(code), "none" if code is None else "tmux")
    return PaneFacts(part.pane, own, subject=0 if part.pid == own else part.pid, ending=ending)


def _subjects(
    parts: Sequence[Broken], there: Mapping[str, Pane], exits: Mapping[int, Exit]
) -> Iterator[Subject]:
    for part in parts:
        pane = there.get(part.pane)
        pid = pane.pid if pane is not None else part.pid
        if pid:
            yield Subject(part.pane, pid, firm=_may_be_ended(part, pane, exits))


def _may_be_ended(part: Broken, pane: Pane | None, exits: Mapping[int, Exit]) -> bool:
    """Whether it is about a program that lives, which a step may end."""
    lives = part.pid != NOT_RUNNING and part.pid not in exits and part.code is None
    there = pane is not None and not pane.dead
    return lives and there and (part.started != 0 or part.unit is Unit.CHECK)


def _server(
    failure: Failure, expected: Mapping[str, Expected], exits: Mapping[int, Exit]
) -> ServerFacts | None:
    """The server, where it is more than one session's own parts that are broken."""
    if failure.unit not in (Unit.SESSION, Unit.SERVER, Unit.SOCKET):
        return None
    entries = [expected[failure.session]] if failure.session in expected else list(expected.values())
    pid = next((pid for one in entries if (pid := server_of(one.instance))), 0)
    if not pid:
        return None
    told = exits.get(pid)
    ending = Ending(pid, told.code, describe_code(told.code), told.source, told.group) if told else None
    return ServerFacts(pid, ending)


def _seen(pane: PaneFacts, tail: Tail | None, tree: Tree, stacks: Sequence[PythonStack]) -> PaneFacts:
    own = {one.pid for one in tree.processes}
    return replace(pane, tail=tail, tree=tree, stacks=tuple(one for one in stacks if one.pid in own))


def _folders(panes: Sequence[PaneFacts], there: Mapping[str, Pane]) -> dict[str, None]:
    """Where they are, each folder once."""
    return dict.fromkeys(there[one.pane].cwd for one in panes if one.pane in there and there[one.pane].cwd)
