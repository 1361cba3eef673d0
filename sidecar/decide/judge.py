"""Whether a recovery did what it was meant to: the live session against the expectation.

A difference is hard unless a tolerance is declared for its field; either way it is named. Says
nothing about when to look: the caller asks again until the verdict holds or its time is up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.decide import layout
from sidecar.decide.judge_details import detail_differences
from sidecar.decide.judge_facts import Facts, Fields, Gap, Note, compared, told
from sidecar.decide.judge_pane import pane_differences
from sidecar.decide.judge_workspace import judge_workspace
from sidecar.model.plan import Difference, Expectation, Verdict
from sidecar.model.session import Look, Presence, SavedWindow, Session, SessionImage, Window


def judge(
    expectation: Expectation, before: Look | None, after: Look, found: SessionImage | None = None
) -> Verdict:
    """Compare. ``before`` is the look that the plan was made from, if there was one.

    It is what names the panes of a session that was only partly broken, so that a pane which a
    person has closed meanwhile is not mistaken for its neighbour. ``found`` is the session as it was
    captured after a rebuild, for what a look does not tell.
    """
    if expectation.apart:
        return Verdict(True)
    if expectation.workspace is not None:
        return judge_workspace(expectation, after)
    facts = Facts.gather(expectation, before, after)
    differences = tuple(_differences(expectation, facts, found))
    holds = all(difference.tolerated for difference in differences)
    return Verdict(holds, differences, dict(facts.compared))


@dataclass(frozen=True, slots=True)
class _Pair:
    """A window as it has to be, and as it is."""

    wanted: SavedWindow
    found: Window
    facts: Facts


def _differences(expectation: Expectation, facts: Facts, found: SessionImage | None) -> Iterator[Difference]:
    image, after = expectation.image, facts.after
    facts.count("server", ("presence",))
    if after.presence is Presence.UNKNOWN or (image is None and after.presence is Presence.ABSENT):
        yield told("server", Gap("present", f"{after.presence}: {after.reason}"))
        return
    yield from _processes(expectation, facts)
    if image is None:
        return
    session = after.find(image.name)
    facts.count("session", ("presence",))
    if session is None:
        yield told(f"session {image.name}", Gap("present", "absent"), "presence")
        return
    yield from _windows(image, session, facts)
    if found is not None:
        yield from detail_differences(image, found, facts)


def _windows(image: SessionImage, session: Session, facts: Facts) -> Iterator[Difference]:
    matched = []
    for wanted in image.windows:
        facts.count("window", ("presence",))
        found = facts.window(session, wanted)
        if found is None:
            yield _missing_window(wanted, facts)
        else:
            matched.append(found.id)
            yield from _window(_Pair(wanted, found, facts))
    for window in session.windows:
        if window.id not in matched:
            yield told(f"window {window.index}", Gap("absent", "present"), "presence", facts.group)


def _processes(expectation: Expectation, facts: Facts) -> Iterator[Difference]:
    """Siblings have to be the same processes, what was replaced another one."""
    now = facts.after.server.pid if facts.after.server else 0
    if facts.another_server or expectation.server not in (0, now):
        yield told("server", Gap("the same server", "another server"), "life")
        return
    for pane, pid in expectation.untouched:
        facts.count("pane", ("process",))
        live = facts.after.pane(pane)
        if live is None:
            yield told(facts.where(pane), Gap(f"pid {pid}", "gone"), "process", "ended by itself")
        elif live.pid != pid or live.dead:
            yield told(facts.where(pane), Gap(f"pid {pid}", _process(live.pid, live.dead)), "process")
    for pane, pid in expectation.replaced:
        facts.count("pane", ("process",))
        live = facts.after.pane(pane)
        if live is None or live.pid == pid or live.dead:
            found = "gone" if live is None else _process(live.pid, live.dead)
            yield told(facts.where(pane), Gap(f"a living process other than {pid}", found), "process")


def _process(pid: int, dead: bool) -> str:
    return f"pid {pid}, dead" if dead else f"pid {pid}"


def _missing_window(wanted: SavedWindow, facts: Facts) -> Difference:
    excused = [facts.excuse(wanted.index, pane.index) for pane in wanted.panes]
    note = excused[0] if excused and all(excused) else facts.group
    return told(f"window {wanted.index}", Gap("present", "absent"), "presence", note)


def _window(pair: _Pair) -> Iterator[Difference]:
    pair.facts.count("window", WINDOW_FIELDS)
    yield from compared(f"window {pair.wanted.index}", pair, WINDOW_FIELDS)
    for pane in pair.wanted.panes:
        yield from pane_differences(pair.wanted, pane, pair.found, pair.facts)


def _name(pair: _Pair) -> Gap | None:
    return Gap.between(pair.wanted.name, pair.found.name)


def _panes(pair: _Pair) -> Gap | None:
    return Gap.between(f"{len(pair.wanted.panes)} panes", f"{len(pair.found.panes)} panes")


def _layout(pair: _Pair) -> Gap | None:
    wanted, found = pair.wanted.layout, pair.found.layout
    return Gap.between(layout.shape(wanted) or wanted, layout.shape(found) or found)


def _zoomed(pair: _Pair) -> Gap | None:
    return Gap.between(str(pair.wanted.zoomed), str(pair.found.zoomed))


def _active(pair: _Pair) -> Gap | None:
    return Gap.between(str(pair.wanted.active), str(pair.found.active))


def _names_itself(pair: _Pair) -> Note:
    return "the window names itself after what runs in it" if pair.wanted.automatic_rename else ""


def _panes_ended(pair: _Pair) -> Note:
    """The count is short by exactly the panes that are excused."""
    place = pair.wanted.index
    excuses = [note for pane in pair.wanted.panes if (note := pair.facts.excuse(place, pane.index))]
    return excuses[0] if excuses and len(pair.found.panes) == len(pair.wanted.panes) - len(excuses) else ""


def _unusable_layout(pair: _Pair) -> Note:
    usable = layout.valid(pair.wanted.layout, len(pair.wanted.panes))
    return "" if usable else "the stored layout cannot be given to tmux"


def _other_size(pair: _Pair) -> Note:
    """Cells follow the size of the client; only the tree is the session's own."""
    wanted, found = layout.parse(pair.wanted.layout), layout.parse(pair.found.layout)
    if wanted is None or found is None or not _same_tree(pair):
        return ""
    if (wanted.width, wanted.height) == (found.width, found.height):
        return ""
    return f"the window is {found.width}x{found.height}, it was {wanted.width}x{wanted.height}"


def _resized_by_others(pair: _Pair) -> Note:
    return pair.facts.drifting if _same_tree(pair) else ""


def _same_tree(pair: _Pair) -> bool:
    wanted = layout.skeleton(pair.wanted.layout)
    return bool(wanted) and wanted == layout.skeleton(pair.found.layout)


def _drifting(pair: _Pair) -> Note:
    return pair.facts.drifting


def _of_the_group(pair: _Pair) -> Note:
    return pair.facts.group


WINDOW_FIELDS: Fields[_Pair] = {
    "name": (_name, (_names_itself, _of_the_group)),
    "panes": (_panes, (_panes_ended, _of_the_group)),
    "layout": (_layout, (_panes_ended, _unusable_layout, _other_size, _resized_by_others, _of_the_group)),
    "zoomed": (_zoomed, (_drifting, _of_the_group)),
    "active": (_active, (_drifting,)),
}
"""Each field of a window: how it is compared, and what excuses a difference."""
