"""A storm of alerts on the real thing: each comes to its end, no budget is exceeded, no lease doubled."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from chaos.checker import check
from chaos.invariants import Violation
from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box

NAMES = [f"s{number:02}" for number in range(50)]
BROKEN = NAMES[:12]
BUDGET = 8
"""Incidents that may be acted upon: fewer than there are broken sessions."""
ALERTS = 200
CALLS = 20
SEED = 20260101
SETTINGS = f"""
recovery: {{budget: {{per_session: 2 per 10m, global: {BUDGET} per 10m, at_once: 4}}}}
notify: [{{tmux: false}}]
"""
PATIENCE = 60.0


def storm(dice: random.Random) -> list[list[dict[str, Any]]]:
    """So many alerts in so many calls: of broken and of whole sessions, of one that nobody knows; sent
    twice, resolved, resolved before they fired, and long ago."""
    alerts = [_alert(number, "firing", dice) for number in range(ALERTS * 7 // 10)]
    alerts += [{**one, "status": "resolved"} for one in dice.sample(alerts, ALERTS // 10)]
    alerts += [dict(one) for one in dice.sample(alerts, ALERTS - len(alerts))]
    dice.shuffle(alerts)
    return [alerts[place::CALLS] for place in range(CALLS)]


def _alert(number: int, status: str, dice: random.Random) -> dict[str, Any]:
    session = dice.choice([*NAMES, *BROKEN, *BROKEN, "nobody"])
    day = 1 if number % 5 else 28
    return {
        "status": status, "labels": {"alertname": f"A{number}", "session": session, "failure": "crashed"},
        "annotations": {}, "startsAt": f"2026-0{1 + number % 3}-{day:02}T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": f"{number % 150:016x}",
    }  # fmt: skip


def _group(alerts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"version": "4", "groupKey": "k", "status": "firing", "receiver": "sidecar", "alerts": alerts}


def test_two_hundred_alerts_for_fifty_sessions_at_once(tmux: TmuxBox) -> None:
    file = tmux.folder / "config.yml"
    file.write_text(SETTINGS)
    _build(tmux)
    before = _pids(tmux)
    dice = random.Random(SEED)
    calls = storm(dice)
    with sidecar_box(tmux, "--config", str(file)) as sidecar, ThreadPoolExecutor(CALLS) as threads:
        eventually(lambda: _stored(sidecar) == set(NAMES), "the first checkpoints", PATIENCE)
        for name in BROKEN:
            os.kill(before[name], signal.SIGKILL)
        posts = [threads.submit(sidecar.call, "POST", "/alerts", _group(call)) for call in calls]
        asked = [
            threads.submit(sidecar.call, "POST", "/recover", {"session": name})
            for name in dice.choices([*BROKEN, *NAMES[12:15]], k=8)
        ]
        assert {post.result()[0] for post in posts} == {202}
        assert {ask.result()[0] for ask in asked} <= {202, 409}, [ask.result() for ask in asked]
        eventually(lambda: _is_over(sidecar), "the end of every alert", PATIENCE)
        receipts = Counter(one["reason"] for post in posts for one in post.result()[1]["alerts"])
        _judge(sidecar, receipts)
        # Whoever was in good order still runs what it ran.
        after = _pids(tmux)
        assert {name: after[name] for name in NAMES[12:]} == {name: before[name] for name in NAMES[12:]}


def _judge(sidecar: SidecarBox, receipts: Counter[str]) -> None:
    rows = _rows(sidecar, "SELECT state, reason, recovery, session FROM alerts")
    # As many rows as alerts that were not known before, and each of them at its end.
    assert len(rows) == sum(receipts.values()) - receipts["duplicate"] - receipts["resolved"]
    assert {row["state"] for row in rows} == {"settled"}
    assert all(row["reason"] for row in rows)
    assert all(row["session"] in BROKEN for row in rows if row["recovery"] is not None)
    recovered = _rows(sidecar, "SELECT * FROM recoveries")
    assert {row["session"] for row in recovered} <= set(BROKEN)
    # One that only an alert had wanted is stopped when that is resolved, and the watcher goes on.
    assert "verified" in {row["state"] for row in recovered} <= {"verified", "stopped"}
    acted = {row["origin"] for row in recovered if row["asker"] != "operator"}
    assert 0 < len(acted) <= BUDGET
    # The page and the rows are taken one after the other.
    eventually(lambda: _history(sidecar) == (), "a history without contradiction")


def _history(sidecar: SidecarBox) -> tuple[Violation, ...]:
    page = sidecar.get("/metrics", raw=True)
    return check(sidecar.state, sidecar.budgets(), page)


def _build(tmux: TmuxBox) -> None:
    script = tmux.folder / "storm.conf"
    script.write_text("".join(f"new-session -d -s {name} 'exec sleep 5000'\n" for name in NAMES))
    tmux.run("start-server", ";", "source-file", str(script))


def _pids(tmux: TmuxBox) -> dict[str, int]:
    lines = (line.split() for line in tmux.panes("#{session_name} #{pane_pid}"))
    return {name: int(pid) for name, pid in lines}


def _stored(sidecar: SidecarBox) -> set[str]:
    return {name for name, one in sidecar.sessions().items() if one["checkpoints"]}


def _is_over(sidecar: SidecarBox) -> bool:
    open_ends = "SELECT id FROM alerts WHERE state = 'pending' UNION ALL"
    return not _rows(sidecar, f"{open_ends} SELECT id FROM recoveries WHERE state = 'running'")


def _rows(sidecar: SidecarBox, query: str) -> list[dict[str, Any]]:
    address = f"file:{sidecar.state / 'sidecar.db'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query)]
