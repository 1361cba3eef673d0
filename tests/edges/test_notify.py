"""The doors to people, against what stands behind them in the world."""

from __future__ import annotations

import email
import email.policy
import json
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from sidecar import herald
from sidecar.edges.notify import LocalMessenger, apprise
from sidecar.errors import Permanent, SidecarError, Temporary
from sidecar.model.notice import Alertmanager, Apprise, Channel, Email, Matter, Message, Notice, Webhook
from tests.box import eventually

TOOLS = Path(__file__).parents[2] / ".tools/usr/bin"
AT = 1_800_000_000.0


def message(
    matter: Matter = Matter.GIVEN_UP, text: str = "web was given up", session: str = "web"
) -> Message:
    notices = (Notice(matter, session, text, AT, "0123456789abcdef"),)
    return Message(f"[tmux-sidecar box] {session}: {matter}", text, notices, "box")


async def deliver(target: Webhook | Alertmanager | Email | Apprise, what: Message | None = None) -> None:
    await LocalMessenger().deliver(Channel("test", target), what or message())


class Hook:
    """A server that keeps what it gets and answers as it is told."""

    def __init__(self) -> None:
        self.status, self.words, self.headers = 200, "", {}
        self.got: list[tuple[str, dict[str, str], Any]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((request.path, dict(request.headers), await request.json()))
        return web.Response(status=self.status, text=self.words, headers=self.headers)


@pytest.fixture
async def hook() -> AsyncIterator[tuple[Hook, str]]:
    keeper = Hook()
    app = web.Application()
    app.router.add_post("/{path:.*}", keeper.take)
    async with TestServer(app, host="127.0.0.1") as server:
        yield keeper, str(server.make_url("/services/T0/secret"))


async def test_a_webhook_gets_text_for_people_and_fields_for_programs(
    hook: tuple[Hook, str], tmp_path: Path
) -> None:
    keeper, url = hook
    token = tmp_path / "token"
    token.write_text("s3cret\nsecond line\n")
    await deliver(Webhook(url, str(token)))
    [(path, headers, body)] = keeper.got
    assert (path, headers["Authorization"]) == ("/services/T0/secret", "Bearer s3cret")
    assert body["text"] == "[tmux-sidecar box] web: given_up\nweb was given up"
    assert body["notices"] == [
        {
            "matter": "given_up",
            "session": "web",
            "check": "",
            "text": "web was given up",
            "at": AT,
            "trace": "0123456789abcdef",
        }
    ]


async def test_what_a_session_is_called_calls_nobody(hook: tuple[Hook, str]) -> None:
    keeper, url = hook
    await deliver(Webhook(url), message(text="<!channel> & <@U1> was given up", session="<!channel>"))
    [(_, _, body)] = keeper.got
    assert body["text"] == (
        "[tmux-sidecar box] &lt;!channel&gt;: given_up\n&lt;!channel&gt; &amp; &lt;@U1&gt; was given up"
    )
    assert body["notices"][0]["session"] == "<!channel>"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, Temporary), (503, Temporary), (429, Temporary), (408, Temporary), (400, Permanent),
     (404, Permanent), (301, Permanent)],
)  # fmt: skip
async def test_an_answer_says_whether_to_try_again(
    hook: tuple[Hook, str], status: int, kind: type[SidecarError]
) -> None:
    keeper, url = hook
    keeper.status, keeper.words = status, "because" * 1_000
    keeper.headers = {"Retry-After": "90", "Location": "http://127.0.0.1:1/"}
    with pytest.raises(kind) as caught:
        await deliver(Webhook(url))
    assert f"answered {status}: because" in str(caught.value)
    assert len(str(caught.value)) < 300
    # Chat services put their secret into the path.
    assert "secret" not in str(caught.value)
    if isinstance(caught.value, Temporary):
        assert caught.value.delay == 90.0


async def test_nobody_there_and_no_token_are_told_apart(unused_tcp_port: int, tmp_path: Path) -> None:
    with pytest.raises(Temporary, match=f"http://127.0.0.1:{unused_tcp_port} did not take the notice"):
        await deliver(Webhook(f"http://127.0.0.1:{unused_tcp_port}/hook"))
    with pytest.raises(Permanent, match="cannot be read"):
        await deliver(Webhook("http://127.0.0.1:1/", str(tmp_path / "missing")))
    (tmp_path / "empty").touch()
    with pytest.raises(Permanent, match="is empty"):
        await deliver(Webhook("http://127.0.0.1:1/", str(tmp_path / "empty")))


@pytest.fixture
def alertmanager(tmp_path: Path, unused_tcp_port_factory: Callable[[], int]) -> Iterator[str]:
    port = unused_tcp_port_factory()
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    address = f"127.0.0.1:{port}"
    server = subprocess.Popen(
        [TOOLS / "prometheus-alertmanager", f"--config.file={config}", f"--storage.path={tmp_path / 'data'}",
         f"--web.listen-address={address}", "--cluster.listen-address="],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: _listens(port), "alertmanager")
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _alerts(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=20) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())
    return found


async def test_a_real_alertmanager_fires_until_the_session_has_recovered(alertmanager: str) -> None:
    target = Alertmanager(f"{alertmanager}/")
    failed = Message("", "", (Notice(Matter.STUCK, 'we"b', "stuck", _now(), "t1"),), "box")
    await deliver(target, failed)
    [alert] = eventually(lambda: _alerts(alertmanager), "the alert")
    assert alert["labels"] == {
        "alertname": "TmuxSidecarStuck", "session": 'we"b', "instance": "box", "severity": "critical"
    }  # fmt: skip
    assert alert["annotations"] == {"summary": "stuck", "trace": "t1"}
    assert alert["status"]["state"] == "active"
    await deliver(target, Message("", "", (Notice(Matter.RECOVERED, 'we"b', "back", _now(), "t2"),), "box"))
    eventually(lambda: not _alerts(alertmanager), "the end of the alert")


def _now() -> float:
    return float(subprocess.run(["date", "+%s.%N"], capture_output=True, check=True).stdout)


class Letters:
    """What a mail server does with its mail."""

    def __init__(self) -> None:
        self.answer = "250 taken"
        self.got: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.got.append(envelope)
        return self.answer


@pytest.fixture
def post_office(unused_tcp_port: int) -> Iterator[tuple[Letters, str]]:
    letters = Letters()
    controller = Controller(letters, hostname="127.0.0.1", port=unused_tcp_port)
    controller.start()
    try:
        yield letters, f"127.0.0.1:{unused_tcp_port}"
    finally:
        controller.stop()


def _letter(raw: bytes | str | None) -> email.message.EmailMessage:
    assert isinstance(raw, bytes)
    return email.message_from_bytes(raw, policy=email.policy.default)  # type: ignore[return-value]


async def test_mail_goes_through_smtp(post_office: tuple[Letters, str]) -> None:
    letters, address = post_office
    target = Email(("a@example.org", "b@example.org"), "sidecar@example.org", smtp=address)
    await deliver(target, message(text="wéb was\n.\ngiven up", session="we\r\nBcc: x@example.org"))
    [envelope] = letters.got
    assert envelope.rcpt_tos == ["a@example.org", "b@example.org"]
    letter = _letter(envelope.content)
    assert letter["Subject"] == "[tmux-sidecar box] we  Bcc: x@example.org: given_up"
    assert letter["Bcc"] is None
    assert letter["To"] == "a@example.org, b@example.org"
    assert letter.get_content().splitlines() == ["wéb was", ".", "given up"]


@pytest.mark.parametrize(
    ("answer", "kind"), [("451 later", Temporary), ("550 never", Permanent), ("552 too large", Permanent)]
)
async def test_a_mail_server_says_whether_to_try_again(
    post_office: tuple[Letters, str], answer: str, kind: type[SidecarError]
) -> None:
    letters, address = post_office
    letters.answer = answer
    with pytest.raises(kind, match=answer[4:]):
        await deliver(Email(("a@example.org",), "sidecar@example.org", smtp=address))


async def test_a_mail_server_that_cannot_do_what_is_asked(
    post_office: tuple[Letters, str], unused_tcp_port_factory: Callable[[], int], tmp_path: Path
) -> None:
    _, address = post_office
    plain = Email(("a@example.org",), "sidecar@example.org", smtp=address, starttls=True)
    with pytest.raises(Permanent, match="STARTTLS"):
        await deliver(plain)
    gone = Email(("a@example.org",), "s@example.org", smtp=f"127.0.0.1:{unused_tcp_port_factory()}")
    with pytest.raises(Temporary, match="did not take the mail"):
        await deliver(gone)


async def test_mail_goes_through_a_local_sendmail(tmp_path: Path) -> None:
    program = tmp_path / "sendmail"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/letter\n')
    program.chmod(0o755)
    await deliver(Email(("-a@example.org",), "s@example.org", sendmail=str(program)))
    assert (tmp_path / "arguments").read_text() == "-i -f s@example.org -- -a@example.org\n"
    assert "given up" in _letter((tmp_path / "letter").read_bytes()).get_content()


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ("echo 'queue full' >&2; exit 75", Temporary, "failed with 75: queue full"),
        (None, Permanent, "cannot be started"),
    ],
)
async def test_a_sendmail_that_fails(
    tmp_path: Path, script: str | None, kind: type[SidecarError], words: str
) -> None:
    program = tmp_path / "sendmail"
    if script:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    with pytest.raises(kind, match=words):
        await deliver(Email(("a@example.org",), "s@example.org", sendmail=str(program)))


async def test_apprise_speaks_in_a_process_of_its_own(hook: tuple[Hook, str]) -> None:
    keeper, url = hook
    await deliver(Apprise(url.replace("http://", "json://")), message(text="wéb was given up"))
    [(path, _, body)] = keeper.got
    assert path == "/services/T0/secret"
    assert (body["title"], body["message"], body["type"]) == (
        "[tmux-sidecar box] web: given_up", "wéb was given up", "failure",
    )  # fmt: skip
    await deliver(Apprise(url.replace("http://", "json://")), message(Matter.RECOVERED))
    assert keeper.got[-1][2]["type"] == "success"
    # The service must not keep its hundred services in memory.
    assert "apprise" not in sys.modules


async def test_what_apprise_could_not_deliver_is_told_without_secrets(
    hook: tuple[Hook, str], unused_tcp_port: int
) -> None:
    keeper, url = hook
    keeper.status = 500
    with pytest.raises(Temporary, match=r"Apprise \(json://\) did not deliver the message: ") as caught:
        await deliver(Apprise(url.replace("http://", "json://user:pass-word@")))
    assert not {"secret", "pass-word", "services"} & set(re.split(r"\W+", str(caught.value)))
    with pytest.raises(Temporary) as caught:
        await deliver(Apprise(f"json://127.0.0.1:{unused_tcp_port}/T0KEN"))
    assert "T0KEN" not in str(caught.value)
    with pytest.raises(Permanent, match="does not understand the address") as caught:
        await deliver(Apprise("nonsense://T0KEN/"))
    assert "T0KEN" not in str(caught.value)
    assert "T0KEN" not in repr(Apprise("nonsense://T0KEN/"))


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ('{"outcome": "missing", "words": "No module"}', Permanent, "Apprise is not installed: No module"),
        ("noise", Temporary, "ended with 3, without an answer"),
        ('["delivered"]', Temporary, "ended with 3, without an answer"),
        ("", Temporary, "ended with 3, without an answer"),
    ],
)
async def test_a_process_of_apprise_that_does_not_do(
    monkeypatch: pytest.MonkeyPatch, said: str, kind: type[SidecarError], words: str
) -> None:
    monkeypatch.setattr(apprise, "COMMAND", ("sh", "-c", f"cat >/dev/null; echo '{said}'; exit 3"))
    with pytest.raises(kind, match=words):
        await deliver(Apprise("ntfy://topic"))


async def test_a_process_of_apprise_that_hangs_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise, "COMMAND", ("sleep", "3600"))
    monkeypatch.setattr(apprise, "_SECONDS", 0.2)
    with pytest.raises(Temporary, match=r"was cut off after 0\.2 s"):
        await deliver(Apprise("ntfy://topic"))


def test_without_the_package_the_process_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    outcome, words = herald.deliver({"url": "ntfy://t", "title": "", "body": "b", "kind": "info"})
    assert (outcome, "apprise" in words) == (herald.MISSING, True)
