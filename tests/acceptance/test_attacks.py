"""What somebody with a socket and bad intentions can send, against a running service."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.box import SidecarBox, eventually, sidecar_box, tmux_box

ATTEMPTS = 10_000
LARGEST_MEMORY = 100_000_000


@pytest.fixture(scope="module")
def service() -> Iterator[SidecarBox]:
    """One service, with one healthy session, for all attacks."""
    with tmux_box() as tmux:
        tmux.run("new-session", "-d", "-s", "web")
        with sidecar_box(tmux) as box:
            box.stored("web")
            yield box


def address(service: SidecarBox) -> tuple[str, int]:
    host, port = (service.state / "address").read_text().strip().split(":")
    return host, int(port)


def send(service: SidecarBox, raw: bytes) -> bytes:
    """Everything that comes back until the service closes, or says nothing for a while."""
    with socket.create_connection(address(service), timeout=20) as client:
        answer = b""
        # It may close before it has read everything.
        with contextlib.suppress(ConnectionError, TimeoutError):
            client.sendall(raw)
            while piece := client.recv(65536):
                answer += piece
        return answer


def request(service: SidecarBox, line: str, *headers: str, body: bytes = b"", token: bool = True) -> bytes:
    given = [f"Authorization: Bearer {(service.state / 'token').read_text().strip()}"] if token else []
    head = "\r\n".join([line, "Host: 127.0.0.1", *given, *headers])
    return send(service, f"{head}\r\n\r\n".encode("latin-1") + body)


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + SMUGGLED),
        (["Transfer-Encoding: chunked", "Content-Length: 4"], b"0\r\n\r\n" + SMUGGLED),
        (["Content-Length: 0", f"Content-Length: {len(SMUGGLED)}"], SMUGGLED),
        (["Content-Length: 0, 0"], SMUGGLED),
        (["Content-Length: +0"], SMUGGLED),
        (["Content-Length: -1"], SMUGGLED),
        (["Content-Length: 0x0"], SMUGGLED),
        (["Content-Length: 0_0"], SMUGGLED),
        (["Content-Length : 0"], SMUGGLED),
        (["Transfer-Encoding: xchunked"], b"0\r\n\r\n" + SMUGGLED),
        (["Transfer-Encoding: chunked, identity"], b"0\r\n\r\n" + SMUGGLED),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"0\r\n\r\n" + SMUGGLED),
        (["Transfer-Encoding:\x0bchunked"], b"0\r\n\r\n" + SMUGGLED),
        (["Transfer-Encoding: chunked"], b"0;a\nb\r\n\r\n" + SMUGGLED),
        (["Transfer-Encoding: chunked"], b"+1\r\na\r\n0\r\n\r\n" + SMUGGLED),
        (["Transfer-Encoding: chunked"], b"fffffffffffffffff\r\n" + SMUGGLED),
        (["X: a", " Content-Length: 0"], SMUGGLED),
        (["X: a\nContent-Length: 0"], SMUGGLED),
        (["X\x00Y: a"], SMUGGLED),
        (["X: a\x00b"], SMUGGLED),
        (["X: a\rContent-Length: 0"], SMUGGLED),
    ],
)
def test_no_request_is_hidden_in_another(service: SidecarBox, headers: list[str], body: bytes) -> None:
    """One answer, and it is a refusal: a proxy before us may have read another boundary."""
    answer = request(service, "POST /recover HTTP/1.1", "Content-Type: application/json", *headers, body=body)
    assert len(statuses(answer)) == 1, answer
    assert statuses(answer)[0] in (400, 415), answer
    assert b"/smuggled" not in answer
    assert b"Traceback" not in answer
    assert service.is_ready()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: " + b"b" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"G" * 100_000,
        bytes(range(256)) * 100,
    ],
)
def test_what_is_no_http_is_refused_without_a_word_in_the_log(service: SidecarBox, raw: bytes) -> None:
    before = service.last_words()
    answer = send(service, raw)
    assert all(400 <= status < 500 for status in statuses(answer)), answer
    if statuses(answer):
        assert b"application/problem+json" in answer
        assert b"X-Content-Type-Options: nosniff" in answer
    assert b"Traceback" not in answer
    assert "Error handling request" not in service.last_words()[len(before) :]
    assert service.is_ready()


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/v1/sessions/..%2f..%2ftoken",
        "/api/v1/sessions/%2e%2e", "/api/v1/checkpoints/../../token", "/api/v1/sessions/%00",
        "//etc/passwd", "/api/v1/recoveries/1;cat", "/token", "/sidecar.db", "/%ff%fe", "/metrics/../token",
        "/api/v1/sessions/..%5c..%5ctoken", "http://127.0.0.1/token", "/tokens/x.json",
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(service: SidecarBox, path: str) -> None:
    answer = request(service, f"GET {path} HTTP/1.1", "Connection: close")
    assert statuses(answer)[0] in (400, 403, 404), answer
    assert b"root:" not in answer
    assert (service.state / "token").read_text().strip().encode() not in answer


@pytest.mark.parametrize(
    "value", ["a\r\nSet-Cookie: b=c", "a%0d%0aSet-Cookie: b=c", "é", "a" * 300, "a b", ""]
)
def test_nothing_that_is_sent_becomes_a_header(service: SidecarBox, value: str) -> None:
    for line, header in (
        ("GET /-/ready HTTP/1.1", f"X-Request-Id: {value}"),
        (f"GET /{value.replace(' ', '%20')} HTTP/1.1", "Accept: */*"),
        ("GET /-/ready HTTP/1.1", f"Origin: {value}"),
    ):
        head = request(service, line, header, "Connection: close").partition(b"\r\n\r\n")[0]
        assert b"Set-Cookie" not in head
        assert not [line for line in head.split(b"\r\n")[1:] if b": " not in line]


def test_a_request_id_is_honoured_if_it_is_one(service: SidecarBox) -> None:
    answer = request(service, "GET /-/ready HTTP/1.1", "X-Request-Id: trace-1.2_3", "Connection: close")
    assert b"X-Request-Id: trace-1.2_3\r\n" in answer


@pytest.mark.parametrize(
    "headers",
    [
        ["Host: evil.example"],
        ["Host: 127.0.0.1", "Host: evil.example"],
        ["Host: evil.example", "Host: 127.0.0.1"],
        ["Host: 127.0.0.1.evil.example"],
        ["Host: evil.example:80@127.0.0.1"],
        ["Host: user@evil.example"],
        ["X-Forwarded-Host: 127.0.0.1", "Host: evil.example"],
        ["Host:"],
        [],
    ],
)
def test_a_page_cannot_reach_us_by_a_name_of_its_own(service: SidecarBox, headers: list[str]) -> None:
    for path in ("/metrics", "/-/healthy", "/api/v1/sessions"):
        raw = "\r\n".join([f"GET {path} HTTP/1.1", *headers, "Connection: close", "", ""])
        answer = send(service, raw.encode())
        assert statuses(answer)[0] in (400, 403), answer
        assert b"sidecar_" not in answer


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json"]
)
def test_a_page_elsewhere_posts_nothing(service: SidecarBox, content_type: str) -> None:
    body = b'{"session": "web"}'
    for path in ("/recover", "/-/reload", "/alerts", "/api/v1/checkpoints/prune"):
        answer = request(
            service, f"POST {path} HTTP/1.1", "Origin: http://evil.example", f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}", "Connection: close", body=body,
        )  # fmt: skip
        assert statuses(answer) == [403], answer


def test_a_preflight_allows_nothing(service: SidecarBox) -> None:
    answer = request(
        service, "OPTIONS /recover HTTP/1.1", "Origin: http://evil.example",
        "Access-Control-Request-Method: POST", "Connection: close", token=False,
    )  # fmt: skip
    assert statuses(answer) == [403]
    assert b"access-control-allow" not in answer.lower()


def test_a_bomb_is_not_unpacked(service: SidecarBox) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    answer = request(
        service, "POST /alerts HTTP/1.1", "Content-Encoding: gzip", f"Content-Length: {len(bomb)}",
        "Connection: close", body=bomb,
    )  # fmt: skip
    assert statuses(answer) == [413], answer


def test_many_who_say_nothing_do_not_keep_others_out(service: SidecarBox) -> None:
    """Slowloris: more connections than there are places, each in the middle of its headers for ever."""
    with contextlib.ExitStack() as held:
        for _ in range(600):
            client = held.enter_context(socket.create_connection(address(service), timeout=10))
            with contextlib.suppress(ConnectionError):
                client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        # All places are taken, and nobody is in the middle of an answer: whoever asks gets in.
        eventually(service.is_ready, "an answer")
        assert len(psutil.Process(service.process.pid if service.process else 0).net_connections()) < 300
    page = service.get("/metrics", raw=True)
    counted = dict(
        line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("sidecar_http_connections_total")
    )
    turned = sum(
        float(counted[f'sidecar_http_connections_total{{outcome="{outcome}"}}'])
        for outcome in ("turned_away", "sent_away")
    )
    assert turned >= 600 - 256


def test_ten_thousand_connections_are_bounded_in_memory_and_stop_no_recovery(service: SidecarBox) -> None:
    assert service.process is not None
    process = psutil.Process(service.process.pid)
    stop = threading.Event()
    largest = process.memory_info().rss

    def attack(count: int) -> None:
        with contextlib.ExitStack() as held:
            for number in range(count):
                with contextlib.suppress(OSError):
                    client = held.enter_context(socket.create_connection(address(service), timeout=10))
                    client.sendall(b"POST /alerts HTTP/1.1\r\n")
                if number % 100 == 99:
                    held.pop_all().close()

    def watch() -> None:
        nonlocal largest
        while not stop.wait(0.05):
            largest = max(largest, process.memory_info().rss)

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(4) as attackers:
            waves = [attackers.submit(attack, ATTEMPTS // 4) for _ in range(4)]
            os.kill(int(service.tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
            for wave in waves:
                wave.result(100)
    finally:
        stop.set()
        watcher.join()
    assert largest < LARGEST_MEMORY, f"{largest / 1e6:.0f} MB"
    assert service.verified("web")["strategy"] == "respawn_pane"
