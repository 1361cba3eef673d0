"""``explain``, ``release``, ``adopt``, ``audit`` and ``circuits`` against a real service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.clock import SystemClock
from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box, tmux_box
from tests.command import service
from tests.command.test_service_commands import Stand, stand

__all__ = ["stand"]


@pytest.fixture(scope="module")
def running() -> Iterator[SidecarBox]:
    with tmux_box() as tmux, sidecar_box(tmux) as box:
        tmux.run("new-session", "-d", "-s", "a b/c", "sleep 5001")
        tmux.run("new-session", "-d", "-s", "other", "sleep 5002")
        box.stored("a b/c")
        yield box


def test_explain_release_adopt(running: SidecarBox) -> None:
    done = service.run(running.state, "explain", "a b/c")
    assert done.exit_code == 0, done.output
    first, second, third, last = done.output.splitlines()
    assert first == "a b/c: healthy, expected"
    assert second.startswith("checkpoint: 1, ")
    assert third == "nothing is wrong"
    assert last == "by itself: nothing (healthy): a b/c is in good order: nothing to recover"
    told = [
        service.run(running.state, what, "a b/c").output for what in ("adopt", "release", "release", "adopt")
    ]
    assert told == [
        "a b/c was in our care already\n",
        "a b/c is released: nothing is done about it until `sidecar adopt 'a b/c'`\n",
        "a b/c was released already: nothing is done about it until `sidecar adopt 'a b/c'`\n",
        "a b/c is in our care again\n",
    ]
    assert json.loads(service.run(running.state, "adopt", "a b/c", "--json").output)["changed"] is False
    assert json.loads(service.run(running.state, "release", "other", "--json").output)["changed"] is True
    assert "other: released, released" in service.run(running.state, "explain", "other").output


@pytest.mark.parametrize("what", ["explain", "release", "adopt"])
def test_a_session_that_nobody_knows(running: SidecarBox, what: str) -> None:
    done = service.run(running.state, what, "nobody")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "sidecar: there is no session 'nobody' and no checkpoint of one",
        "hint: `sidecar status` lists the sessions.",
    ]


def test_the_audit_trail(running: SidecarBox) -> None:
    done = service.run(running.state, "audit", "list", "a b/c", "--action", "session_adopted", "--limit", "1")
    head, row, *more = done.output.splitlines()
    assert head.split() == ["ID", "TIME", "SESSION", "ACTION", "BY", "REASON", "DETAIL"]
    assert "session_adopted" in row
    assert len(more) < 2
    body = json.loads(service.run(running.state, "audit", "list", "--json").output)
    assert [one["id"] for one in body["records"]] == sorted(
        (one["id"] for one in body["records"]), reverse=True
    )
    assert service.run(running.state, "audit", "list", "nobody").output == "no records\n"
    whole, head = service.run(running.state, "audit", "verify").output.splitlines()
    assert whole.endswith(" records: the chain is whole")
    noted = head.removeprefix("head ")
    assert service.run(running.state, "audit", "verify", "--head", noted).exit_code == 0
    wrong = service.run(running.state, "audit", "verify", "--head", "1:abc")
    assert (wrong.exit_code, wrong.output) == (1, "record 1: it is not the record that was noted\n")
    assert service.run(running.state, "audit", "verify", "--head", "newest").exit_code == 2


def test_an_export(running: SidecarBox, tmp_path: Path) -> None:
    done = service.run(running.state, "audit", "export", "--action", "session_adopted", "--since", "1h ago")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["action"] for row in rows} == {"session_adopted"}
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    file = tmp_path / "trail.jsonl"
    done = service.run(running.state, "audit", "export", "-o", str(file))
    assert done.stdout == f"{len(file.read_text().splitlines())} records\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text().splitlines()[0])["id"] == 1
    for since in ("never", "2999-01-01"):
        assert service.run(running.state, "audit", "export", "--since", since).exit_code == 2
    assert service.run(tmp_path, "audit", "export").stderr.startswith("sidecar: there is no database in")


def test_circuits(running: SidecarBox) -> None:
    done = service.run(running.state, "circuits")
    assert done.exit_code == 0, done.output
    head, *rows = done.output.splitlines()
    assert head.split() == ["CIRCUIT", "STATE", "FAILURES", "TRIED", "AGAIN"]
    assert "respawn_pane        closed  0         -" in rows
    body = json.loads(service.run(running.state, "circuits", "--json").output)
    assert {row["state"] for row in body["circuits"]} == {"closed"}
    assert service.run(running.state, "circuits", "reset", "respawn_pane").output == "respawn_pane: closed\n"
    assert service.run(running.state, "circuits", "reset", "nothing").exit_code == 2


def test_a_circuit_that_a_person_opens_rests_until_it_is_reset(running: SidecarBox) -> None:
    name = "restore_checkpoint:odd name"
    assert service.run(running.state, "circuits", "open", name).output == f"{name}: open\n"
    (row,) = [line for line in service.run(running.state, "circuits").output.splitlines() if name in line]
    assert row.split()[-4:] == ["open", "0", "once", "reset"]
    assert service.run(running.state, "circuits", "reset", name).output == f"{name}: closed\n"
    moved = running.get("/api/v1/audit?action=circuit_moved")["records"]
    assert [(each["actor"], each["detail"]["to"]) for each in moved] == [
        ("operator", "closed"),
        ("operator", "open"),
    ]


def test_a_circuit_that_is_put_back_is_tried_again(tmux: TmuxBox) -> None:
    """What stood still because of it is taken up at once, and the record says who did it."""
    file = tmux.folder / "always.yml"
    file.write_text("sessions: {restore: always}\n")
    with sidecar_box(tmux, "--config", str(file)) as sidecar:
        put_back(tmux, sidecar)


def put_back(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "web", "sleep 5001")
    sidecar.stored("web", "keep")
    sidecar.stop()
    with closing(sqlite3.connect(sidecar.state / "sidecar.db", isolation_level=None)) as connection:
        values = ("restore_checkpoint", "open", "[]", SystemClock().wall(), 0, "[]", 0, 0)
        connection.execute("INSERT OR REPLACE INTO circuits VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    tmux.run("kill-session", "-t", "=web")
    sidecar.start()
    note = eventually(lambda: sidecar.sessions()["web"]["note"], "it stands still")
    assert "restore_checkpoint has failed" in note
    assert "restore_checkpoint  open" in service.run(sidecar.state, "circuits").output
    done = service.run(sidecar.state, "circuits", "reset", "restore_checkpoint")
    assert (done.exit_code, done.output) == (0, "restore_checkpoint: closed\n")
    sidecar.verified("web")
    (moved,) = [
        row
        for row in sidecar.get("/api/v1/audit?action=circuit_moved")["records"]
        if row["actor"] == "operator"
    ]
    assert moved["detail"].items() >= {"from": "open", "to": "closed", "forced": False}.items()
    assert moved["detail"]["by"]["scope"] == "admin"


def test_a_chain_that_was_broken(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    sidecar.checked = False
    with closing(sqlite3.connect(sidecar.state / "sidecar.db", isolation_level=None)) as connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE id = 1")
    done = service.run(sidecar.state, "audit", "verify")
    assert done.exit_code == 1
    assert done.output == "record 1: it was changed, or is not where it was\n"


def test_a_chain_in_no_database(tmp_path: Path) -> None:
    (tmp_path / "sidecar.db").write_bytes(b"junk" * 5000)
    done = service.run(tmp_path, "audit", "verify")
    assert done.exit_code == 1
    assert done.stderr.startswith("sidecar: the database cannot be read: file is not a database\nhint: ")


async def test_an_explanation_with_all_its_parts(stand: Stand) -> None:
    refusal = {
        "act": False,
        "reason": "cause_unknown",
        "sentence": "held",
        "hint": "Ask.",
        "retry_after": None,
    }
    plan = {"act": True, "strategy": "restore_checkpoint", "steps": ["rebuild session"]}
    body = {
        "session": "web", "health": "crashed", "duty": "not_expected", "live": False, "checkpoint": None,
        "failure": "crashed", "unit": "session", "cause": "unknown", "intent": "unknown",
        "evidence": [{"source": "tmux", "fact": "gone\x1b[2J"}], "by_itself": refusal, "on_request": plan,
        "hypotheses": [
            {"cause": "unknown", "score": 0, "for": [{"source": "record", "fact": "unseen"}], "against": []},
            {
                "cause": "out_of_memory", "score": -4, "for": [],
                "against": [{"source": "/proc/vmstat", "fact": "nothing was killed"}],
            },
        ],
        "incident": {
            "id": 7, "state": "held", "opened": 0.0, "sentence": "it is held",
            "evidence": [{"source": "tmux", "fact": "gone\x1b[2J"}, {"source": "disk", "fact": "full"}],
        },
    }  # fmt: skip
    stand.answer("GET", "/api/v1/sessions/web/explain", (200, body))
    done = await asyncio.to_thread(service.run, stand.state, "explain", "web")
    assert done.output.splitlines() == [
        "web: crashed, not expected",
        "checkpoint: none",
        "failure: crashed (session)",
        "cause: unknown, intent unknown",
        "  tmux: gone\\x1b[2J",
        "considered, likeliest first:",
        "  unknown (0)",
        "    + record: unseen",
        "  out_of_memory (-4)",
        "    - /proc/vmstat: nothing was killed",
        "incident 7: held, opened -: it is held",
        "  disk: full",
        "  what was seen then: `sidecar incidents show 7`",
        "by itself: nothing (cause_unknown): held",
        "  hint: Ask.",
        "on request: restore_checkpoint",
        "  rebuild session",
    ]


async def test_an_adopted_session_that_is_not_there(stand: Stand) -> None:
    body = {"session": "web", "standing": "live", "live": False, "changed": True}
    stand.answer("POST", "/api/v1/sessions/web/adopt", (200, body))
    done = await asyncio.to_thread(service.run, stand.state, "adopt", "web")
    assert done.output == "web is in our care again, though it is not there now\n"


async def test_a_long_trail_and_an_open_circuit(stand: Stand) -> None:
    row = {
        "id": 9, "at": 1.0, "session": "", "action": "started", "actor": "sidecar", "reason": "",
        "detail": {"words": "x" * 300},
    }  # fmt: skip
    stand.answer("GET", "/api/v1/audit", (200, {"records": [row], "next": 9}))
    done = await asyncio.to_thread(service.run, stand.state, "audit", "list")
    assert done.output.splitlines()[1].endswith("xxx…")
    assert done.output.splitlines()[2] == "there are older ones: --before 9"
    circuit = {"name": "retry", "state": "open", "failures": 0, "retry_after": 12.4}
    stand.answer("GET", "/api/v1/circuits", (200, {"circuits": [circuit]}))
    done = await asyncio.to_thread(service.run, stand.state, "circuits")
    assert done.output.splitlines()[1] == "retry    open   0         in 12 s"


@pytest.mark.parametrize(
    "words", [("explain", "x"), ("release", "x"), ("adopt", "x"), ("audit", "list"), ("circuits",)]
)
def test_without_the_service_one_line_says_so(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = service.run(tmp_path, *words)
    assert done.exit_code == 1
    assert done.stderr.startswith("sidecar: no sidecar has run with the state folder")


def test_incidents_and_what_was_seen_before_anything_was_done(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    command = "trap '' HUP; echo last words --token=abcdefgh; sleep 5006 & exec sleep 5007"
    tmux.run("new-session", "-d", "-s", "web", "-x", "90", "-y", "20", command)
    sidecar.stored("web")
    pid = int(eventually(lambda: tmux.show("=web:", "#{pane_pid}")))
    eventually(lambda: b"5007" in Path(f"/proc/{pid}/cmdline").read_bytes())
    assert service.run(sidecar.state, "incidents").output == "no incidents\n"
    os.kill(pid, signal.SIGKILL)
    sidecar.verified("web")
    eventually(lambda: sidecar.get("/api/v1/incidents/1")["diagnostics"], "what was seen")
    head, row = service.run(sidecar.state, "incidents").output.splitlines()
    assert head.split()[:3] == ["ID", "OPENED", "SESSION"]
    assert row.split()[0] == "1"
    assert "recovered" in row
    (line,) = json.loads(service.run(sidecar.state, "incidents", "list", "web", "--json").output)["incidents"]
    assert line["state"] == "recovered"
    assert service.run(sidecar.state, "incidents", "list", "--waiting").output == "no incidents\n"
    done = service.run(sidecar.state, "incidents", "show", "1")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "incident 1: web crashed (pane), recovered"
    assert "cause: process_killed, intent failure" in lines[2]
    assert any(line.startswith("recovery 1: respawn_pane, verified after ") for line in lines)
    assert f"  pane %0, process {pid}: process {pid} was ended by SIGKILL" in lines
    assert "      | last words --token=***" in lines
    assert "abcdefgh" not in done.output
    assert any("sleep 5006" in line and f"{os.getpid()}" not in line.split()[:1] for line in lines)
    assert any(line.startswith("  machine: load ") for line in lines)
    assert any(line.startswith("  newest checkpoint: ") for line in lines)
    assert not [line for line in lines if "not captured" in line]
    seen = json.loads(service.run(sidecar.state, "incidents", "show", "1", "--json").output)["diagnostics"]
    assert seen["seconds"] < 0.25
    survivor = next(one for one in seen["panes"][0]["tree"]["processes"] if one["command"] == "sleep 5006")
    os.kill(survivor["pid"], signal.SIGKILL)
    assert service.run(sidecar.state, "incidents", "show", "99").exit_code == 1
    assert "last words" not in sidecar.log.read_text()
    assert "last words" not in json.dumps(sidecar.get("/api/v1/audit"))
