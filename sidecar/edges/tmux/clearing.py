"""Having tmux forget what scrolled out of panes."""

from __future__ import annotations

from sidecar.edges.tmux.text import command


def clear_line(pane: str, pid: int) -> str:
    """Clear one pane's history, only while it is still this process's; nothing where the pane has gone."""
    guard = f"#{{==:#{{pane_pid}},{pid}}}"
    return command("if-shell", "-F", "-t", pane, guard, command("clear-history", "-t", pane))
