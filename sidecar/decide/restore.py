"""A restore that a person asks for: what stands in its way, and what exactly is built.

A living session, a window that is there and a name that is taken are never in doubt: they stay,
unless the person has said that the session is to be replaced.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from sidecar.decide.shells import is_shell
from sidecar.model.archive import Order, RestoreRequest
from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Entry, Expectation, Refusal, RefusalReason, Resumption, Step, StepKind
from sidecar.model.session import (
    Checkpoint,
    Look,
    Presence,
    SavedPane,
    SavedWindow,
    Session,
    SessionImage,
    image_of,
)

Resume = Callable[[SavedPane, int, str], Resumption | None]
"""(pane, window index, shell) -> how its program comes back."""

_NAME = re.compile(r"[^:.\x00-\x1f\x7f]{1,200}")


def fault(request: RestoreRequest) -> str:
    """What is wrong with the request itself; empty if nothing is."""
    if request.name and not _NAME.fullmatch(request.name):
        return f"{request.name!r} is no session name: those have no colon, no full stop, no control character"
    if request.window is not None and request.name:
        return "one window goes into its own session, so it cannot have another name as well"
    if request.window is not None and request.replaces:
        return "only a whole session can be replaced; a window that is there has to be closed first"
    if request.name and request.replaces:
        return "a session under another name stands beside the living one, so nothing is replaced"
    return ""


def order_of(request: RestoreRequest, checkpoint: Checkpoint, look: Look) -> Order:
    """What is to be built.

    A copy beside the living session starts nothing a second time. A copy or a single window stands
    by itself: it shares no windows with other sessions, whatever it once did.
    """
    lives = look.find(checkpoint.session) is not None
    name = request.name or checkpoint.session
    beside = lives and name != checkpoint.session
    image = checkpoint.image
    if name != checkpoint.session or request.window is not None:
        windows = tuple(replace(window, link="") for window in image.windows)
        image = replace(image, name=name, group="", windows=windows)
    if beside:
        image = _with_shells(image)
    return Order(replace(checkpoint, image=image), request.window, request.replaces, holds=beside)


def obstacle(order: Order, look: Look, expected: Collection[str]) -> Refusal | None:
    """Why it cannot be done now; None if nothing stands in its way.

    ``expected`` are the names of the sessions that have to be there, living or lost.
    """
    name, origin = order.checkpoint.image.name, order.checkpoint.session
    if look.presence is Presence.UNKNOWN:
        return server_unknown(look)
    live = look.find(name) if look.presence is Presence.PRESENT else None
    if name != origin:
        return _beside(name, live, expected)
    if order.window is not None:
        return _window(order, name, order.window, live)
    if order.replaces and live is None:
        return Refusal(
            RefusalReason.STALE, f"{name} is not there, so nothing is replaced", hint="Leave --replace out."
        )
    if live is not None and not order.replaces:
        return Refusal(
            RefusalReason.OCCUPIED,
            f"{name} lives, and a living session is not restored over",
            hint="Build it beside with --as NAME; or put it in its place with --replace, which takes a "
            "checkpoint of the present state first.",
        )
    return None


def server_unknown(look: Look) -> Refusal:
    """Nothing is concluded from silence."""
    return Refusal(
        RefusalReason.SERVER_UNKNOWN,
        f"tmux gives no usable answer: {look.reason}",
        hint="Nothing is done until it does.",
        retry_after=5.0,
    )


def finding_of(order: Order, look: Look, words: str) -> Finding:
    """The request as a finding: the only evidence is that a person asked."""
    name = order.checkpoint.image.name
    part = Broken(Unit.SESSION) if order.window is None else Broken(Unit.WINDOW, window=order.window)
    failure = Failure(name, FailureKind.REQUESTED, (part,), look.taken)
    return Finding(
        failure,
        Cause.REPORTED,
        Intent.UNKNOWN,
        (Evidence("operator", words),),
        f"{name}@{look.taken:.6f}",
    )


def held(resumption: Resumption | None, why: str) -> Resumption | None:
    """The same line, for a person to enter."""
    if resumption is None or resumption.entry is not Entry.TYPED:
        return resumption
    reason = f"{resumption.reason}; not entered, because {why}"
    return replace(resumption, entry=Entry.HELD, reason=reason)


def window_plan(
    order: Order, session: Session, resume: Resume, missing: tuple[str, ...]
) -> tuple[tuple[Step, ...], Expectation]:
    """One window into a living session, whose own windows stay as they are."""
    wanted = window_of(order.checkpoint.image, order.window)
    assert wanted is not None
    resumptions = tuple(
        resumption
        for pane in wanted.panes
        if (resumption := resume(pane, wanted.index, order.checkpoint.image.default_shell)) is not None
    )
    image = image_of(session, width=0, height=0)
    windows = (*image.windows, replace(wanted, active=False, last=False))
    expectation = Expectation(
        image=replace(image, windows=tuple(sorted(windows, key=lambda window: window.index))),
        resumptions=resumptions,
        untouched=tuple((pane.id, pane.pid) for pane in session.panes() if not pane.dead),
        tolerated_cwd=missing,
    )
    steps = (Step(StepKind.SAVE), Step(StepKind.REBUILD_WINDOW, window=wanted.index))
    return with_programs(steps, resumptions), expectation


def with_programs(steps: tuple[Step, ...], resumptions: Sequence[Resumption]) -> tuple[Step, ...]:
    """The steps, and another one where there are programs to bring back."""
    idle = all(each.entry is Entry.SKIPPED for each in resumptions)
    return steps if idle else (*steps, Step(StepKind.START_PROGRAMS))


def window_of(image: SessionImage, index: int | None) -> SavedWindow | None:
    """The window of this index."""
    return next((window for window in image.windows if window.index == index), None)


def _beside(name: str, live: Session | None, expected: Collection[str]) -> Refusal | None:
    if live is not None or name in expected:
        state = "is there" if live is not None else "is expected to be there"
        return Refusal(
            RefusalReason.OCCUPIED, f"a session named {name} {state}", hint="Choose a name that is free."
        )
    return None


def _window(order: Order, name: str, index: int, live: Session | None) -> Refusal | None:
    image = order.checkpoint.image
    if window_of(image, index) is None:
        held_indexes = ", ".join(str(window.index) for window in image.windows)
        return Refusal(
            RefusalReason.NO_CHECKPOINT,
            f"checkpoint {order.checkpoint.id} has no window {index}",
            hint=f"It has {held_indexes}.",
        )
    if live is None:
        return Refusal(
            RefusalReason.STALE,
            f"{name} is not there, so no window can be brought back into it",
            hint="Leave --window out: the whole session comes back.",
        )
    if any(window.index == index for window in live.windows):
        return Refusal(
            RefusalReason.OCCUPIED,
            f"window {index} of {name} is there, and a window that is there is not replaced",
            hint="Close or move it first, or see the old one beside with --as NAME.",
        )
    return None


def _with_shells(image: SessionImage) -> SessionImage:
    """The same panes, all of them shells: what was started as a command waits to be entered."""
    windows = tuple(
        replace(window, panes=tuple(_as_shell(pane) for pane in window.panes)) for window in image.windows
    )
    return replace(image, windows=windows)


def _as_shell(pane: SavedPane) -> SavedPane:
    if not pane.start_command or is_shell(pane.argv):
        return pane
    return replace(pane, start_command="", argv=(), program=pane.argv or _split(pane.start_command))


def _split(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return (command,)
