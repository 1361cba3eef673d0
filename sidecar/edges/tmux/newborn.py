"""A new tmux server, with what the lost one had: environment, folder, configuration, settings.

After its configuration was read, and before anything is built in it, what was changed at run time
is changed again, only where it differs. A client holds the server meanwhile, for it would end
without a session; that client leaves in time even if we do not live to end it.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace

from sidecar.edges.tmux import birth
from sidecar.edges.tmux.birth import Birthplace
from sidecar.edges.tmux.details import read_settings, settings_commands
from sidecar.edges.tmux.options import change_binding_lines, change_lines
from sidecar.edges.tmux.parts import END, mark_line, new_mark, part, read_parts
from sidecar.edges.tmux.run import TmuxRunner, classify, end_client
from sidecar.edges.tmux.text import command, read_environment, script
from sidecar.errors import NoBirthplace, TmuxRefused, TmuxUnknown
from sidecar.model.session import Options, ServerOrigin, ServerSettings

_SECONDS = 30.0
"""A configuration with plug-ins on a busy machine; an ordinary one takes a hundredth of one."""
_HELD = "30"
"""Seconds after which a server that nothing was built in may end."""
_ENVIRONMENT = "environment"
_NEWBORN = "@sidecar_newborn"
"""The server option of a server that is not up to date yet."""


@contextlib.asynccontextmanager
async def newborn(runner: TmuxRunner, origin: ServerOrigin, descriptors: int | None) -> AsyncIterator[None]:
    """Start a server where it outlives us; it lives on for what is built in it inside this context.

    The folder of ``origin`` has to be there.

    Raises:
        NoBirthplace: no server could be started where it would last.
        TmuxUnknown: it gave no answer, or died at once.
    """
    places = await birth.find_birthplaces(runner.client_environment())
    runner.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    refusals = []
    for place in places:
        holder = await _start(runner, place, origin, descriptors)
        try:
            complaint = await _take_up(runner, holder, origin)
            if not complaint:
                yield
                return
        finally:
            await end_client(holder)
        if not place.refused(complaint):
            raise classify(complaint)
        refusals.append(f"{place.kind}: {complaint}")
    raise NoBirthplace(
        f"no tmux server could be started where it outlives us ({'; '.join(refusals)})",
        hint="Set KillMode=process in the unit, or mend the user's service manager.",
    )


async def grown(runner: TmuxRunner, origin: ServerOrigin) -> None:
    """Bring a living server up to date that an earlier run of ours has started, and not got to do so.

    Raises:
        TmuxAbsent, TmuxUnknown: there is no server, or no answer.
    """
    if (await runner.call("display-message", "-p", f"#{{{_NEWBORN}}}")).strip():
        mark = new_mark()
        client = await runner.start(runner.argv("source-file", "-"))
        said = script(*_questions(mark))
        answer = await runner.exchange(client, "source-file", stdin=said, seconds=_SECONDS)
        await _bring_up_to_date(runner, origin, read_parts(answer.output, mark))


async def _start(
    runner: TmuxRunner, place: Birthplace, origin: ServerOrigin, descriptors: int | None
) -> asyncio.subprocess.Process:
    ours = runner.client_environment()
    wanted = birth.birth_environment(origin.environment, ours)
    prefix, environment = birth.scope_arguments(place, wanted, ours)
    # Full paths, since the recorded environment may have another PATH or folder for sockets than ours.
    tmux, *scope = (shutil.which(name, path=ours.get("PATH")) or name for name in ("tmux", *prefix[:1]))
    return await runner.start(
        [
            *scope, *prefix[1:],
            *birth.limit_arguments(descriptors),
            tmux, "-u", "-S", str(runner.socket),
            *birth.config_arguments(origin.config_files),
            "start-server", ";", "set-option", "-s", _NEWBORN, "1", ";", "source-file", "-",
        ],
        environment=environment,
        cwd=origin.cwd,
        own_session=True,
    )  # fmt: skip


async def _take_up(runner: TmuxRunner, holder: asyncio.subprocess.Process, origin: ServerOrigin) -> str:
    """Bring a server that has just started up to date. Returns the complaint if it has not started."""
    mark = new_mark()
    raw = await _ask(holder, mark)
    if raw is None:
        assert holder.stderr is not None
        words = (await holder.stderr.read()).decode("utf-8", "replace").strip()
        return words or "tmux ended without a word"
    await _bring_up_to_date(runner, origin, read_parts(raw, mark))
    return ""


async def _bring_up_to_date(runner: TmuxRunner, origin: ServerOrigin, parts: Mapping[str, bytes]) -> None:
    lines = await asyncio.to_thread(lambda: list(_changes(origin, parts)))
    # What this tmux does not take (an option of another release) is named by the verdict.
    with contextlib.suppress(TmuxRefused):
        await runner.source(script(*lines, command("set-option", "-s", "-u", _NEWBORN)), seconds=_SECONDS)


async def _ask(holder: asyncio.subprocess.Process, mark: str) -> bytes | None:
    """What the new server has of its own; None when there is none. Its client stays."""
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        async with asyncio.timeout(_SECONDS):
            holder.stdin.write(script(*_questions(mark), command("run-shell", "-d", _HELD)))
            holder.stdin.close()
            return await holder.stdout.readuntil(f"{mark} {END}\n".encode())
    except TimeoutError as error:
        raise TmuxUnknown(
            f"the new tmux server did not read its configuration within {_SECONDS:g} s",
            hint="Does the configuration wait for something?",
        ) from error
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _questions(mark: str) -> Iterator[str]:
    """What a server has of its own."""
    for key, words in settings_commands().items():
        yield part(mark, key, *words)
    yield part(mark, _ENVIRONMENT, "show-environment", "-g", "-s")
    yield mark_line(mark, END)


def _changes(origin: ServerOrigin, parts: Mapping[str, bytes]) -> Iterator[str]:
    wanted = _fit_for_nobody(origin.settings)
    if wanted != ServerSettings():
        found = read_settings(parts)
        yield from change_lines(("-s",), wanted.server, found.server)
        yield from change_lines(("-g",), wanted.session, found.session)
        yield from change_lines(("-gw",), wanted.window, found.window)
        yield from change_binding_lines(wanted.bindings, found.bindings)
    if origin.environment:
        text = parts[_ENVIRONMENT].decode("utf-8", "surrogateescape")
        yield from _variable_changes(dict(origin.environment), read_environment(text))


def _fit_for_nobody(settings: ServerSettings) -> ServerSettings:
    """A server that ends without clients would end at once: nobody is attached yet."""
    return replace(settings, server=_with_off(settings.server, "exit-unattached"))


def _with_off(options: Options, name: str) -> Options:
    return tuple((each, "off" if each == name else value) for each, value in options)


def _variable_changes(wanted: Mapping[str, str], found: Mapping[str, str | None]) -> Iterator[str]:
    """A configuration that adds to PATH has added to it once more."""
    for name in sorted(found.keys() - wanted.keys()):
        yield command("set-environment", "-g", "-u", "--", name)
    for name, value in wanted.items():
        if found.get(name) != value:
            yield command("set-environment", "-g", "--", name, value)
