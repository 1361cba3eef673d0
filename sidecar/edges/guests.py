"""The door to users' own strategies: each function runs in a process of its own, and no longer than it may.

A function that hangs, floods, crashes or blocks does so over there. The process, its group and whatever it
has started end with it when it is cut off; its memory is given back in any case.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from sidecar import redact
from sidecar.clock import Clock
from sidecar.edges import script
from sidecar.edges.probes.command import OUTPUT_LIMIT, Ran, run
from sidecar.errors import ExtensionFailed, ExtensionUnusable, SidecarError, StepTimedOut
from sidecar.model.extension import OwnCall

COMMAND = (sys.executable, "-P", "-m", "sidecar.guest")
_START = 5.0
"""Seconds for Python and the package to start, beside the step's own time."""
_SHOWN = 300
_OLD = 7 * 86_400.0
"""Seconds after which a memory that nobody has removed is not needed any more."""


class Guests:
    """Runs functions of users' own strategies."""

    def __init__(self, socket: Path, folder: Path, environment: Mapping[str, str], clock: Clock) -> None:
        """
        Args:
            socket: of the tmux server.
            folder: where recoveries remember things for as long as they run.
            environment: what the functions get.
        """
        self._socket = socket
        self._folder = folder
        self._environment = environment
        self._clock = clock

    async def call(self, call: OwnCall, tell: Callable[[str], None]) -> None:
        """Run it to its end; ``tell`` gets each line that it says for the log.

        Raises:
            ExtensionFailed: it raised, or has not worked.
            ExtensionUnusable: it gave up, is not there, or returned what it must not.
            StepTimedOut: it hung, and was cut off.
        """
        token = uuid4().hex
        memory = await asyncio.to_thread(self._memory, call.mark)
        about = {"token": token, "socket": str(self._socket), "memory": memory}
        question = json.dumps({**_question(call), **about})
        own = {**self._environment, script.MARK: call.mark}
        try:
            ran = await run(COMMAND, call.seconds + _START, own, question.encode())
        except OSError as error:
            raise ExtensionFailed(f"{_title(call)} cannot be started: {error.strerror}") from error
        lines = _answers(ran, token)
        for line in lines:
            if "said" in line:
                tell(_fit(line["said"]))
        _judge(call, ran, lines)

    async def end(self, mark: str) -> None:
        """End what is left of a function that a run of ours has begun which is gone."""
        await asyncio.to_thread(script.end_script, mark)

    async def forget(self, mark: str) -> None:
        """The recovery has ended: so has its memory."""
        await asyncio.to_thread(self._file(mark).unlink, missing_ok=True)

    def _file(self, mark: str) -> Path:
        return self._folder / f"{mark}.json"

    def _memory(self, mark: str) -> str:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._clear_out()
        except OSError as error:
            raise ExtensionFailed(
                f"nothing can be remembered in {self._folder}: {error.strerror}",
                hint="Check the disk and the folder.",
            ) from error
        return str(self._file(mark))

    def _clear_out(self) -> None:
        for file in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < self._clock.wall() - _OLD:
                    file.unlink()


def _question(call: OwnCall) -> Mapping[str, Any]:
    finding = call.finding
    return {
        "strategy": call.strategy,
        "want": call.want,
        "step": call.step,
        "seconds": call.seconds + _START,
        "again": call.again,
        "session": call.session,
        "session_id": call.session_id,
        "checkpoint": dict(zip(("id", "taken"), call.checkpoint, strict=True)) if call.checkpoint else None,
        "finding": {
            "failure": finding.failure.kind,
            "cause": finding.cause,
            "intent": finding.intent,
            "evidence": [fact.fact for fact in finding.evidence],
            "parts": [
                {
                    "unit": part.unit,
                    "pane": part.pane,
                    "pid": part.pid,
                    "window": part.window,
                    "argv": call.ran.get(part.pane, ()),
                }
                for part in finding.failure.broken
            ],
        },
    }


def _answers(ran: Ran, token: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for line in ran.output.decode("utf-8", "replace").splitlines():
        # The last line of one that was cut off need not be whole.
        with contextlib.suppress(ValueError):
            word, _, body = line.partition(" ")
            if word == token and isinstance(answer := json.loads(body), dict):
                found.append(answer)
    return found


def _judge(call: OwnCall, ran: Ran, lines: list[Mapping[str, Any]]) -> None:
    last = lines[-1] if lines else {}
    if "error" in last:
        raise _failure(call, last)
    if "ended" in last:
        if last["ended"] is False:
            raise ExtensionFailed(f"{_title(call)} says that it has not worked", hint=_hint(ran))
        return
    if ran.flooded:
        raise ExtensionFailed(
            f"{_title(call)} was cut off after {OUTPUT_LIMIT // 1024} KiB of output",
            hint="A strategy prints little: context.say writes to the log.",
        )
    if ran.status is None:
        took = f"did not end within {call.seconds:g} s and was cut off"
        raise StepTimedOut(f"{_title(call)} {took}", hint=_hint(ran))
    words = f"{_title(call)} ended its process ({ran.status}) without an answer"
    raise ExtensionFailed(words, hint=_hint(ran))


def _failure(call: OwnCall, told: Mapping[str, Any]) -> SidecarError:
    sentence = f"{_title(call)}: {_fit(told['sentence'])}"
    hint = ". ".join(filter(None, (_fit(told["hint"]).rstrip("."), _fit(told["place"]))))
    if told["error"] in ("unusable", "give_up"):
        return ExtensionUnusable(sentence, hint=hint)
    return ExtensionFailed(sentence, hint=hint, delay=float(told.get("after") or 0.0) or None)


def _hint(ran: Ran) -> str:
    last = ran.output.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return f"The last that it printed: {_fit(last)}" if last else "It printed nothing."


def _title(call: OwnCall) -> str:
    what = f"{call.want} of step {call.step!r}" if call.step else call.want
    return f"custom:{call.strategy}: {what}"


def _fit(words: object) -> str:
    """Something of a user's for the log: one line, not too long, without secrets."""
    plain = "".join(c if c.isprintable() else " " for c in str(words))
    return redact.text(plain[: 4 * _SHOWN])[:_SHOWN]
