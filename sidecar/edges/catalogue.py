"""Which strategies installed packages bring, and what they are for.

The names are read from the packages' metadata; what a strategy is for only its code tells, which runs in
a process of its own (see :mod:`sidecar.edges.guests`). Nothing here needs an event loop.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar
from uuid import uuid4

from sidecar.edges.guests import COMMAND
from sidecar.errors import ExtensionUnusable
from sidecar.model.extension import UNITS, Extension, OwnStep
from sidecar.model.incident import Cause, FailureKind
from sidecar.strategies import GROUP

SECONDS = 15.0
"""How long a package may take to say what it brings."""
_LARGEST = 256 * 1024
_SHOWN = 300

E = TypeVar("E", bound=StrEnum)


def installed() -> tuple[str, ...]:
    """The names of all strategies that packages bring."""
    # Of no use to the many who have none of their own.
    from importlib.metadata import entry_points

    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def describe(name: str) -> Extension:
    """What a package says of its strategy.

    Raises:
        ExtensionUnusable: there is none, it cannot be loaded, or it is for something that does not exist.
    """
    token = uuid4().hex
    question = {"token": token, "strategy": name, "want": "describe", "seconds": SECONDS}
    told = _ask(name, question)
    if "error" in told:
        raise ExtensionUnusable(f"{told['sentence']}"[:_SHOWN], hint=str(told["place"])[:_SHOWN])
    said = told["ended"]
    where = f"strategy {name!r} of {said['package']}"
    return Extension(
        name=name,
        package=said["package"],
        failures=_words(said["failures"], tuple(FailureKind), f"{where}: failure"),
        units=_words(said["units"], UNITS, f"{where}: unit"),
        causes=_words(said["causes"], tuple(Cause), f"{where}: cause"),
        steps=tuple(
            OwnStep(step["name"], step["undoable"], step["seconds"], tuple(step["by_hand"]))
            for step in said["steps"]
        ),
        verify_seconds=said["verify_seconds"],
    )


def _words(words: Sequence[str], known: tuple[E, ...], where: str) -> tuple[E, ...]:
    unknown = next((word for word in words if word not in known), None)
    if unknown is not None:
        raise ExtensionUnusable(f"{where} {unknown!r} is unknown; there are: {', '.join(known)}")
    return tuple(each for each in known if each in words)


def _ask(name: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )
        try:
            process.communicate(json.dumps(question).encode(), SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ExtensionUnusable(
                f"strategy {name!r} did not say within {SECONDS:g} s what it is for",
                hint="Importing its module takes too long.",
            ) from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        printed = output.read(_LARGEST).decode("utf-8", "replace")
    found = re.search(rf"^{question['token']} (.*)$", printed, re.MULTILINE)
    if found is None:
        raise ExtensionUnusable(
            f"strategy {name!r} ended its process before it said what it is for",
            hint=printed.strip().rpartition("\n")[2][:_SHOWN],
        )
    answer: Mapping[str, Any] = json.loads(found[1])
    return answer
