"""A recovery whose newest checkpoint is damaged: the next good one is used, and all say so."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from tests.box import SidecarBox, TmuxBox, eventually


def test_the_next_good_checkpoint_is_used_and_everything_says_so(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-n", "one", "cat")
    sidecar.stored("web")
    tmux.run("new-window", "-d", "-t", "=web:", "-n", "two", "cat")
    eventually(lambda: sidecar.sessions()["web"]["checkpoints"] == 2, "two checkpoints")
    with closing(sqlite3.connect(sidecar.state / "sidecar.db", isolation_level=None)) as database:
        database.execute("UPDATE checkpoints SET body = replace(body, 'two', 'tow') WHERE id = 2")
    os.kill(tmux.server_pid(), 9)
    row = sidecar.verified("web")
    assert row["checkpoint"] == 1
    assert tmux.panes("#{window_name}") == ["one"]
    told = sidecar.get(f"/api/v1/recoveries/{row['id']}")["recovery"]
    (difference,) = [one for one in told["differences"] if one["field"] == "checkpoint"]
    assert (difference["found"], difference["tolerated"]) == ("checkpoint 1", True)
    assert difference["note"] == "newer ones are damaged, and in quarantine: 2"
    page = sidecar.get("/metrics", raw=True)
    assert "sidecar_checkpoint_corruptions_total 1.0" in page
    assert [line["found"] for line in sidecar.actions() if line["action"] == "store_damaged"] == [1]
    (record,) = sidecar.get("/api/v1/audit?action=checkpoint_quarantined")["records"]
    assert (record["reason"], record["detail"]["checkpoint"]) == ("the checksum does not match", 2)


def test_a_renamed_session_comes_back_under_its_new_name_from_what_was_stored_before(
    tmux: TmuxBox, sidecar: SidecarBox
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-n", "one", "cat")
    sidecar.stored("web")
    tmux.run("rename-session", "-t", "=web", "api")
    eventually(lambda: set(sidecar.sessions()) == {"api"}, "the new name")
    listed = eventually(
        lambda: sidecar.get("/api/v1/checkpoints?session=api")["checkpoints"], "its checkpoints"
    )
    assert listed[-1]["id"] == 1
    assert sidecar.get("/api/v1/checkpoints?session=web")["checkpoints"] == []
    os.kill(tmux.server_pid(), 9)
    sidecar.verified("api")
    assert tmux.sessions() == {"api"}
