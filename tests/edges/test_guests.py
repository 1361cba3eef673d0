"""Functions of users' own strategies: whatever they do, they do it in a process of their own."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from sidecar.clock import SystemClock
from sidecar.edges import guests
from sidecar.edges.catalogue import describe, installed
from sidecar.edges.guests import Guests
from sidecar.errors import ExtensionFailed, ExtensionUnusable, SidecarError, StepTimedOut
from sidecar.model.extension import Extension, OwnCall, OwnStep
from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit
from tests.box import TmuxBox, eventually
from tests.guestbook import HEAD, on_path, package

FINDING = Finding(
    Failure("web", FailureKind.CRASHED, (Broken(Unit.PANE, pane="%0", pid=7),), 0.0),
    Cause.COMMAND_FAILED,
    Intent.FAILURE,
    (Evidence("tmux", "it ended with 3"),),
    "o",
)
# Of this run of the tests alone: what carries it is killed.
MARK = f"mark-{uuid4().hex}"
CALL = OwnCall("kit", "do", "it", 20.0, False, MARK, "web", "", FINDING, {"%0": ("sleep", "9")}, (4, 1.5))
ONE = """
strategy = Strategy(("crashed",), ("pane",), (Step("it", it, {undo}, idempotent=True),))
"""


def step(body: str, undo: str = 'nothing_to_undo="tests"') -> str:
    return f"\ndef it(context):\n    {body}\n" + ONE.format(undo=undo)


class Visit:
    """Calls functions of one package."""

    def __init__(self, folder: Path, socket: Path = Path("/nowhere")) -> None:
        self.folder = folder
        self.memory = folder / "memory"
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        self.guests = Guests(socket, self.memory, environment, SystemClock())
        self.said: list[str] = []

    async def call(self, call: OwnCall = CALL) -> None:
        await self.guests.call(call, self.said.append)

    async def fails(self, call: OwnCall = CALL) -> SidecarError:
        with pytest.raises(SidecarError) as caught:
            await self.call(call)
        return caught.value


async def visit(folder: Path, code: str) -> SidecarError:
    return await Visit(package(folder, code)).fails()


async def test_it_gets_all_as_plain_data_and_says_what_it_does(tmp_path: Path) -> None:
    code = """
def it(context):
    part = context.finding.parts[0]
    print("no", "matter")
    context.say(f"{context.name} {context.finding.failure} {context.finding.cause} {part.unit} {part.argv}")
    context.say(f"{context.finding.evidence} {context.checkpoint.id} {context.again} password=hunter2")
""" + ONE.format(undo='nothing_to_undo="tests"')
    guest = Visit(package(tmp_path, code))
    await guest.call()
    assert guest.said == [
        "web crashed command_failed pane ('sleep', '9')",
        "('it ended with 3',) 4 False password=***",
    ]


async def test_what_it_remembers_outlives_it(tmp_path: Path) -> None:
    code = """
def it(context):
    context.remember(count=context.memory.get("count", 0) + 1, token="x")
    context.say(str(context.memory["count"]))
    if context.memory["count"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
""" + ONE.format(undo='nothing_to_undo="tests"')
    guest = Visit(package(tmp_path, code))
    await guest.call()
    assert "ended its process (-9)" in str(await guest.fails())
    await guest.call()
    assert guest.said == ["1", "2", "3"]
    file = guest.memory / f"{MARK}.json"
    assert (file.stat().st_mode & 0o777, guest.memory.stat().st_mode & 0o777) == (0o600, 0o700)
    await guest.guests.forget(MARK)
    await guest.guests.forget(MARK)
    assert not list(guest.memory.iterdir())


async def test_a_memory_that_nobody_has_removed_goes_in_the_end(tmp_path: Path) -> None:
    guest = Visit(package(tmp_path, step("pass")))
    guest.memory.mkdir()
    old, young = guest.memory / "old.json", guest.memory / "young.json"
    old.write_text("{}")
    young.write_text("{}")
    os.utime(old, (time.time() - 8 * 86_400,) * 2)
    await guest.call()
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize(
    ("body", "kind", "words", "hint"),
    [
        ("1 / 0", ExtensionFailed, "ZeroDivisionError: division by zero", r"kit 1\.0: .*kit\.py:9, in it"),
        ("raise TryAgain('not yet', hint='Wait.', after=3)", ExtensionFailed, "not yet", r"Wait\. kit"),
        ("raise GiveUp('no way', hint='Buy more.')", ExtensionUnusable, "no way", r"Buy more\. kit 1\.0: "),
        ("raise SystemExit(3)", ExtensionFailed, "SystemExit: 3", r"kit\.py:9"),
        ("os._exit(4)", ExtensionFailed, r"ended its process \(4\) without an answer", "printed nothing"),
        ("print('no'); os.kill(os.getpid(), 11)", ExtensionFailed, r"process \(-11\)", "printed: "),
        ("return 7", ExtensionUnusable, "returned 7; it returns nothing", "kit"),
        ("os.write(1, b'x' * 100_000)", ExtensionFailed, "cut off after 64 KiB", "context.say"),
        ("context.remember(all='x' * 70_000)", ExtensionFailed, "may remember 64 KiB", r"kit\.py:9"),
        ("context.remember(what={1, 2})", ExtensionFailed, "only what JSON has", r"kit\.py:9"),
        ("raise ValueError('password=hunter2')", ExtensionFailed, r"password=\*\*\*", "kit"),
        ("raise ValueError('a\\n\\x1b[31m' + 'x' * 5000)", ExtensionFailed, r"a  \[31mx{100}", "kit"),
    ],
)
async def test_what_goes_wrong_is_told_with_its_place(
    tmp_path: Path, body: str, kind: type[SidecarError], words: str, hint: str
) -> None:
    error = await visit(tmp_path, step(body))
    assert type(error) is kind
    assert error.args[0].startswith("custom:kit: do of step 'it'")
    with pytest.raises(kind, match=words):
        raise error
    with pytest.raises(AssertionError, match=hint):
        raise AssertionError(error.hint)
    assert len(str(error)) < 400


async def test_it_says_how_long_to_wait(tmp_path: Path) -> None:
    error = await visit(tmp_path, step("raise TryAgain('not yet', after=3)"))
    assert isinstance(error, ExtensionFailed)
    assert error.delay == 3.0


async def test_one_that_hangs_ends_with_all_that_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "_START", 0.0)
    code = step(
        f"own = subprocess.Popen(['sleep', '1000']); open('{tmp_path}/pids', 'w').write("
        "f'{os.getpid()} {own.pid}'); context.say('now'); signal.pthread_sigmask(0, range(1, 30));"
        "time.sleep(1000)"
    )
    guest = Visit(package(tmp_path, code))
    error = await guest.fails(replace(CALL, seconds=6.0))
    assert isinstance(error, StepTimedOut)
    assert "did not end within 6 s" in str(error)
    assert guest.said == ["now"]
    for pid in (tmp_path / "pids").read_text().split():
        eventually(lambda pid=pid: not Path(f"/proc/{pid}/cmdline").exists(), "its end")


async def test_the_loop_is_never_blocked(tmp_path: Path) -> None:
    guest = Visit(package(tmp_path, step("end = time.time() + 0.5\n    while time.time() < end: pass")))
    work = asyncio.create_task(guest.call())
    turns = 0
    while not work.done():
        await asyncio.sleep(0.01)
        turns += 1
    await work
    assert turns > 5


async def test_a_thread_that_it_leaves_behind_keeps_nobody_waiting(tmp_path: Path) -> None:
    body = "import threading; threading.Thread(target=time.sleep, args=(1000,)).start()"
    await Visit(package(tmp_path, step(body))).call()


async def test_what_a_crash_of_ours_has_left_running_is_ended(tmp_path: Path) -> None:
    guest = Visit(package(tmp_path, step(f"open('{tmp_path}/here', 'w').close(); time.sleep(1000)")))
    work = asyncio.create_task(guest.call(replace(CALL, seconds=100.0)))
    while not (tmp_path / "here").exists():
        await asyncio.sleep(0.01)
    await guest.guests.end("another")
    assert not work.done()
    await guest.guests.end(MARK)
    with pytest.raises(ExtensionFailed, match="process \\(-9\\) without an answer"):
        await work


async def test_what_is_done_already_is_not_done_again(tmp_path: Path) -> None:
    code = f"""
mark = "{tmp_path}/done"
def it(context):
    open(mark, "a").write("x")
def done(context):
    return os.path.exists(mark)
strategy = Strategy(("crashed",), ("pane",), (Step("it", it, nothing_to_undo="tests", done=done),))
"""
    guest = Visit(package(tmp_path, code))
    await guest.call(replace(CALL, again=True))
    await guest.call(replace(CALL, again=True))
    await guest.call()
    assert (tmp_path / "done").read_text() == "xx"


@pytest.mark.parametrize(
    ("answer", "kind"), [("True", None), ("False", ExtensionFailed), ("1", ExtensionUnusable)]
)
async def test_it_is_asked_whether_it_has_worked(
    tmp_path: Path, answer: str, kind: type[SidecarError] | None
) -> None:
    code = f"""
strategy = Strategy(
    ("crashed",), ("pane",), (Step("it", nothing, undo=nothing, idempotent=True),), verify=lambda c: {answer}
)
"""
    guest, call = Visit(package(tmp_path, code)), replace(CALL, want="verify", step="")
    if kind is None:
        await guest.call(call)
    else:
        assert type(await guest.fails(call)) is kind


async def test_code_that_has_changed_meanwhile(tmp_path: Path) -> None:
    guest = Visit(package(tmp_path, step("pass")))
    for call, words in (
        (replace(CALL, step="other"), "no step 'other' any more"),
        (replace(CALL, want="undo"), "no undo any more"),
        (replace(CALL, want="verify", step=""), "no verify any more"),
        (replace(CALL, strategy="other"), "no installed package brings a strategy 'other'"),
    ):
        error = await guest.fails(call)
        assert isinstance(error, ExtensionUnusable)
        assert words in str(error)


async def test_it_gets_the_session_by_libtmux(tmp_path: Path, tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web")
    tmux.run("new-session", "-d", "-s", "web-2")
    code = step("context.say(context.session.name); context.say(context.pane.pane_id); context.server.kill()")
    guest = Visit(package(tmp_path, code), tmux.socket)
    await guest.call(replace(CALL, session_id=tmux.show("=web:", "#{session_id}")))
    assert guest.said == ["web", "%0"]
    error = await guest.fails()
    assert isinstance(error, ExtensionFailed)
    assert "session web is not there" in str(error)


async def test_a_session_is_found_by_its_whole_name(tmp_path: Path, tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web-2")
    guest = Visit(package(tmp_path, step("context.session")), tmux.socket)
    assert "session web is not there" in str(await guest.fails())


async def test_libtmux_is_wanted_only_where_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "libtmux.py").write_text("raise ImportError('not here')")
    await Visit(package(tmp_path, step("assert 'libtmux' not in sys.modules"))).call()
    error = await visit(tmp_path, step("context.session"))
    assert isinstance(error, ExtensionUnusable)
    assert "libtmux is not installed" in str(error)
    assert "tmux-sidecar[extend]" in error.hint


def test_what_packages_bring_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
strategy = Strategy(
    failures=("frozen", "crashed"), units=("program",), causes=("process_suspended",),
    steps=(
        Step("one", nothing, undo=nothing, idempotent=True, seconds=2, by_hand=("rm {session}",)),
        Step("two", nothing, nothing_to_undo="tests", done=lambda context: True),
    ),
    verify=lambda context: True, verify_seconds=3,
)
"""
    on_path(package(tmp_path, code), monkeypatch)
    assert installed() == ("kit",)
    assert describe("kit") == Extension(
        "kit", "kit 1.0", (FailureKind.CRASHED, FailureKind.FROZEN), (Unit.PROGRAM,),
        (Cause.PROCESS_SUSPENDED,), (OwnStep("one", True, 2, ("rm {session}",)), OwnStep("two", False, 30.0)),
        3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import no_such_module\n",
            "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("raise SystemExit(1)\n", "cannot be imported: SystemExit: 1"),
        ("strategy = 7\n", r"kit:strategy is no sidecar\.strategies\.Strategy but int"),
        ("os._exit(0)\n", "ended its process before it said what it is for"),
        ("while True: time.sleep(1)\n", "did not say within 2 s what it is for"),
        ("strategy = Strategy((), ('pane',), ())", "failures is empty"),
        ("strategy = Strategy('crashed', ('pane',), ())", "failures is a tuple of words"),
        ("strategy = Strategy(('crashed',), ('pane',), ())", "steps has at least one Step"),
        (step("pass").replace("crashed", "crashd"), r"failure 'crashd' is unknown; there are: crashed, "),
        (step("pass").replace('"pane"', '"server"'), r"unit 'server' is unknown; there are: terminal, "),
        (step("pass").replace('"pane"', '"window"'), "a strategy for windows or sessions needs verify"),
        (step("pass", "verify"), "cannot be imported: NameError"),
        ('Step("it", nothing, idempotent=True)', "needs either undo or nothing_to_undo"),
        ('Step("it", nothing, undo=nothing)', "needs either done or idempotent=True"),
        ('Step("it", 7, undo=nothing, idempotent=True)', "do is no function"),
        ('Step("it", nothing, undo=nothing, idempotent=True, seconds=0)', "seconds is a number above 0"),
        ('Step("it;", nothing, undo=nothing, idempotent=True)', "a name has 1 to 60 letters"),
        (
            'Step("it", nothing, undo=nothing, idempotent=True, by_hand="ls")',
            "by_hand is a tuple of commands",
        ),
    ],
)
def test_what_cannot_be_used_is_told_before_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    monkeypatch.setattr("sidecar.edges.catalogue.SECONDS", 2.0 if "while" in code else 15.0)
    on_path(package(tmp_path, code), monkeypatch)
    with pytest.raises(ExtensionUnusable, match=words):
        describe("kit")


def test_two_of_the_same_name_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, step("pass"), entries={"it": "kit:strategy"})
    package(tmp_path, step("pass"), "kat", entries={"it": "kat:strategy"})
    on_path(tmp_path, monkeypatch)
    assert installed() == ("it",)
    with pytest.raises(ExtensionUnusable, match=r"more than one package .* 'it': kat 1\.0 and kit 1\.0"):
        describe("it")


def test_a_strategy_can_be_tried_without_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scope: dict[str, object] = {}
    exec(HEAD, scope)
    made = scope["Context"]("web", None, "/nowhere")  # type: ignore[operator]
    made.remember(a=1)
    assert json.dumps(made.memory) == '{"a": 1}'
