"""What a person runs to ask us, or to put right what we could not: shell commands to be pasted. Pure."""

from __future__ import annotations

import shlex

from sidecar import redact
from sidecar.model.extension import OwnStep
from sidecar.model.heal import CommandHeal
from sidecar.model.plan import Plan, Step, StepKind


def asking(verb: str, session: str) -> str:
    """How a person asks us something about a session, whatever it is called.

    What concerns the server as a whole has no name; the status shows whom it concerns.
    """
    if not session:
        return "sidecar status"
    # A name is taken neither for an option nor for anything of the shell's.
    return f"sidecar {verb} {'-- ' if session.startswith('-') else ''}{_word(session)}"


def tmux_at(socket: str) -> str:
    """How a person speaks to the very server that this socket belongs to, and to no other."""
    return f"tmux -S {_word(socket)}"


def undo_commands(plan: Plan, step: Step, tmux: str) -> tuple[str, ...]:
    """How a person takes back what a step has left behind, as far as there is a command for it.

    ``tmux`` is how that person speaks to the server; see :func:`tmux_at`.
    """
    name = plan.session
    if step.own is not None:
        return _own_commands(plan, step.own)
    if isinstance(step.heal, CommandHeal):
        # Shown to people, so what looks like a secret is left to them.
        return (redact.command(step.heal.undo),)
    if step.kind is StepKind.REPLACE_SESSION:
        return (f"sidecar checkpoint restore {_word(name)} --id {step.undo}",)
    if step.kind is StepKind.REBUILD_WINDOW:
        return (f"{tmux} kill-window -t {_word(f'={name}:{step.window}')}",)
    if step.kind is StepKind.REBUILD_PANE:
        # Which one it is, only its mark tells; it has what the lost one had, and harms nothing.
        return (f"{tmux} list-panes -s -t {_word(f'={name}')}", asking("explain", name))
    return (f"{tmux} kill-session -t {_word(f'={name}')}", asking("recover", name))


def _own_commands(plan: Plan, own: OwnStep) -> tuple[str, ...]:
    """What the strategy itself says; else only its author knows, and the comment says so."""
    if own.by_hand:
        return tuple(line.replace("{session}", _word(plan.session)) for line in own.by_hand)
    return (
        f"# take back what {plan.strategy} has done in its step {own.name!r}",
        *again_commands(plan.session),
    )


def again_commands(session: str) -> tuple[str, ...]:
    """How a person sees what became of a session that was given up, and has it brought back."""
    return tuple(dict.fromkeys(asking(verb, session) for verb in ("explain", "recover")))


def _word(text: str) -> str:
    return shlex.quote(text)
