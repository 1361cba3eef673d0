"""Who is let in, and how far: every route, every scope, and what happens after too many failures."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest

from sidecar.model.access import ClientAuth, Scope, TlsSettings, WebSettings
from sidecar.model.record import Action
from sidecar.web import passwords
from sidecar.web.guard import EXCEPTIONS, scope_for
from sidecar.web.throttle import BURST, MOST_ADDRESSES, SECONDS_EACH, Throttle
from sidecar.web.tokens import create
from tests.clocks import SetClock
from tests.web.conftest import TOKEN, Open, Windows

HASH = "$2b$04$va0VAkJJEBRRwbDFa9MLW.81yQ/nYOcms7TiISAH4VeNGDYfzVZsm"
"""Of ``open sesame``."""
USERS = WebSettings(users={"alice": HASH})


def basic(name: str, password: str) -> dict[str, str]:
    words = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {words}"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def routes(windows: Windows) -> list[tuple[str, str]]:
    app = windows.client.server.app  # type: ignore[attr-defined]
    return [
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    ]


def path_of(route: str) -> str:
    return route.replace("{name:[^/]+}", "web").replace("{name}", "web").replace("{id}", "1")


async def test_every_route_is_open_to_its_scope_alone(windows: Windows) -> None:
    tokens = {scope: create(windows.state, scope, scope, 1.0) for scope in Scope}
    known = routes(windows)
    assert ("POST", "/alerts") in known
    assert set(EXCEPTIONS) <= set(known)
    for (method, route), scope in itertools.product(known, Scope):
        wanted = scope_for(method, route)
        answer = await windows.client.request(method, path_of(route), headers=bearer(tokens[scope]))
        allowed = route == "/metrics" or wanted is None or scope.covers(wanted)
        assert (answer.status == 403) is not allowed, (method, route, scope)
        assert answer.status != 401


async def test_every_route_but_three_is_closed_to_strangers(windows: Windows) -> None:
    for method, route in routes(windows):
        answer = await windows.client.request(method, path_of(route))
        assert (answer.status == 401) is (route not in ("/metrics", "/-/healthy", "/-/ready")), route


@pytest.mark.parametrize(
    ("method", "route", "scope"),
    [
        ("GET", "/-/ready", None),
        ("HEAD", "/-/healthy", None),
        ("POST", "/-/healthy", Scope.ADMIN),
        ("POST", "/alerts", Scope.ALERTS),
        ("GET", "/alerts", Scope.READ),
        ("GET", "/metrics", Scope.READ),
        ("GET", "/api/v1/anything/new", Scope.READ),
        ("POST", "/api/v1/anything/new", Scope.ADMIN),
        ("DELETE", "/x", Scope.ADMIN),
        ("BREW", "unmatched", Scope.ADMIN),
    ],
)
def test_what_is_not_in_the_table_is_closed(method: str, route: str, scope: Scope | None) -> None:
    assert scope_for(method, route) is scope


async def test_alertmanagers_token_delivers_and_does_nothing_else(windows: Windows) -> None:
    token = create(windows.state, "am", Scope.ALERTS, 1.0)
    body = b'{"version": "4", "alerts": []}'
    assert (await windows.client.post("/alerts", data=body, headers=bearer(token))).status == 202
    refused = await windows.client.post("/recover", json={"session": "web"}, headers=bearer(token))
    assert refused.status == 403
    words = await refused.json(content_type="application/problem+json")
    assert words["detail"] == "the token 'am' has the scope alerts, and this needs admin"
    assert token not in str(words)
    assert windows.desk.asked == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (basic("alice", "open sesame"), 200),
        (basic("alice", "open says me"), 401),
        (basic("bob", "open sesame"), 401),
        (basic("", ""), 401),
        (bearer(TOKEN), 200),
        ({"Authorization": "Basic ???"}, 401),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()}, 401),
        ({"Authorization": "Basic " + base64.b64encode(b"alice").decode()}, 401),
        ({}, 401),
    ],
)
async def test_users_are_admins(open_windows: Open, headers: dict[str, str], status: int) -> None:
    windows = await open_windows(web_config=USERS)
    for path in ("/api/v1/sessions", "/metrics"):
        answer = await windows.client.get(path, headers=headers)
        assert answer.status == status
        if status == 401:
            assert "Basic realm" in answer.headers["WWW-Authenticate"]


async def test_with_users_only_the_probes_stay_open(open_windows: Open) -> None:
    windows = await open_windows(web_config=USERS)
    opened = {
        path: (await windows.client.get(path)).status for path in ("/metrics", "/-/healthy", "/-/ready")
    }
    assert opened == {"/metrics": 401, "/-/healthy": 200, "/-/ready": 200}


async def test_whoever_has_a_certificate_may_scrape(open_windows: Open) -> None:
    tls = TlsSettings("", "", ClientAuth.REQUIRED, "ca.crt")
    windows = await open_windows(web_config=WebSettings(tls, users={"alice": HASH}))
    assert (await windows.client.get("/metrics")).status == 200
    assert (await windows.client.get("/api/v1/sessions")).status == 401


async def test_a_right_password_is_compared_once(open_windows: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    compare = passwords._matches

    def noted(password: str, stored: str) -> bool:
        compared.append(password)
        return compare(password, stored)

    monkeypatch.setattr(passwords, "_matches", noted)
    windows = await open_windows(web_config=USERS)
    for _ in range(3):
        assert (await windows.client.get("/", headers=basic("alice", "open sesame"))).status == 200
    assert compared == ["open sesame"]


async def test_after_too_many_failures_passwords_wait_and_tokens_still_open(open_windows: Open) -> None:
    clock = SetClock()
    windows = await open_windows(web_config=USERS, clock=clock)
    used = basic("alice", "open sesame")
    assert (await windows.client.get("/", headers=used)).status == 200
    for _ in range(BURST):
        assert (await windows.client.get("/", headers=bearer("wrong"))).status == 401
    wrong = basic("alice", "wrong")
    throttled = await windows.client.get("/", headers=wrong)
    assert (throttled.status, throttled.headers["Retry-After"]) == (429, "3")
    # Alertmanager gives up on a 429, and comes again after a 503.
    assert (await windows.client.post("/alerts", headers=wrong)).status == 503
    assert (await windows.client.get("/", headers=used)).status == 200
    assert (await windows.client.get("/", headers=bearer(TOKEN))).status == 200
    clock.now += SECONDS_EACH
    assert (await windows.client.get("/", headers=wrong)).status == 401


async def test_failures_are_told_once_a_minute_and_never_with_what_was_tried(open_windows: Open) -> None:
    clock = SetClock()
    windows = await open_windows(clock=clock)
    for _ in range(5):
        await windows.client.get("/", headers=bearer("my-secret-guess"))
    clock.now += 60
    await windows.client.get("/", headers=bearer("my-secret-guess"))
    told = windows.chronicle
    assert [(action, detail["failures"]) for action, detail in told.audited] == [
        (Action.ACCESS_REFUSED, 1), (Action.ACCESS_REFUSED, 5),
    ]  # fmt: skip
    assert len(told.said) == 2
    assert "guess" not in str((told.said, told.audited))


async def test_missing_is_not_failing(windows: Windows) -> None:
    for _ in range(3 * BURST):
        assert (await windows.client.get("/")).status == 401
    assert windows.chronicle.said == []


async def test_only_so_many_passwords_wait(open_windows: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MOST_WAITING", 0)
    windows = await open_windows(web_config=USERS)
    answer = await windows.client.get("/", headers=basic("alice", "open sesame"))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


async def test_a_long_password_counts_as_far_as_bcrypt_reads() -> None:
    keeper = passwords.Passwords()
    assert not await keeper.right({"alice": HASH}, "alice", "x" * 200)
    assert not await keeper.right({}, "alice", "open sesame")
    assert not keeper.known({"alice": HASH}, "alice", "x" * 200)


async def test_only_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MOST_REMEMBERED", 1)
    keeper, users = passwords.Passwords(), {"alice": HASH, "bob": HASH}
    for name in users:
        assert await keeper.right(users, name, "open sesame")
    assert not keeper.known(users, "alice", "open sesame")
    assert keeper.known(users, "bob", "open sesame")
    assert not keeper.known({"bob": HASH.replace("va0V", "va0W")}, "bob", "open sesame")


def test_the_throttle_forgets_and_is_bounded() -> None:
    clock = SetClock()
    throttle = Throttle(clock)
    assert throttle.wait("192.0.2.1") == 0
    crossed = [throttle.failed("192.0.2.1") for _ in range(BURST + 5)]
    assert crossed.count(True) == 1
    assert throttle.wait("192.0.2.1") == 6
    assert throttle.wait("192.0.2.2") == 0
    clock.now += 6
    assert throttle.wait("192.0.2.1") == 0
    for number in range(MOST_ADDRESSES + 1):
        throttle.failed(f"host-{number}")
    assert len(throttle._accounts) == MOST_ADDRESSES


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_a_network_of_one_host_has_one_account(one: str, other: str, same: bool) -> None:
    throttle = Throttle(SetClock())
    for _ in range(BURST):
        throttle.failed(one)
    assert bool(throttle.wait(other)) is same


async def _answers(windows: Windows, **headers: Any) -> list[int]:
    return [(await windows.get(path, **headers)).status for path in ("/metrics", "/api/v1/sessions")]


async def test_names_of_ours_are_hosts(open_windows: Open) -> None:
    windows = await open_windows(names={"sidecar.example.org"})
    assert await _answers(windows, Host="sidecar.example.org:9847") == [200, 200]
    assert await _answers(windows, Host="SIDECAR.example.org") == [200, 200]
    assert await _answers(windows, Host="other.example.org") == [403, 403]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
    ],
)
async def test_what_a_browser_says_is_heeded(windows: Windows, headers: dict[str, str], status: int) -> None:
    assert await _answers(windows, **headers) == [status, status]


async def test_a_form_elsewhere_posts_nothing(windows: Windows) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", **bearer(TOKEN)}
    assert (await windows.client.post("/recover", json={"session": "web"}, headers=headers)).status == 403
    assert windows.desk.asked == []
