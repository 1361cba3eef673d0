"""Sessions declared in workspace files: the real service makes them, and brings them back."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box

SHAPE = "#{window_index} #{window_name} #{pane_index} #{pane_current_path} #{window_active}#{pane_active}"
WEB = """\
session_name: web
start_directory: {folder}
environment: {{COLOUR: green}}
windows:
- window_name: code
  layout: main-vertical
  focus: true
  panes:
  - focus: true
    shell_command:
    - echo "the colour is $COLOUR" > said
    - {{cmd: echo held, enter: false}}
  - start_directory: sub
  - null
- window_name: logs
  window_index: 7
  window_shell: sleep 5001
"""


def declare(tmux: TmuxBox, *, config: str = "", **files: str) -> Path:
    """Write workspace files into a folder and a configuration that names it."""
    folder = tmux.folder / "workspaces"
    (tmux.folder / "sub").mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    file = tmux.folder / "config.yml"
    file.write_text(f"sessions: {{workspaces: ['{folder}']{config}}}\n")
    return file


def web(tmux: TmuxBox) -> str:
    return WEB.format(folder=tmux.folder)


def shape(tmux: TmuxBox) -> list[str]:
    return [line for line in tmux.panes(f"#{{session_name}}: {SHAPE}") if line.startswith("web: ")]


def expected(tmux: TmuxBox) -> list[str]:
    home = tmux.folder
    return [
        f"web: 0 code 0 {home} 11",
        f"web: 0 code 1 {home}/sub 10",
        f"web: 0 code 2 {home} 10",
        f"web: 7 logs 0 {home} 01",
    ]


def test_a_declared_session_is_made_at_start_even_without_a_server(tmux: TmuxBox) -> None:
    with sidecar_box(tmux, "--config", str(declare(tmux, web=web(tmux)))) as sidecar:
        row = sidecar.verified("web")
        assert (row["cause"], row["strategy"], row["checkpoint"]) == (
            "never_started",
            "rebuild_workspace",
            None,
        )
        assert shape(tmux) == expected(tmux)
        assert (tmux.folder / "said").read_text() == "the colour is green\n"
        screen = tmux.run("capture-pane", "-p", "-t", "=web:code.0").rstrip()
        assert screen.endswith("echo held")
        assert sidecar.sessions()["web"]["declared"] is True
        server = tmux.server_pid()
        assert sidecar.stop() == 0
        assert tmux.server_pid() == server


def test_it_comes_back_after_a_person_has_closed_it(tmux: TmuxBox) -> None:
    with sidecar_box(tmux, "--config", str(declare(tmux, web=web(tmux)))) as sidecar:
        sidecar.verified("web")
        sidecar.stored("web")
        (tmux.folder / "said").unlink()
        tmux.run("kill-session", "-t", "=web")
        row = sidecar.verified("web", 2)
        assert (row["cause"], row["strategy"]) in [
            ("session_closed", "restore_checkpoint"),
            ("server_stopped", "restore_checkpoint"),
        ]
        assert shape(tmux) == expected(tmux)
        assert not (tmux.folder / "said").exists()


def test_it_comes_back_from_its_file_when_no_checkpoint_is_good(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    with sidecar_box(tmux, "--config", str(declare(tmux, web=web(tmux)))) as sidecar:
        sidecar.verified("web")
        sidecar.stored("web", "keep")
        with closing(sqlite3.connect(sidecar.state / "sidecar.db", isolation_level=None)) as database:
            database.execute(
                "UPDATE checkpoints SET body = replace(body, 'code', 'c0de') WHERE session = 'web'"
            )
        tmux.run("kill-session", "-t", "=web")
        row = sidecar.verified("web", 2)
        assert (row["strategy"], row["checkpoint"]) == ("rebuild_workspace", None)
        assert shape(tmux) == expected(tmux)


def test_it_is_built_anew_on_request(tmux: TmuxBox) -> None:
    config = declare(tmux, web=web(tmux), config=", restore: never, overrides: {web: {restore: never}}")
    with sidecar_box(tmux, "--config", str(config)) as sidecar:
        assert sidecar.sessions() == {}
        assert tmux.sessions() == set()
        status, body = sidecar.call("POST", "/recover", {"session": "web", "strategy": "rebuild_workspace"})
        assert status == 202, body
        sidecar.verified("web")
        assert shape(tmux) == expected(tmux)
        # The picture is drawn anew with the look after the recovery.
        shown = eventually(lambda: sidecar.sessions().get("web"), "web in the status")
        assert shown["declared"] is True


def test_a_live_session_of_its_name_is_adopted_and_left_as_it_is(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-n", "mine", "sleep 5000")
    pid = tmux.show("=web:", "#{pane_pid}")
    with sidecar_box(tmux, "--config", str(declare(tmux, web=web(tmux)))) as sidecar:
        sidecar.stored("web")
        assert sidecar.sessions()["web"]["declared"] is True
        assert sidecar.recoveries("web") == []
        assert tmux.panes("#{window_name} #{pane_pid}") == [f"mine {pid}"]


def test_a_broken_file_stops_no_other(tmux: TmuxBox) -> None:
    config = declare(tmux, api="session_name: api\nwindows: [{panes: []}]\n", web=web(tmux))
    with sidecar_box(tmux, "--config", str(config)) as sidecar:
        sidecar.verified("web")
        assert set(sidecar.sessions()) == {"web"}
        (fault,) = sidecar.get("/api/v1/sessions")["workspace_faults"]
        assert fault.startswith(f"{tmux.folder}/workspaces/api.yaml:2: windows[0].panes: is empty")
        (line,) = [line for line in sidecar.actions() if line["action"] == "workspace_refused"]
        assert line["fault"] == fault


def test_what_a_reload_declares_is_made_and_a_file_gone_bad_keeps_its_session(tmux: TmuxBox) -> None:
    config = declare(tmux, web=web(tmux))
    with sidecar_box(tmux, "--config", str(config)) as sidecar:
        sidecar.verified("web")
        declare(tmux, web="session_name: [", api="session_name: api\nwindows: [{}]\n")
        assert sidecar.call("POST", "/-/reload") == (200, {"reloaded": True})
        sidecar.verified("api")
        assert sidecar.sessions()["web"]["declared"] is True
        os.kill(tmux.server_pid(), signal.SIGKILL)
        sidecar.verified("web", 2)
        sidecar.verified("api", 2)
        assert shape(tmux) == expected(tmux)
        for name in ("web", "api"):
            (tmux.folder / "workspaces" / f"{name}.yaml").unlink()
        declare(tmux, other="session_name: other\nwindows: [{}]\n")
        assert sidecar.call("POST", "/-/reload")[0] == 200
        sidecar.verified("other")
        assert {name: one["declared"] for name, one in sidecar.sessions().items()} == {
            "web": False,
            "api": False,
            "other": True,
        }


def test_a_script_runs_once_before_the_first_creation_only(tmux: TmuxBox) -> None:
    script = 'before_script: sh -c "pwd >> ran"\n'
    with sidecar_box(tmux, "--config", str(declare(tmux, web=script + web(tmux)))) as sidecar:
        row = sidecar.verified("web")
        steps = sidecar.get(f"/api/v1/recoveries/{row['id']}")["recovery"]["steps"]
        assert [step["kind"] for step in steps] == ["run_script", "build_workspace", "furnish_workspace"]
        os.kill(tmux.server_pid(), signal.SIGKILL)
        sidecar.verified("web", 2)
        assert sidecar.stop() == 0
        os.kill(tmux.server_pid(), signal.SIGKILL)
        eventually(lambda: not tmux.server_pid(), "the end of the server")
        with closing(sqlite3.connect(sidecar.state / "sidecar.db", isolation_level=None)) as database:
            database.execute("DELETE FROM checkpoints")
        sidecar.start()
        row = sidecar.verified("web", 3)
        assert row["strategy"] == "rebuild_workspace"
        assert (tmux.folder / "ran").read_text() == f"{tmux.folder}\n"


def outcomes(sidecar: SidecarBox) -> list[str]:
    return [row["state"] for row in sidecar.get("/api/v1/recoveries")["recoveries"]]


def test_names_of_a_file_stay_text(tmux: TmuxBox) -> None:
    name = "#(touch pwned) #{pid}"
    (tmux.folder / name).mkdir()
    text = f"session_name: '{name}'\nstart_directory: '~/{name}'\nwindows: [{{window_name: '{name}'}}]\n"
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    with sidecar_box(tmux, "--config", str(declare(tmux, odd=text))) as sidecar:
        for count in (1, 2):
            eventually(lambda count=count: outcomes(sidecar) == ["verified"] * count, "the session")
            assert f"{name} {name} {tmux.folder}/{name}" in tmux.panes(
                "#{session_name} #{window_name} #{pane_current_path}"
            )
            sidecar.stored(name)
            ids = tmux.run("list-sessions", "-F", "#{session_id} #{session_name}").splitlines()
            tmux.run("kill-session", "-t", next(line.split()[0] for line in ids if name in line))
    assert not list(tmux.folder.rglob("pwned"))


def test_all_that_a_start_has_to_create_is_one_incident(tmux: TmuxBox) -> None:
    files = {f"s{number}": f"session_name: s{number}\nwindows: [{{}}]\n" for number in range(25)}
    with sidecar_box(tmux, "--config", str(declare(tmux, **files))):
        eventually(lambda: tmux.sessions() == set(files), "every session")
