"""Steps that end a program, where a rule allows it: asked to stop at first, ended at last."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from sidecar.errors import Permanent, SidecarError, Temporary
from sidecar.flow.surgery import Surgery
from sidecar.model.plan import Step
from sidecar.model.running import ProcessState, Sending
from sidecar.model.session import Window
from sidecar.model.supervise import Stop

_GRACE = 10.0
"""Seconds in which a program that was interrupted may put things in order and end."""
_TERMINATION = 5.0
"""The same for one that was told to end."""
_DEATH = 5.0
_POLL = 0.05
_LOOKS = 40
"""At a shell that has to take its terminal back, which is a matter of milliseconds."""


async def interrupt(surgery: Surgery, step: Step) -> None:
    """SIGINT to what is in front, as Ctrl-C does. It may end, or only stop what it did: both are well."""
    state = _in_front(surgery, step)
    if state is None:
        if surgery.progress.again and _is_pane(surgery, step):
            # Ended by an attempt that was cut off before it could say so.
            await _keep_no_longer(surgery, _window(surgery, step.pane))
        return
    own = state.pid == state.session
    async with _kept(surgery, step.pane) if own else contextlib.nullcontext():
        await _send(surgery, state, Sending.INTERRUPT)
        await _ended(surgery, state, _GRACE)


async def end(surgery: Surgery, step: Step) -> None:
    """Ask it to end, as its rule says or by SIGTERM, and SIGKILL if that is not enough."""
    await _back_in_front(surgery, step)
    state = _in_front(surgery, step)
    if state is None:
        return
    own = state.pid == state.session
    # A pane's own process that ends well may take its pane along, and is asked only where a rule wants it so.
    if (step.stop is not None or not own) and await _asked_to_end(surgery, state, step, own=own):
        return
    await _send(surgery, state, Sending.KILL)
    if not await _ended(surgery, state, _DEATH):
        raise Temporary(
            f"process {state.pid} does not end, not even by SIGKILL",
            hint="It waits for the kernel (state D): a disk or a network file system may hang.",
        )


async def _asked_to_end(surgery: Surgery, state: ProcessState, step: Step, *, own: bool) -> bool:
    """Whether it has ended in the time that it has for it."""
    stop = step.stop or Stop(Sending.TERMINATE, _TERMINATION)
    async with _kept(surgery, step.pane) if own else contextlib.nullcontext():
        await _send(surgery, state, stop.signal)
        ended = await _ended(surgery, state, stop.timeout)
        if ended and own:
            await _shown_dead(surgery, step.pane)
    return ended


async def _shown_dead(surgery: Surgery, pane: str) -> None:
    """Until then tmux may still close the pane, should it no longer be asked to keep it."""
    deadline = surgery.clock.monotonic() + _DEATH
    while surgery.clock.monotonic() < deadline:
        found = (await surgery.tmux.look()).pane(pane)
        if found is None or found.dead:
            return
        await surgery.clock.sleep(_POLL)


def runs_on(surgery: Surgery, step: Step) -> bool:
    """Whether a step is not needed, because the process that it would replace lives on."""
    return bool(step.unless) and surgery.host.stopped.state(step.unless) is not None


def _in_front(surgery: Surgery, step: Step) -> ProcessState | None:
    """What is to be signalled; None if it has ended.

    Raises:
        Permanent: it is not what has the terminal, so it is somebody else's business by now.
    """
    state = surgery.host.stopped.state(step.pid)
    if state is None or (step.started and state.started != step.started):
        return None
    if state.group != state.front:
        raise Permanent(
            f"process {step.pid} does not have the terminal of {step.pane} any more",
            hint="Somebody acted meanwhile; nothing was done to it.",
        )
    return state


async def _back_in_front(surgery: Surgery, step: Step) -> None:
    """A shell takes its terminal back a moment after what ran in front of it was ended."""
    for _ in range(_LOOKS):
        state = surgery.host.stopped.state(step.pid)
        if state is None or state.group == state.front or state.pid != state.session:
            return
        await surgery.clock.sleep(_POLL)


async def _send(surgery: Surgery, state: ProcessState, what: Sending) -> None:
    if not await surgery.host.stopped.send_to_group(state, what):
        raise Permanent(
            f"process {state.pid} cannot be signalled", hint="It may run as another user, or have ended."
        )


async def _ended(surgery: Surgery, state: ProcessState, seconds: float) -> bool:
    deadline = surgery.clock.monotonic() + seconds
    while state.same(surgery.host.stopped.state(state.pid)):
        if surgery.clock.monotonic() >= deadline:
            return False
        await surgery.clock.sleep(_POLL)
    return True


@contextlib.asynccontextmanager
async def _kept(surgery: Surgery, pane: str) -> AsyncIterator[None]:
    """The pane stays also if its process ends well, so that it can be started again where it was."""
    window = _window(surgery, pane)
    await surgery.tmux.set_options(window.id, (("remain-on-exit", "on"),))
    try:
        yield
    finally:
        await _keep_no_longer(surgery, window)


async def _keep_no_longer(surgery: Surgery, window: Window) -> None:
    # Should tmux not answer now, the next look finds the pane kept, which harms nothing.
    with contextlib.suppress(SidecarError):
        await surgery.tmux.set_options(window.id, (("remain-on-exit", window.remain_on_exit),))


def _window(surgery: Surgery, pane: str) -> Window:
    return next(w for w in surgery.living.windows if any(one.id == pane for one in w.panes))


def _is_pane(surgery: Surgery, step: Step) -> bool:
    """Whether it is about a pane's own process, and not about a program in front of its shell."""
    return any((one.id, one.pid) == (step.pane, step.pid) for one in surgery.living.panes())
