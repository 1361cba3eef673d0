"""Building a stored session in a live server, or in a new one where none lives.

All or nothing: what a failed attempt has built is removed again, by the id that tmux gave to us.
Births are one at a time, so that five lost sessions share one new server.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.tmux import birth, folders
from sidecar.edges.tmux.birth import Birthplace
from sidecar.edges.tmux.rebuild import Blueprint, LayoutCheck, read_progress, rebuild_script
from sidecar.edges.tmux.run import Answer, TmuxRunner, classify
from sidecar.edges.tmux.scratch import Scratch, remove
from sidecar.edges.tmux.server import find_server
from sidecar.errors import (
    CheckpointUnusable,
    NoBirthplace,
    SidecarError,
    Temporary,
    TmuxAbsent,
    TmuxRefused,
    TmuxUnknown,
)
from sidecar.model.session import ServerOrigin, SessionImage

_SECONDS = 30.0
"""A large session on a busy machine; an ordinary one takes a tenth of one."""


class Builder:
    """Builds sessions in the server that ``runner`` speaks to."""

    def __init__(
        self,
        runner: TmuxRunner,
        clock: Clock,
        *,
        valid_layout: LayoutCheck,
        scratch: Path,
        descriptors: int | None,
    ) -> None:
        """``descriptors`` is the soft limit of open files for a new server; None leaves ours."""
        self._runner = runner
        self._clock = clock
        self._valid_layout = valid_layout
        self._scratch = Scratch(scratch)
        self._descriptors = descriptors
        self._birth = asyncio.Lock()

    async def build(self, image: SessionImage, texts: Mapping[str, bytes]) -> str:
        """Build it, with the scrollback ``texts`` by digest, and give its session id.

        Raises:
            CheckpointUnusable: there is nothing in it to build.
            TmuxRefused: tmux would not build it (the name is taken, for one).
            TmuxUnknown: no answer; the session may or may not be there.
            NoBirthplace: there is no server, and one started from here would not last.
        """
        if not image.windows or not all(window.panes for window in image.windows):
            raise CheckpointUnusable(f"the checkpoint of {image.name!r} has no windows and panes to build")
        nonce = f"sidecar-{secrets.token_hex(8)}"
        image = await asyncio.to_thread(folders.with_existing, image)
        files = await asyncio.to_thread(self._write, image, texts)
        script = rebuild_script(Blueprint(image, files, self._valid_layout, nonce))
        try:
            return await self._build_somewhere(image.origin, script, nonce)
        except BaseException:
            await asyncio.to_thread(remove, files.values())
            raise

    def _write(self, image: SessionImage, texts: Mapping[str, bytes]) -> dict[str, str]:
        self._scratch.sweep(self._clock.wall())
        return self._scratch.write(image, texts)

    async def _build_somewhere(self, origin: ServerOrigin, script: bytes, nonce: str) -> str:
        with contextlib.suppress(TmuxAbsent):
            return await self._build_in_server(script, nonce)
        async with self._birth:
            # Another session's rebuild may have borne the server while this one waited.
            with contextlib.suppress(TmuxAbsent):
                return await self._build_in_server(script, nonce)
            pid = await asyncio.to_thread(find_server, self._runner.socket)
            if pid:
                raise Temporary(
                    f"the tmux server {pid} lives, but its socket is gone; no second one is started",
                    hint=f"It makes the socket again on: kill -USR1 {pid}",
                )
            return await self._build_in_new_server(origin, script, nonce)

    async def _build_in_server(self, script: bytes, nonce: str) -> str:
        client = await self._runner.start(self._runner.argv("source-file", "-"))
        return await self._judge(await self._finish(client, script), nonce)

    async def _build_in_new_server(self, origin: ServerOrigin, script: bytes, nonce: str) -> str:
        places = await birth.find_birthplaces(self._runner.client_environment())
        self._runner.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refusals = []
        for place in places:
            answer = await self._bear(place, origin, script)
            if not place.refused(answer.complaint):
                return await self._judge(answer, nonce)
            refusals.append(f"{place.kind}: {answer.complaint}")
        raise NoBirthplace(
            f"no tmux server could be started where it outlives us ({'; '.join(refusals)})",
            hint="Set KillMode=process in the unit, or mend the user's service manager.",
        )

    async def _bear(self, place: Birthplace, origin: ServerOrigin, script: bytes) -> Answer:
        ours = self._runner.client_environment()
        wanted = birth.birth_environment(origin.environment, ours)
        prefix, environment = birth.scope_arguments(place, wanted, ours)
        # Full paths, since the recorded environment may have another PATH or folder for sockets than ours.
        tmux, *scope = (shutil.which(name, path=ours.get("PATH")) or name for name in ("tmux", *prefix[:1]))
        client = await self._runner.start(
            [
                *scope, *prefix[1:],
                *birth.limit_arguments(self._descriptors),
                tmux, "-u", "-S", str(self._runner.socket),
                *birth.config_arguments(origin.config_files),
                "start-server", ";", "source-file", "-",
            ],
            environment=environment,
            cwd=await asyncio.to_thread(folders.existing, origin.cwd),
            own_session=True,
        )  # fmt: skip
        return await self._finish(client, script)

    async def _finish(self, client: asyncio.subprocess.Process, script: bytes) -> Answer:
        return await self._runner.exchange(client, "source-file", stdin=script, seconds=_SECONDS)

    async def _judge(self, answer: Answer, nonce: str) -> str:
        """The session's id if it was built; else remove what there is of it, and say why."""
        progress = read_progress(answer.output, nonce)
        if progress.finished:
            return progress.session_id
        error = classify(answer.complaint)
        if progress.session_id:
            with contextlib.suppress(SidecarError):
                await self._runner.call("kill-session", "-t", progress.session_id)
        if isinstance(error, TmuxUnknown):
            raise TmuxUnknown(
                f"the tmux server was lost during the rebuild: {error}", hint="Its next state will tell."
            )
        if "duplicate session" in answer.complaint:
            raise TmuxRefused(
                answer.complaint, hint="Somebody made a session of this name meanwhile; it is left alone."
            )
        error.hint = error.hint or "What had been built is removed again."
        raise error
