"""Whether a rehearsed checkpoint came back: what stood on the stage against what was to stand there.

Stricter than the verdict on a recovery. On the stage nobody is attached, no program sets a title,
and a layout that tmux cannot be given is a fault of the checkpoint and not of the moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sidecar.decide import layout
from sidecar.decide.compare import compare
from sidecar.decide.judge import judge
from sidecar.decide.judge_details import DETAILS
from sidecar.decide.judge_facts import Gap, told
from sidecar.model.plan import Difference, Expectation, Verdict
from sidecar.model.record import Capture
from sidecar.model.session import Look, SavedPane, SavedWindow, SessionImage

_NOT_INK = re.compile(rb"\x1b\[[0-9;:]*m|\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)|[\s\x0e\x0f]+")
"""Colours, links, character sets and all blanks: where lines wrap is the layout's business."""

_CAPTURED = DETAILS.keys() - {"window link"}
"""What only a capture tells; not the links, since the other sessions are not there."""


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be played."""

    image: SessionImage
    """The stand-in image."""
    missing_folders: tuple[str, ...]
    """Working folders that no longer exist."""
    texts: Mapping[str, bytes]
    """Excerpts of the scrollback by the digest of the whole."""
    lost: frozenset[str]
    """Digests of scrollback that the store does not have, or not as it was."""


def expectation(script: Script) -> Expectation:
    """What :func:`sidecar.decide.judge.judge` has to find on the stage."""
    return Expectation(script.image, tolerated_cwd=script.missing_folders)


def flaws(script: Script) -> tuple[Difference, ...]:
    """What is wrong with the checkpoint before anything is built: layouts and lost texts."""
    return (*_unusable_layouts(script.image), *_lost_texts(script))


def shape_verdict(script: Script, look: Look) -> Verdict:
    """The session's form alone, while programs and texts are still on their way."""
    return summed_up(
        replace(one, tolerated=False, note="") if one.field == "title" else one
        for one in judge(expectation(script), None, look).differences
    )


def verdict(script: Script, look: Look, found: Capture) -> Verdict:
    """Everything on the stage: the form, what only a capture tells, and the texts."""
    return summed_up(
        (
            *shape_verdict(script, look).differences,
            *_captured(script, found.image),
            *_texts(script, found),
        )
    )


def refused(session: str, complaint: str) -> Verdict:
    """tmux would not build it, or died of it."""
    return summed_up((told(f"session {session}", Gap("rebuilt", complaint), "rebuild"),))


def ink(text: bytes) -> bytes:
    """What a text says, whatever its colours and wherever its lines break."""
    return _NOT_INK.sub(b"", text)


def summed_up(differences: Iterable[Difference]) -> Verdict:
    """The verdict that follows from all these differences; those that are not tolerated come first."""
    ordered = tuple(sorted(differences, key=lambda difference: difference.tolerated))
    return Verdict(all(difference.tolerated for difference in ordered), ordered)


def _unusable_layouts(image: SessionImage) -> Iterator[Difference]:
    for window in image.windows:
        if not layout.valid(window.layout, len(window.panes)):
            gap = Gap(window.layout, f"no layout for {len(window.panes)} panes")
            yield told(f"window {window.index}", gap, "stored layout")


def _lost_texts(script: Script) -> Iterator[Difference]:
    for window, pane in _panes(script.image):
        if pane.scrollback in script.lost:
            yield told(_where(window, pane), Gap("as stored", "missing or damaged"), "scrollback")


def _captured(script: Script, found: SessionImage) -> Iterator[Difference]:
    excused = ("", *script.missing_folders)
    for one in compare(script.image, found, _CAPTURED).differences:
        gone = one.field == "folder" and one.wanted in excused
        yield replace(one, tolerated=gone, note="there is no such folder any more" if gone else "")


def _texts(script: Script, found: Capture) -> Iterator[Difference]:
    there = {(window.index, pane.index): pane for window, pane in _panes(found.image)}
    for window, pane in _panes(script.image):
        played = there.get((window.index, pane.index))
        if pane.scrollback in script.texts and played is not None:
            gap = _text_gap(script.texts[pane.scrollback], found.text(played.scrollback))
            if gap is not None:
                yield told(_where(window, pane), gap, "scrollback")


def _text_gap(wanted: bytes, found: bytes) -> Gap | None:
    """Counts only: the text itself may hold secrets."""
    before, after = ink(wanted), ink(found)
    if before == after:
        return None
    return Gap(f"{len(before)} bytes of text", f"{len(after)} bytes of text, not the same")


def _where(window: SavedWindow, pane: SavedPane) -> str:
    return f"pane {window.index}.{pane.index}"


def _panes(image: SessionImage) -> Iterator[tuple[SavedWindow, SavedPane]]:
    return ((window, pane) for window in image.windows for pane in window.panes)
