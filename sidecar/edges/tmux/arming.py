"""Making windows keep the panes whose process failed, and undoing it where it was ours.

Without ``remain-on-exit`` a pane vanishes with its process, and its id, place and history with it.
"""

from __future__ import annotations

from sidecar.edges.tmux.text import command, in_one

ARMED = "@sidecar_armed"
"""The window option that marks what is set here as ours."""


def arm_line(window: str) -> str:
    """Arm one window; a window whose user has set the option is left as it is."""
    setting = in_one(
        command("set-option", "-w", "-t", window, "remain-on-exit", "failed"),
        command("set-option", "-w", "-t", window, ARMED, "1"),
    )
    return command("if-shell", "-F", "-t", window, "#{==:#{remain-on-exit},off}", setting)


KEPT = "@sidecar_kept"
"""The pane option that marks a pane which we have asked tmux to keep however it ends."""


def keep_line(pane: str) -> str:
    """Keep one pane however it ends; where its user has it so, that is left as it is."""
    setting = in_one(
        command("set-option", "-p", "-t", pane, "remain-on-exit", "on"),
        command("set-option", "-p", "-t", pane, KEPT, "1"),
    )
    return command("if-shell", "-F", "-t", pane, "#{!=:#{remain-on-exit},on}", setting)


def let_go_line(pane: str) -> str:
    """Undo :func:`keep_line`, only where the mark tells that it was done."""
    undoing = in_one(
        command("set-option", "-p", "-u", "-t", pane, "remain-on-exit"),
        command("set-option", "-p", "-u", "-t", pane, KEPT),
    )
    return command("if-shell", "-F", "-t", pane, f"#{{{KEPT}}}", undoing)


def disarm_line(window: str) -> str:
    """Undo :func:`arm_line`, only where the mark tells that it was done; then it was off there before."""
    undoing = in_one(
        command("set-option", "-w", "-u", "-t", window, "remain-on-exit"),
        command(
            "if-shell", "-F", "-t", window, "#{!=:#{remain-on-exit},off}",
            command("set-option", "-w", "-t", window, "remain-on-exit", "off"),
        ),
        command("set-option", "-w", "-u", "-t", window, ARMED),
    )  # fmt: skip
    return command("if-shell", "-F", "-t", window, f"#{{{ARMED}}}", undoing)
