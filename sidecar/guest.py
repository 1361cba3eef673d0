"""The process in which a user's own strategy runs: one question, one answer, and it ends.

``python -m sidecar.guest`` reads the question as JSON from its input. What it answers, and what the
strategy says meanwhile, are lines of its output that begin with the question's token; all else in the
output was printed by the strategy or a library. It imports nothing of the service.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sidecar.strategies import (
    GROUP,
    Checkpoint,
    Context,
    Finding,
    GiveUp,
    Part,
    Step,
    Strategy,
    TryAgain,
)

VERIFY = "verify"
"""The phase that asks whether a strategy has worked."""
_SAID = 300
_FOREIGN = ("/sidecar/strategies.py", "/sidecar/guest.py", "/libtmux/", "/importlib/", "<frozen ")
"""Parts of the names of files whose lines tell nothing about the strategy."""
_GRACE = 5
"""Seconds after which it ends by itself, should whoever is to cut it off be gone."""

Answer = Mapping[str, Any]


class Unusable(Exception):
    """The strategy is not there, or is none."""


class Nonsense(Exception):
    """A function has returned what it must not."""


def main() -> None:
    """Answer the question on the standard input."""
    question = json.load(sys.stdin)
    signal.alarm(int(question["seconds"]) + _GRACE)
    write = partial(_write, question["token"])
    write(answer(question, lambda words: write({"said": str(words)[:_SAID]})))
    if any(each is not threading.main_thread() and not each.daemon for each in threading.enumerate()):
        # It has had its answer in time; what it has left running would keep the process.
        sys.stdout.flush()
        os._exit(0)


def answer(question: Mapping[str, Any], say: Callable[[str], None]) -> Answer:
    """What came of it: ``ended``, or ``error`` with a sentence, a hint and the place in the code."""
    place = question["strategy"]
    try:
        entry = _entry(question["strategy"])
        place = _package(entry)
        strategy = _load(entry)
        if question["want"] == "describe":
            return {"ended": describe(strategy, place)}
        return {"ended": _carry_out(strategy, question, say)}
    except (Unusable, Nonsense) as error:
        return _error("unusable", str(error), place)
    except GiveUp as error:
        return _error("give_up", str(error), f"{place}: {_line(error)}", error.hint)
    except TryAgain as error:
        return {
            **_error("try_again", str(error), f"{place}: {_line(error)}", error.hint),
            "after": error.after,
        }
    except BaseException as error:
        return _error("raised", f"{type(error).__name__}: {error}", f"{place}: {_line(error)}")


def describe(strategy: Strategy, package: str) -> Mapping[str, Any]:
    """What the service has to know of it."""
    return {
        "package": package,
        "failures": list(strategy.failures),
        "causes": list(strategy.causes),
        "units": list(strategy.units),
        "verify_seconds": strategy.verify_seconds if strategy.verify else 0.0,
        "steps": [
            {
                "name": step.name,
                "undoable": step.undo is not None,
                "seconds": step.seconds,
                "by_hand": list(step.by_hand),
            }
            for step in strategy.steps
        ],
    }


def _entry(name: str) -> EntryPoint:
    found = list(entry_points(group=GROUP, name=name))
    if not found:
        raise Unusable(f"no installed package brings a strategy {name!r}")
    if len(found) > 1:
        packages = " and ".join(sorted(map(_package, found)))
        raise Unusable(f"more than one package brings a strategy {name!r}: {packages}")
    return found[0]


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _load(entry: EntryPoint) -> Strategy:
    try:
        found = entry.load()
    except BaseException as error:
        what = f"{entry.value} cannot be imported: {type(error).__name__}: {error} ({_line(error)})"
        raise Unusable(what) from error
    if not isinstance(found, Strategy):
        raise Unusable(f"{entry.value} is no sidecar.strategies.Strategy but {type(found).__name__}")
    return found


def _carry_out(strategy: Strategy, question: Mapping[str, Any], say: Callable[[str], None]) -> Any:
    context = _context(question, say)
    if question["want"] == VERIFY:
        if strategy.verify is None:
            raise Unusable("it has no verify any more")
        return _told(strategy.verify(context), "verify")
    step = next((each for each in strategy.steps if each.name == question["step"]), None)
    if step is None:
        raise Unusable(f"it has no step {question['step']!r} any more")
    if question["want"] == "undo":
        return _undo(step, context)
    if context.again and step.done is not None and _told(step.done(context), f"done of step {step.name!r}"):
        return "done before"
    _returns_nothing(step.do, context, f"do of step {step.name!r}")
    return "done"


def _undo(step: Step, context: Context) -> str:
    if step.undo is None:
        raise Unusable(f"step {step.name!r} has no undo any more")
    _returns_nothing(step.undo, context, f"undo of step {step.name!r}")
    return "done"


def _told(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise Nonsense(f"{what} returned {_short(value)}; it has to return True or False")
    return value


def _returns_nothing(act: Callable[[Context], object], context: Context, what: str) -> None:
    value = act(context)
    if value is not None:
        raise Nonsense(f"{what} returned {_short(value)}; it returns nothing, and raises if it did not work")


def _short(value: object) -> str:
    return repr(value)[:80]


def _context(question: Mapping[str, Any], say: Callable[[str], None]) -> Context:
    told, checkpoint = question["finding"], question["checkpoint"]
    finding = Finding(
        failure=told["failure"],
        cause=told["cause"],
        intent=told["intent"],
        parts=tuple(Part(**{**part, "argv": tuple(part["argv"])}) for part in told["parts"]),
        evidence=tuple(told["evidence"]),
    )
    return Context(
        name=question["session"],
        finding=finding,
        socket=question["socket"],
        session_id=question["session_id"],
        checkpoint=Checkpoint(**checkpoint) if checkpoint else None,
        again=question["again"],
        say=say,
        memory_file=question["memory"],
    )


def _error(word: str, sentence: str, place: str, hint: str = "") -> dict[str, Any]:
    return {"error": word, "sentence": sentence, "place": place, "hint": hint}


def _line(error: BaseException) -> str:
    """Where it was raised: the innermost line that belongs neither to us nor to a library."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_foreign(frame.filename)]
    frame = (own or list(frames))[-1] if frames else None
    return f"{frame.filename}:{frame.lineno}, in {frame.name}" if frame else "no line is known"


def _is_foreign(file: str) -> bool:
    return any(part in file for part in _FOREIGN)


def _write(token: str, body: Answer) -> None:
    # Whatever was printed before need not have ended its line.
    sys.stdout.flush()
    os.write(1, f"\n{token} {json.dumps(body)}\n".encode())


if __name__ == "__main__":
    main()
