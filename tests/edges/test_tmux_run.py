"""One call to tmux: three answers, and never a client left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from sidecar.config import TmuxSettings
from sidecar.edges.tmux.run import TmuxRunner, classify, end_client
from sidecar.errors import Permanent, TmuxAbsent, TmuxRefused, TmuxUnknown
from tests.box import TmuxBox, eventually


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("no server running on /tmp/tmux-0/default", TmuxAbsent),
        ("error connecting to /tmp/tmux-0/x (No such file or directory)", TmuxAbsent),
        ("error connecting to /tmp/tmux-0/x (Connection refused)", TmuxAbsent),
        ("error connecting to /tmp/tmux-0/x (Permission denied)", TmuxUnknown),
        ("error connecting to /tmp/tmux-0/x (Resource temporarily unavailable)", TmuxUnknown),
        ("server exited unexpectedly", TmuxUnknown),
        ("lost server", TmuxUnknown),
        ("access not allowed", TmuxUnknown),
        ("can't find session: web", TmuxRefused),
        ("/tmp/x (No such file or directory)", TmuxRefused),
        ("", TmuxRefused),
    ],
)
def test_tmuxs_words_are_one_of_three_answers(words: str, kind: type[Exception]) -> None:
    assert type(classify(words)) is kind


async def test_no_server_is_absent(runner: TmuxRunner) -> None:
    with pytest.raises(TmuxAbsent):
        await runner.call("list-sessions")


async def test_a_stopped_server_is_unknown_and_its_client_is_killed(
    tmux: TmuxBox, runner: TmuxRunner
) -> None:
    tmux.run("new-session", "-d", "-s", "a", "sleep 1000")
    hasty = TmuxRunner(TmuxSettings(socket_name=tmux.name, timeout=0.2), runner.environment)
    server = tmux.server_pid()
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(TmuxUnknown, match=r"within 0\.2 s"):
            await hasty.call("list-sessions")
        assert _clients(tmux) == []
    finally:
        os.kill(server, signal.SIGCONT)
    assert await hasty.call("list-sessions", "-F", "#{session_name}") == b"a\n"


async def test_a_cancelled_call_leaves_no_client(tmux: TmuxBox, runner: TmuxRunner) -> None:
    tmux.run("new-session", "-d", "-s", "a", "sleep 1000")
    call = asyncio.create_task(runner.call("wait-for", "never", seconds=60))
    await asyncio.to_thread(eventually, lambda: _clients(tmux), "the client")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert _clients(tmux) == []
    assert tmux.sessions() == {"a"}


async def test_a_long_script_that_nobody_reads_is_given_up(tmux: TmuxBox, runner: TmuxRunner) -> None:
    tmux.run("new-session", "-d", "-s", "a", "sleep 1000")
    server = tmux.server_pid()
    os.kill(server, signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            with pytest.raises(TmuxUnknown):
                await runner.source(b"#" * 1_000_000, seconds=0.2)
        assert _clients(tmux) == []
    finally:
        os.kill(server, signal.SIGCONT)


async def test_a_client_that_ends_by_itself_meanwhile_is_reaped_once(
    runner: TmuxRunner, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(100):
        client = await runner.start(["true"])
        # Nothing else runs meanwhile, so its end is seen only after it has come.
        time.sleep(number / 20_000)
        await end_client(client)
        assert client.returncode is not None
    assert caplog.messages == []


async def test_a_script_of_any_length_goes_through(tmux: TmuxBox, runner: TmuxRunner) -> None:
    tmux.run("new-session", "-d", "-s", "a", "sleep 1000")
    script = b"".join(b"set-option -g @long '%s'\n" % (b"x" * 50_000) for _ in range(20))
    await runner.source(script)
    assert len(tmux.run("show-options", "-gv", "@long")) == 50_000


async def test_a_failing_line_does_not_stop_the_others(tmux: TmuxBox, runner: TmuxRunner) -> None:
    tmux.run("new-session", "-d", "-s", "a", "sleep 1000")
    with pytest.raises(TmuxRefused, match="can't find session: b"):
        await runner.source(b"kill-session -t =b\nset-option -g @after 1\n")
    assert tmux.run("show-options", "-gv", "@after") == "1"


async def test_a_machine_without_tmux_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(Permanent) as raised:
        await TmuxRunner(TmuxSettings(), {"PATH": str(tmp_path)}).call("list-sessions")
    assert "apt-get install tmux" in raised.value.hint


def test_a_runner_looks_where_tmux_listens(tmux: TmuxBox, runner: TmuxRunner) -> None:
    tmux.run("new-session", "-d", "sleep 1000")
    assert str(runner.socket) == tmux.run("display-message", "-p", "#{socket_path}")


def test_a_folder_that_is_not_there_is_replaced_as_tmux_does() -> None:
    runner = TmuxRunner(TmuxSettings(socket_name="x"), {"TMUX_TMPDIR": "/does/not/exist"})
    assert str(runner.socket) == f"/tmp/tmux-{os.getuid()}/x"
    assert TmuxRunner(TmuxSettings(socket_path="/a/b")).socket == Path("/a/b")


def test_our_own_pane_is_not_passed_on() -> None:
    runner = TmuxRunner(TmuxSettings(), {"TMUX": "/tmp/x,1,0", "TMUX_PANE": "%1", "HOME": "/root"})
    assert runner.client_environment() == {"HOME": "/root"}


def _clients(tmux: TmuxBox) -> list[int]:
    """Children of ours that speak to the box's server."""
    children = psutil.Process().children()
    return [child.pid for child in children if child.name().startswith("tmux")]
