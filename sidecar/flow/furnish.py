"""What is done in a declared session once it stands: command lines are typed, the last options set.

Pane after pane where the file has pauses, as tmuxp does: one in a pane makes the next ones wait. Without
any, nothing tells the order apart, and the shells are waited for together. A pane that cannot be typed
into does not keep the others from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

from sidecar.decide.workspace import pair
from sidecar.errors import Permanent, SidecarError, Temporary
from sidecar.flow.ports import Tmux
from sidecar.model.session import Session
from sidecar.model.workspace import Command, Workspace

Work = Callable[[], Awaitable[None]]

_AT_ONCE = 16
"""Panes that are typed into at the same time."""


async def furnish(
    tmux: Tmux, workspace: Workspace, session: Session, typed: Mapping[str, int], mark: str
) -> None:
    """Type and set everything that can be.

    ``typed`` tells, by pane, how many lines have been typed already under this ``mark``.

    Raises:
        Temporary: some panes could not be typed into just now; nothing has been typed into those.
        Permanent: something is half done, or cannot be done.
    """

    async def type_into(pane: str, pid: int, lines: Sequence[Command]) -> None:
        await tmux.type_lines(pane, pid, lines, mark, typed.get(pane, 0))

    windows = [(wanted, found) for wanted, found in pair(workspace, session) if found is not None]
    typing = [
        partial(type_into, live.id, live.pid, pane.commands)
        for wanted, found in windows
        for pane, live in zip(wanted.panes, found.panes, strict=False)
        if len(pane.commands) > typed.get(live.id, 0)
    ]
    troubles = await _troubles(typing, 1 if workspace.pauses else _AT_ONCE)
    options = [
        partial(tmux.set_options, found.id, wanted.options_after)
        for wanted, found in windows
        if wanted.options_after
    ]
    troubles += await _troubles(options, 1)
    if troubles:
        lasting = [trouble for trouble in troubles if not isinstance(trouble, Temporary)]
        first = (lasting or troubles)[0]
        more = f" ({len(troubles)} in all)" if len(troubles) > 1 else ""
        raise (Permanent if lasting else Temporary)(f"{first}{more}", hint=first.hint)


async def _troubles(work: Iterable[Work], at_once: int) -> list[SidecarError]:
    """Do all of it, so much at once, in order; what could not be done."""
    room = asyncio.Semaphore(at_once)

    async def one(task: Work) -> SidecarError | None:
        async with room:
            try:
                await task()
            except SidecarError as error:
                return error
            return None

    return [error for error in await asyncio.gather(*map(one, work)) if error is not None]
