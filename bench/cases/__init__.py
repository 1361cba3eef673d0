"""The registry of cases, by name, in the order in which they run."""

from __future__ import annotations

from bench.cases import looking, recovery, weight
from bench.line import Case

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("kill-session", "a declared session is closed and comes back", recovery.kill_session),
        Case("kill-server", "a server with 5 sessions is killed and they come back", recovery.kill_server),
        Case("kill-pane", "the process of one pane is killed and comes back", recovery.kill_pane),
        Case("look", "one full look at 100 sessions with 300 panes", looking.look),
        Case("weight", "memory and CPU of the service at 100 sessions with 300 panes", weight.weight),
    )
}
