"""The registry of cases, by name, in the order in which they run."""

from __future__ import annotations

from bench.cases import (
    checking,
    checkpoints,
    detecting,
    holding,
    looking,
    rebuilding,
    recovery,
    retention,
    storm,
    supervising,
    weight,
)
from bench.line import Case

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("detect", "five injuries, each until it is seen and until it is verified", detecting.detect),
        Case("kill-session", "a declared session is closed and comes back", recovery.kill_session),
        Case("kill-server", "a server with 5 sessions is killed and they come back", recovery.kill_server),
        Case("kill-pane", "the process of one pane is killed and comes back", recovery.kill_pane),
        Case("supervised", "a supervised program is killed and runs again", supervising.restart),
        Case("socket", "the server's socket is removed and made again", recovery.remove_socket),
        Case("stop-server", "the server is stopped by a signal and goes on", recovery.stop_server),
        Case("restore", "the same as kill-session, with 2,000 lines of scrollback", recovery.restore),
        Case("look", "one full look at 100 sessions with 300 panes", looking.look),
        Case("rebuild", "a stored session is built, in this process", rebuilding.rebuild),
        Case("tmuxp", "tmuxp load of the same shape, where it is installed", rebuilding.tmuxp_load),
        Case("checkpoint", "a first, an unchanged and a grown checkpoint", checkpoints.checkpoint),
        Case("storm", "a thousand alerts at once, while sessions come back", storm.storm),
        Case("recovering", "the processor while fifty sessions come back", storm.recovering),
        Case("api", "an API in a pane that refuses, or answers 503, until it answers again", checking.api),
        Case("checks", "the processor and the memory that 200 health checks take", checking.checks),
        Case("loop", "how long anything holds the event loop", holding.loop),
        Case("day", "24 simulated hours of a session that prints", retention.day),
        Case("weight", "memory and CPU of the service at 100 sessions with 300 panes", weight.weight),
    )
}
