"""Which conversation an agent is holding, by what it was started with, told by its hook, or wrote.

An id comes from another program and ends up in a command line, so it is an id by its form or it
is nothing. In doubt there is none: a pane without its conversation is held for a person, a pane
with another one's is a loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from sidecar.decide.agents import AGENTS, ID, UUID, find_agent, sort_arguments
from sidecar.decide.invocation import without_blank_tail
from sidecar.model.conversation import Speaker, Transcript

_REPORT = re.compile(rf"(?P<agent>[a-z][a-z0-9-]*):(?P<id>{ID.pattern}):(?P<seconds>[0-9]{{1,12}})")
_ID_OPTIONS = ("--session-id", "--resume", "-r")
_REPORT_SLACK = 2.0
"""Seconds that a hook's clock, which counts whole ones, may seem to be before its agent's start."""
_WRITE_SLACK = 0.1
"""The same for the time of a file."""


@lru_cache(maxsize=1024)
def agent_name(argv: tuple[str, ...]) -> str:
    """The name of the agent that an argv runs; empty if it is none."""
    found = find_agent(without_blank_tail(argv))
    return found[0] if found else ""


def conversation_id(argv: tuple[str, ...]) -> str:
    """The id of the conversation that an argv names; empty if it names none.

    Of a program that is not known here, the value of ``--session-id``, ``--resume`` or ``-r``, or
    an argument that is a UUID.
    """
    found = find_agent(argv)
    if found is not None:
        return sort_arguments(found[0], found[1].arguments).id
    for option in _ID_OPTIONS:
        for value in _values(argv, option):
            if ID.fullmatch(value):
                return value
    return next((argument for argument in argv[1:] if UUID.fullmatch(argument)), "")


def named(speaker: Speaker) -> str:
    """The conversation that the agent's hook has reported, or else its arguments name."""
    argv = without_blank_tail(speaker.argv)
    return _reported(speaker, agent_name(argv)) or conversation_id(argv)


def written(speaker: Speaker, transcripts: Sequence[Transcript], others: frozenset[str]) -> str:
    """The one conversation in the agent's folder that has gone on since it started.

    ``others`` are ids that other agents are known to hold. Empty if none fits, or several do.
    """
    if speaker.started is None:
        return ""
    since = speaker.started - _WRITE_SLACK
    fitting = [each.id for each in transcripts if each.modified >= since and each.id not in others]
    return fitting[0] if len(fitting) == 1 and UUID.fullmatch(fitting[0]) else ""


def alone(speakers: Iterable[tuple[str, Speaker]]) -> Mapping[str, str]:
    """Folders in which exactly one agent works that has not named its conversation, with its key."""
    keys: dict[str, list[str]] = {}
    for key, speaker in speakers:
        keys.setdefault(speaker.folder, []).append(key)
    return {folder: found[0] for folder, found in keys.items() if len(found) == 1}


def _reported(speaker: Speaker, agent: str) -> str:
    report = _REPORT.fullmatch(speaker.reported)
    if report is None or report["agent"] != agent or agent not in AGENTS:
        return ""
    # An agent that was killed leaves its report behind, for the next one to be taken for it.
    if speaker.started is None or int(report["seconds"]) < speaker.started - _REPORT_SLACK:
        return ""
    return report["id"]


def _values(argv: Sequence[str], option: str) -> Iterable[str]:
    for place, argument in enumerate(argv):
        if argument == option and place + 1 < len(argv):
            yield argv[place + 1]
        elif argument.startswith(f"{option}="):
            yield argument.removeprefix(f"{option}=")
