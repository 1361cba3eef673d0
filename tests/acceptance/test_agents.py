"""Agents on a real tmux with the real service: stand-ins that write down how they were called."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sidecar.edges.process import uptime
from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box, tmux_box

HOOK = Path(__file__).parents[2] / "deploy" / "claude" / "tell-sidecar"
SETTINGS = HOOK.with_name("settings.json")
IDS = [f"0000000{n}-58a4-4b1e-9f43-0a4f6f9b2c11" for n in range(10)]

STAND_IN = """\
#!/bin/sh
printf '%s\\037' "$(date +%s%N)" "$TMUX_PANE" "$PWD" "${0##*/}" "$@" >> "$HOME/called"
printf '\\n' >> "$HOME/called"
[ -z "$HOOK_ID" ] || printf '{"session_id":"%s","hook_event_name":"SessionStart"}' "$HOOK_ID" |
    sh -c '"$0"' "$HOOK"
while :; do sleep 1000; done
"""


@dataclass(frozen=True)
class Call:
    """One start of a stand-in."""

    moment: int
    pane: str
    folder: str
    words: tuple[str, ...]


class AgentBox(TmuxBox):
    """A private home with stand-ins in front of the path."""

    @property
    def environment(self) -> dict[str, str]:
        found = super().environment
        return {
            **{key: value for key, value in found.items() if not key.startswith("CLAUDE")},
            "PATH": f"{self.folder}/bin:{found['PATH']}",
            "HOOK": str(HOOK),
        }

    def install(self, *names: str) -> None:
        for name in names:
            file = self.folder / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(STAND_IN)
            file.chmod(0o755)

    def calls(self) -> list[Call]:
        file = self.folder / "called"
        lines = file.read_text().splitlines() if file.exists() else []
        return [
            Call(int(moment), pane, folder, tuple(words))
            for moment, pane, folder, *words in (line.split("\x1f")[:-1] for line in lines)
        ]

    def folders(self, *names: str) -> list[str]:
        made = [self.folder / "work" / name for name in names]
        for each in made:
            each.mkdir(parents=True, exist_ok=True)
        return [str(each) for each in made]

    def open(self, session: str, *folders: str) -> None:
        """A session with a window for each folder, a plain shell in each."""
        first, *others = folders
        self.run("new-session", "-d", "-s", session, "-x", "200", "-y", "50", "-c", first, "-n", "w0")
        for number, folder in enumerate(others, start=1):
            self.run("new-window", "-d", "-t", f"={session}:{number}", "-c", folder, "-n", f"w{number}")

    def type(self, target: str, line: str) -> None:
        """Type a line and wait until its stand-in has begun."""
        before = len(self.calls())
        self.run("send-keys", "-t", target, line, "Enter")
        eventually(lambda: len(self.calls()) > before, f"the start of {line}")

    def place(self, pane: str) -> str:
        return self.show(pane, "#{session_name}:#{window_index}")

    def screen(self, target: str) -> str:
        return self.run("capture-pane", "-p", "-J", "-t", target)

    def transcript(self, folder: str, conversation: str) -> None:
        name = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder)
        file = self.folder / ".claude" / "projects" / name / f"{conversation}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}\n")


@pytest.fixture
def tmux() -> Iterator[AgentBox]:
    with tmux_box() as plain:
        box = AgentBox(plain.folder)
        (box.folder / ".bash_profile").write_text(f"PATH={box.folder}/bin:$PATH; PS1='$ '\n")
        yield box


@pytest.fixture
def sidecar(tmux: AgentBox) -> Iterator[SidecarBox]:
    with sidecar_box(tmux) as box:
        yield box


def known(sidecar: SidecarBox, session: str, *texts: str) -> None:
    """Wait until the newest checkpoint of the session holds these texts."""

    def stored() -> bool:
        with closing(sqlite3.connect(f"file:{sidecar.state}/sidecar.db?mode=ro", uri=True)) as database:
            row = database.execute(
                "SELECT body FROM checkpoints WHERE session = ? ORDER BY id DESC LIMIT 1", (session,)
            ).fetchone()
        return row is not None and all(text in row[0] for text in texts)

    eventually(stored, f"a checkpoint of {session} with {texts}")


def conversations(*ids: str) -> list[str]:
    return [f'"conversation":"{each}"' for each in ids]


def kill_server(tmux: AgentBox) -> int:
    """Kill it; gives how many calls there were."""
    before = len(tmux.calls())
    os.kill(tmux.server_pid(), signal.SIGKILL)
    return before


def differences(sidecar: SidecarBox, session: str) -> str:
    row = sidecar.verified(session)
    return json.dumps(sidecar.get(f"/api/v1/recoveries/{row['id']}"))


def test_each_agent_gets_its_own_conversation_in_its_own_pane(tmux: AgentBox, sidecar: SidecarBox) -> None:
    tmux.install("claude", "codex", "gemini", "aider")
    folders = tmux.folders("set", "resumed", "codex", "gemini", "aider", "told", "written", "own")
    tmux.open("web", *folders[:-1])
    for folder, conversation in zip(folders, IDS, strict=False):
        if conversation not in (IDS[2], IDS[3], IDS[4], IDS[6]):
            tmux.transcript(folder, conversation)
    tmux.type("=web:0", f"claude --session-id {IDS[0]} --model opus 'do it'")
    tmux.type("=web:1", f"claude -r {IDS[1]} --permission-mode plan")
    tmux.type("=web:2", f"codex -m o3 resume {IDS[2]}")
    tmux.type("=web:3", f"gemini --resume {IDS[3]} -m pro")
    tmux.type("=web:4", "aider --yes a.py")
    tmux.type("=web:5", f"HOOK_ID={IDS[5]} claude --verbose")
    tmux.type("=web:6", "claude")
    tmux.transcript(folders[6], IDS[6])
    tmux.run("new-window", "-d", "-t", "=web:7", "-c", folders[7], "claude", "--session-id", IDS[7])
    eventually(lambda: len(tmux.calls()) == 8, "all stand-ins")
    known(sidecar, "web", *conversations(*IDS[:4], *IDS[5:8]))

    before = kill_server(tmux)
    report = differences(sidecar, "web")
    again = {tmux.place(call.pane): call for call in tmux.calls()[before:]}
    assert len(tmux.calls()) - before == len(again) == 8
    words = {place: call.words for place, call in again.items()}
    assert words == {
        "web:0": ("claude", "--model", "opus", "--resume", IDS[0]),
        "web:1": ("claude", "--permission-mode", "plan", "--resume", IDS[1]),
        "web:2": ("codex", "resume", IDS[2], "-m", "o3"),
        "web:3": ("gemini", "-m", "pro", "--resume", IDS[3]),
        "web:4": ("aider", "--restore-chat-history", "--yes", "a.py"),
        "web:5": ("claude", "--verbose", "--resume", IDS[5]),
        "web:6": ("claude", "--resume", IDS[6]),
        "web:7": ("claude", "--resume", IDS[7]),
    }
    assert [again[f"web:{number}"].folder for number in range(8)] == folders
    assert f"started as `/bin/sh {tmux.folder}/bin/claude --resume {IDS[7]}`" in report
    for number in (0, 5, 7):
        told = tmux.show(f"=web:{number}", "#{@sidecar_conversation}")
        assert told.startswith(f"claude:{IDS[number]}:")


def test_agents_that_share_a_folder_are_held(tmux: AgentBox, sidecar: SidecarBox) -> None:
    tmux.install("claude", "codex")
    (shared,) = tmux.folders("shared")
    tmux.open("web", shared, shared, shared)
    tmux.type("=web:0", "claude")
    tmux.type("=web:1", "claude --model opus")
    tmux.type("=web:2", "codex")
    known(sidecar, "web", "bin/claude", "opus", "bin/codex")
    before = kill_server(tmux)
    assert "another pane shares the folder" in differences(sidecar, "web")
    assert len(tmux.calls()) == before
    assert tmux.screen("=web:1").rstrip().endswith("bin/claude --model opus")
    tmux.type("=web:1", "")
    assert tmux.calls()[-1].words == ("claude", "--model", "opus")


def test_two_panes_are_never_merged_into_one_conversation(tmux: AgentBox, sidecar: SidecarBox) -> None:
    tmux.install("claude")
    folders = tmux.folders("one", "two", "three")
    for name, folder in zip(("api", "web", "zoo"), folders, strict=True):
        tmux.open(name, folder, folder)
        tmux.type(f"={name}:0", f"claude --resume {IDS[0]}")
        known(sidecar, name, *conversations(IDS[0]))
    before = kill_server(tmux)
    reports = [differences(sidecar, name) for name in ("api", "web", "zoo")]
    again = tmux.calls()[before:]
    assert [(tmux.place(call.pane), call.words) for call in again] == [
        ("api:0", ("claude", "--resume", IDS[0]))
    ]
    assert [" of api has the same conversation" in report for report in reports] == [False, True, True]


def test_a_conversation_without_transcript_is_held(tmux: AgentBox, sidecar: SidecarBox) -> None:
    tmux.install("claude")
    (folder,) = tmux.folders("one")
    tmux.transcript(folder, IDS[1])
    tmux.open("web", folder)
    tmux.type("=web:0", f"claude --session-id {IDS[0]}")
    known(sidecar, "web", *conversations(IDS[0]))
    before = kill_server(tmux)
    assert "there is no transcript" in differences(sidecar, "web")
    assert len(tmux.calls()) == before


def test_heavy_programs_start_in_turns_and_light_ones_at_once(tmux: AgentBox) -> None:
    tmux.install("claude", "top")
    config = tmux.folder / "config.yml"
    config.write_text("recovery: {starts: 2 per 3s}\n")
    folders = tmux.folders("a", "b", "c", "d", "e")
    with sidecar_box(tmux, "--config", str(config)) as sidecar:
        tmux.open("web", *folders[:3], folders[0])
        tmux.open("api", folders[3])
        tmux.run("new-window", "-d", "-t", "=api:1", "-c", folders[4], "claude", "--resume", IDS[4])
        for number in range(3):
            tmux.type(f"=web:{number}", f"claude --resume {IDS[number]}")
        tmux.type("=web:3", "top")
        tmux.type("=api:0", f"claude --resume {IDS[3]}")
        known(sidecar, "web", "bin/top", *conversations(*IDS[:3]))
        known(sidecar, "api", *conversations(*IDS[3:5]))
        before = kill_server(tmux)
        sidecar.verified("web")
        sidecar.verified("api")
        again = sorted(tmux.calls()[before:], key=lambda call: call.moment)
        agents = [call for call in again if call.words[0] == "claude"]
        assert {call.words[-1] for call in agents} == set(IDS[:5])
        assert agents[2].moment - agents[0].moment > 1_000_000_000
        assert agents[4].moment - agents[2].moment > 1_000_000_000
        (light,) = (call for call in again if call.words[0] == "top")
        assert light.moment < agents[2].moment


def test_a_killed_agent_goes_on_in_the_same_pane(tmux: AgentBox, sidecar: SidecarBox) -> None:
    tmux.install("claude")
    folders = tmux.folders("one", "two")
    tmux.open("web", *folders)
    tmux.type("=web:0", f"HOOK_ID={IDS[0]} claude --model opus")
    tmux.transcript(folders[0], IDS[0])
    known(sidecar, "web", *conversations(IDS[0]))
    (pane,) = (call.pane for call in tmux.calls())
    os.kill(foreground(tmux, pane), signal.SIGKILL)
    assert sidecar.verified("web")["strategy"] == "resume_program"
    assert tmux.calls()[1:] == [replace(tmux.calls()[1], pane=pane, folder=folders[0])]
    assert tmux.calls()[1].words == ("claude", "--model", "opus", "--resume", IDS[0])


def test_a_killed_pane_of_an_agent_is_respawned_with_its_conversation(
    tmux: AgentBox, sidecar: SidecarBox
) -> None:
    tmux.install("claude")
    one, two = tmux.folders("one", "two")
    tmux.open("web", one)
    tmux.run("new-window", "-d", "-t", "=web:1", "-c", two, "claude", "--session-id", IDS[0], "do it")
    eventually(tmux.calls, "the agent")
    known(sidecar, "web", *conversations(IDS[0]))
    pane = tmux.calls()[0].pane
    os.kill(int(tmux.show(pane, "#{pane_pid}")), signal.SIGKILL)
    report = differences(sidecar, "web")
    assert sidecar.verified("web")["strategy"] == "respawn_pane"
    assert f"started as `/bin/sh {tmux.folder}/bin/claude --resume {IDS[0]}`" in report
    eventually(lambda: len(tmux.calls()) == 2, "the agent again")
    assert tmux.calls()[1] == replace(
        tmux.calls()[1], pane=pane, folder=two, words=("claude", "--resume", IDS[0])
    )
    os.kill(int(tmux.show(pane, "#{pane_pid}")), signal.SIGKILL)
    sidecar.verified("web", 2)
    eventually(lambda: len(tmux.calls()) == 3, "the agent once more")
    assert tmux.calls()[2].words == ("claude", "--resume", IDS[0])


class TestHook:
    """The hook that is shipped, in a real pane."""

    def told(self, tmux: AgentBox, content: str, *, script: str = '"$HOOK"', earlier: str = "") -> str:
        """What the pane's option is after an agent has run the hook with this input."""
        (tmux.folder / "input").write_text(content)
        agent = tmux.folder / "bin" / "claude"
        agent.parent.mkdir(exist_ok=True)
        agent.write_text(
            f'#!/bin/sh\n{script} < "$HOME/input" > "$HOME/out" 2>&1; echo $? >> "$HOME/out"\nsleep 1000\n'
        )
        agent.chmod(0o755)
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        if earlier:
            tmux.run("set-option", "-p", "-t", "=web:", "@sidecar_conversation", earlier)
        tmux.run("respawn-pane", "-k", "-t", "=web:", str(agent))
        output = tmux.folder / "out"
        eventually(lambda: output.exists() and output.read_text().endswith("0\n"), "the hook's end")
        assert output.read_text() == "0\n"
        return tmux.show("=web:", "#{@sidecar_conversation}")

    @pytest.mark.parametrize(
        "content",
        [
            f'{{"session_id":"{IDS[0]}","hook_event_name":"SessionStart","source":"startup"}}',
            f'{{"session_id":"{IDS[0]}","hook_event_name":"SessionStart","x":"\\",\\"session_id\\":\\"y"}}',
            f'{{\n  "hook_event_name" : "SessionStart",\n  "session_id" :\n "{IDS[0]}"\n}}\n',
            f'{{"x":"\\",\\"session_id\\":\\"y","session_id":"{IDS[0]}","hook_event_name":"SessionStart"}}',
        ],
    )
    def test_it_tells_the_conversation(self, tmux: AgentBox, content: str) -> None:
        agent, conversation, seconds = self.told(tmux, content, earlier="claude:old:1").split(":")
        assert (agent, conversation) == ("claude", IDS[0])
        assert abs(int(seconds) - uptime()) < 60

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "no JSON",
            '{"session_id":"$(touch pwned)","hook_event_name":"SessionStart"}',
            '{"session_id":"a;b","hook_event_name":"SessionStart"}',
            '{"session_id":"-x","hook_event_name":"SessionStart"}',
            '{"session_id":"","hook_event_name":"SessionStart"}',
            f'{{"session_id":"{"a" * 200}","hook_event_name":"SessionStart"}}',
            f'{{"session_id":"{IDS[0]}","hook_event_name":"Stop"}}',
            f'{{"session_id":"{IDS[1]}","hook_event_name":"SessionEnd"}}',
        ],
    )
    def test_anything_else_changes_nothing(self, tmux: AgentBox, content: str) -> None:
        assert self.told(tmux, content, earlier=f"claude:{IDS[0]}:1") == f"claude:{IDS[0]}:1"

    def test_the_end_of_the_conversation_takes_it_back(self, tmux: AgentBox) -> None:
        content = f'{{"session_id":"{IDS[0]}","hook_event_name":"SessionEnd"}}'
        assert self.told(tmux, content, earlier=f"claude:{IDS[0]}:1") == ""

    def test_an_agent_in_the_background_has_no_say(self, tmux: AgentBox) -> None:
        shutil.copy("/bin/sh", tmux.folder / "other-agent")
        content = f'{{"session_id":"{IDS[0]}","hook_event_name":"SessionStart"}}'
        script = """setsid -w "$HOME/other-agent" -c '"$HOOK"; exit $?'"""
        assert self.told(tmux, content, script=script, earlier="claude:x:1") == "claude:x:1"

    @pytest.mark.parametrize("pane", [None, "", "%", "0", "%1;x"])
    def test_outside_tmux_it_is_silent_and_well(self, tmp_path: Path, pane: str | None) -> None:
        environment = {"PATH": os.environ["PATH"], "TMUX": "/nowhere,1,0"}
        environment |= {} if pane is None else {"TMUX_PANE": pane}
        done = subprocess.run(
            [HOOK], input=b'{"session_id":"a","hook_event_name":"SessionStart"}', env=environment,
            capture_output=True, timeout=20, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    def test_the_settings_call_it_at_both_ends(self) -> None:
        hooks = json.loads(SETTINGS.read_text())["hooks"]
        assert set(hooks) == {"SessionStart", "SessionEnd"}
        for (event,) in hooks.values():
            assert [hook["command"] for hook in event["hooks"]] == [f"~/.claude/hooks/{HOOK.name}"]


def foreground(tmux: AgentBox, pane: str) -> int:
    with open(f"/proc/{tmux.show(pane, '#{pane_pid}')}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[5])
