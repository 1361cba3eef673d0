"""What only a capture tells of a rebuilt session: options, environment, groups, links, last panes.

Each difference is hard unless an excuse of its field holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from sidecar.decide.compare import SERVER_FIELDS, compare
from sidecar.decide.judge_facts import Facts, Note
from sidecar.model.plan import Difference
from sidecar.model.session import SessionImage

_NOT_SET = "not set"


@dataclass(frozen=True, slots=True)
class _Found:
    """One difference, and what is known around it."""

    difference: Difference
    facts: Facts
    shared: bool
    """It is in a window that other sessions have as well."""


def detail_differences(wanted: SessionImage, found: SessionImage, facts: Facts) -> Iterator[Difference]:
    """Every difference that a look does not show. Nothing where an old checkpoint has no details."""
    if wanted.options is None:
        return
    comparison = compare(wanted, found, DETAILS.keys() | _SERVER)
    facts.compared.update(comparison.compared)
    shared = {f"{window.index}" for window in found.windows if window.link or found.group}
    for difference in comparison.differences:
        noun, _, place = difference.where.partition(" ")
        there = noun in ("window", "pane") and place.partition(".")[0] in shared
        note = _note(f"{noun} {difference.field}", _Found(difference, facts, there))
        yield replace(difference, tolerated=bool(note), note=note)


def _note(field: str, found: _Found) -> Note:
    if field.startswith("server "):
        return "the server's own: one that was there already keeps what it has"
    for name, excuses in DETAILS.items():
        if field == name or field.startswith(f"{name} "):
            return next(filter(None, (excuse(found) for excuse in excuses)), "")
    return ""


def _lives_elsewhere(found: _Found) -> Note:
    return "the window is shared, and its other sessions have gone on" if found.shared else ""


def _drifting(found: _Found) -> Note:
    return found.facts.drifting


def _folder_gone(found: _Found) -> Note:
    gone = found.difference.wanted in found.facts.gone_folders
    return "the folder no longer exists" if gone else ""


def _set_by_programs(found: _Found) -> Note:
    """A user option that has another value; one that is missing was not restored."""
    is_users = found.difference.field.startswith("option @")
    since = found.difference.found != _NOT_SET
    return "an option of programs and scripts, which may have set it since" if is_users and since else ""


def _nobody_attached(found: _Found) -> Note:
    ends = found.difference.field == "option destroy-unattached"
    return "it would end the session as long as nobody is attached" if ends else ""


def _alone(found: _Found) -> Note:
    return "" if found.difference.found else "no other session is there to share with"


def _resumed(found: _Found) -> Note:
    """An agent is started by the command that takes its conversation up again."""
    window, _, pane = found.difference.where.removeprefix("pane ").partition(".")
    resumption = found.facts.resumptions.get((int(window), int(pane)))
    return f"started as `{resumption.line}`: {resumption.reason}" if resumption and resumption.command else ""


def _named_itself(found: _Found) -> Note:
    return "a program has named its window" if found.difference.wanted == "True" else ""


DETAILS: Mapping[str, tuple[Callable[[_Found], Note], ...]] = {
    "session option": (_set_by_programs, _nobody_attached),
    "session environment": (_drifting,),
    "session folder": (_folder_gone, _drifting),
    "session group": (_alone,),
    "window option": (_set_by_programs, _lives_elsewhere),
    "window link": (_alone,),
    "window last": (_drifting,),
    "window automatic rename": (_named_itself, _lives_elsewhere),
    "pane option": (_set_by_programs, _lives_elsewhere),
    "pane last": (_drifting, _lives_elsewhere),
    "pane start command": (_resumed, _lives_elsewhere),
}
"""Each detail, and what excuses a difference in it."""

_SERVER = frozenset(f"server {field}" for field in SERVER_FIELDS)
