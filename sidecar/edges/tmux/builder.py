"""Building a stored session in a live server, or in a new one where none lives.

All or nothing: what a failed attempt has built is removed again. One at a time, so that five lost
sessions share one new server, and find the windows and groups that they share with each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.folders import Folders
from sidecar.edges.tmux import folders
from sidecar.edges.tmux.furnish import LayoutCheck
from sidecar.edges.tmux.graft import graft_scripts, read_standing, standing_command
from sidecar.edges.tmux.neighbours import NEIGHBOURS_COMMAND, Neighbours, read_neighbours
from sidecar.edges.tmux.newborn import grown, newborn
from sidecar.edges.tmux.rebuild import (
    MANUAL_SIZES,
    Blueprint,
    late_scripts,
    needs_neighbours,
    read_progress,
    rebuild_scripts,
    window_scripts,
)
from sidecar.edges.tmux.run import Answer, TmuxRunner, classify
from sidecar.edges.tmux.scratch import Scratch, remove
from sidecar.edges.tmux.server import find_server
from sidecar.edges.tmux.starts import delays, with_commands
from sidecar.edges.tmux.text import literal, script
from sidecar.edges.tmux.workspace import pane_script, window_script, workspace_script
from sidecar.errors import (
    CheckpointUnusable,
    SidecarError,
    Temporary,
    TmuxAbsent,
    TmuxRefused,
    TmuxUnknown,
)
from sidecar.model.plan import Start
from sidecar.model.session import ServerOrigin, SessionImage
from sidecar.model.workspace import Beside, DeclaredPane, DeclaredWindow, Workspace

_SECONDS = 30.0
"""One line on a busy machine; an ordinary session takes a tenth of one."""
_LOST = "Its next state will tell."


def _new_nonce() -> str:
    return f"sidecar-{secrets.token_hex(8)}"


class Builder:
    """Builds sessions in the server that ``runner`` speaks to."""

    def __init__(
        self,
        runner: TmuxRunner,
        clock: Clock,
        *,
        there: Folders,
        boot_id: str,
        valid_layout: LayoutCheck,
        scratch: Path,
        descriptors: int | None,
    ) -> None:
        """``descriptors`` is the soft limit of open files for a new server; None leaves ours."""
        self._runner = runner
        self._clock = clock
        self._boot_id = boot_id
        self._valid_layout = valid_layout
        self._scratch = Scratch(scratch)
        self._descriptors = descriptors
        self._there = there
        self._one = asyncio.Lock()
        self._grown = False
        """No server that lives was left half born by an earlier run."""

    async def build(
        self,
        image: SessionImage,
        texts: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> str:
        """Build it, with the scrollback ``texts`` by digest, and give its session id.

        It carries the ``mark``: see :mod:`sidecar.edges.tmux.marks`.

        Raises:
            CheckpointUnusable: there is nothing in it to build.
            TmuxRefused: tmux would not build it (the name is taken, for one).
            TmuxUnknown: no answer; the session may or may not be there.
            NoBirthplace: there is no server, and one started from here would not last.
        """
        if not image.windows or not all(window.panes for window in image.windows):
            raise CheckpointUnusable(f"the checkpoint of {image.name!r} has no windows and panes to build")
        async with self._drawn(image, texts, starts, mark) as blueprint:
            return await self._build_somewhere(image.origin, partial(self._build_in_server, blueprint))

    async def build_workspace(self, workspace: Workspace, mark: str = "") -> str:
        """Build a session as it is declared, without its command lines, and give its session id.

        Raises:
            TmuxRefused: tmux would not build it (the name is taken, an option is unknown).
            TmuxUnknown: no answer; the session may or may not be there.
            NoBirthplace: there is no server, and one started from here would not last.
        """
        nonce = _new_nonce()
        workspace = await asyncio.to_thread(folders.declared_existing, workspace, self._there)
        origin = ServerOrigin(cwd=os.path.expanduser("~"))
        line = workspace_script(workspace, nonce, mark)
        async with self._one:
            return await self._build_somewhere(origin, partial(self._run_line, line, nonce))

    async def build_window(
        self,
        session_id: str,
        image: SessionImage,
        texts: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> None:
        """Build the image's one window into a living session, where its index has to be free.

        Raises:
            CheckpointUnusable: there is nothing in it to build.
            TmuxRefused: tmux would not build it (the index is taken, for one); nothing is left of it.
            TmuxAbsent, TmuxUnknown: no server, or no answer; the window may or may not be there.
        """
        if len(image.windows) != 1 or not image.windows[0].panes:
            raise CheckpointUnusable(f"the checkpoint of {image.name!r} has no such window to build")
        async with self._drawn(image, texts, starts, mark) as blueprint:
            await self._build_part(blueprint, *window_scripts(blueprint, session_id))

    async def build_pane(
        self,
        beside: Beside,
        image: SessionImage,
        texts: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> str:
        """Build the image's one pane beside a living one, and give its id.

        Raises:
            TmuxRefused: tmux would not (there is no room, for one); nothing is left of it.
            TmuxAbsent, TmuxUnknown: no server, or no answer; the pane may or may not be there.
        """
        async with self._drawn(image, texts, starts, mark) as blueprint:
            standing = read_standing(await self._runner.call(*standing_command(beside)), beside)
            if standing is None:
                raise TmuxRefused(
                    f"pane {beside.pane} is not in its window any more",
                    hint="Somebody acted meanwhile; nothing was done.",
                )
            return await self._build_part(blueprint, *graft_scripts(blueprint, beside, standing))

    async def build_declared_window(self, session_id: str, index: int, window: DeclaredWindow) -> None:
        """Build one declared window into a living session, where its index has to be free.

        Raises: as :meth:`build_window`.
        """
        nonce = _new_nonce()
        window = await asyncio.to_thread(folders.window_existing, window, self._there)
        async with self._one:
            await self._judge_part(await self._run(window_script(session_id, index, window, nonce)), nonce)

    async def build_declared_pane(self, beside: Beside, pane: DeclaredPane) -> str:
        """Put one declared pane beside a living one, and give its id.

        Raises:
            TmuxRefused: tmux would not (there is no room, for one); nothing is left of it.
            TmuxAbsent, TmuxUnknown: no server, or no answer; the pane may or may not be there.
        """
        nonce = _new_nonce()
        pane = await asyncio.to_thread(folders.pane_existing, pane, self._there)
        async with self._one:
            built = await self._judge_part(await self._run(pane_script(beside, pane, nonce)), nonce)
        if pane.title:
            await self._runner.call("select-pane", "-t", built, "-T", literal(pane.title))
        return built

    @contextlib.asynccontextmanager
    async def _drawn(
        self, image: SessionImage, texts: Mapping[str, bytes], starts: Sequence[Start], mark: str
    ) -> AsyncIterator[Blueprint]:
        """What is to be built, for one builder at a time; its files go again if it is not built."""
        image = with_commands(await asyncio.to_thread(folders.with_existing, image, self._there), starts)
        files = await asyncio.to_thread(self._write, image, texts)
        try:
            async with self._one:
                yield Blueprint(
                    image, files, self._valid_layout, _new_nonce(), delays=delays(starts), mark=mark
                )
        except BaseException:
            await asyncio.to_thread(remove, files.values())
            raise

    async def _build_part(self, blueprint: Blueprint, line: bytes, hooks: bytes) -> str:
        """Build a part of a living session, all or nothing; its hooks come last. Gives its id."""
        built = await self._judge_part(await self._run(line), blueprint.nonce)
        if hooks:
            await self._runner.source(hooks)
        return built

    async def _judge_part(self, answer: Answer, nonce: str) -> str:
        """The id of what was built if the line has run; else remove what there is of it, and say why."""
        progress = read_progress(answer.output, nonce)
        if progress.finished:
            return progress.id
        if progress.id:
            with contextlib.suppress(SidecarError):
                kill = "kill-pane" if progress.id.startswith("%") else "kill-window"
                await self._runner.call(kill, "-t", progress.id)
        error = classify(answer.complaint)
        error.hint = error.hint or "What had been built is removed again."
        raise error

    def _write(self, image: SessionImage, texts: Mapping[str, bytes]) -> dict[str, str]:
        self._scratch.sweep(self._clock.wall())
        return self._scratch.write(image, texts)

    async def _build_somewhere(self, origin: ServerOrigin, build: Callable[[], Awaitable[str]]) -> str:
        with contextlib.suppress(TmuxAbsent):
            await self._take_up_birth(origin)
            return await build()
        pid = await asyncio.to_thread(find_server, self._runner.socket)
        if pid:
            raise Temporary(
                f"the tmux server {pid} lives, but its socket is gone; no second one is started",
                hint=f"It makes the socket again on: kill -USR1 {pid}",
            )
        cwd = await asyncio.to_thread(folders.existing, origin.cwd, self._there)
        async with newborn(self._runner, replace(origin, cwd=cwd), self._descriptors):
            try:
                return await build()
            except TmuxAbsent as error:
                raise TmuxUnknown(f"the new tmux server has ended at once: {error}", hint=_LOST) from error

    async def _take_up_birth(self, origin: ServerOrigin) -> None:
        """An earlier run may have been killed right after it had started the server."""
        if not self._grown:
            await grown(self._runner, origin)
            self._grown = True

    async def _build_in_server(self, blueprint: Blueprint) -> str:
        if needs_neighbours(blueprint.image):
            blueprint = replace(blueprint, neighbours=await self._neighbours())
        try:
            return await self._run_lines(blueprint)
        except SidecarError:
            if blueprint.neighbours.manual_sizes:
                # The line may have ended in between.
                with contextlib.suppress(SidecarError):
                    await self._runner.source(script(MANUAL_SIZES))
            raise

    async def _run_lines(self, blueprint: Blueprint) -> str:
        session_id = ""
        for line in await asyncio.to_thread(rebuild_scripts, blueprint):
            session_id = await self._run_line(line, blueprint.nonce, session_id)
        for line in await asyncio.to_thread(late_scripts, blueprint, session_id):
            answer = await self._run(line)
            if not read_progress(answer.output, blueprint.nonce).finished:
                words = f"{blueprint.image.name} was built, but not finished: {answer.complaint}"
                raise TmuxUnknown(words, hint=_LOST)
        return session_id

    async def _run_line(self, line: bytes, nonce: str, begun: str = "") -> str:
        return await self._judge(await self._run(line), nonce, begun)

    async def _run(self, line: bytes) -> Answer:
        client = await self._runner.start(self._runner.argv("source-file", "-"))
        return await self._runner.exchange(client, "source-file", stdin=line, seconds=_SECONDS)

    async def _neighbours(self) -> Neighbours:
        """What is in the server, after what an earlier attempt has left half done is removed."""
        found = read_neighbours(await self._runner.call(*NEIGHBOURS_COMMAND), self._boot_id)
        for session_id in found.unfinished:
            await self._remove(session_id)
        return found

    async def _remove(self, session: str) -> None:
        with contextlib.suppress(SidecarError):
            await self._runner.call("kill-session", "-t", session)

    async def _judge(self, answer: Answer, nonce: str, begun: str) -> str:
        """The session's id if the line has run; else remove what there is of it, and say why.

        ``begun`` is the id if an earlier line has made the session.
        """
        progress = read_progress(answer.output, nonce)
        if progress.finished:
            return progress.id or begun
        error = classify(answer.complaint)
        if isinstance(error, TmuxAbsent) and not begun:
            raise error
        if begun:
            # The id may be another session's by now, if the server is another one.
            await self._remove(f"={nonce}:")
        elif progress.id:
            await self._remove(progress.id)
        if isinstance(error, TmuxUnknown | TmuxAbsent) or (begun and "can't find" in answer.complaint):
            raise TmuxUnknown(f"the tmux server was lost during the rebuild: {error}", hint=_LOST)
        if "duplicate session" in answer.complaint:
            raise TmuxRefused(
                answer.complaint, hint="Somebody made a session of this name meanwhile; it is left alone."
            )
        error.hint = error.hint or "What had been built is removed again."
        raise error
