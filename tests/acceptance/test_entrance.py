"""The ways in: a socket file, TLS, users and tokens, on a running service and its command line."""

from __future__ import annotations

import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_monitoring import ask as get
from tests.acceptance.test_monitoring import server
from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box
from tests.certificates import Certificates

HASH = "$2b$04$va0VAkJJEBRRwbDFa9MLW.81yQ/nYOcms7TiISAH4VeNGDYfzVZsm"
"""Of ``open sesame``."""
TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
TOOLS = Path(__file__).parent.parent.parent / ".tools" / "usr" / "bin"
ROOT = Path(__file__).parent.parent.parent


def command(box: SidecarBox, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sidecar", *words, "--state", str(box.state)],
        env=box.tmux.environment, capture_output=True, text=True, timeout=30, check=False, cwd=ROOT,
    )  # fmt: skip


def addresses(box: SidecarBox) -> list[str]:
    file = box.state / "address"
    eventually(lambda: file.exists() and file.read_text().endswith("\n"), "an address")
    return file.read_text().splitlines()


def ask(url: str, context: ssl.SSLContext | None = None, **headers: str) -> tuple[int, Any]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.fixture
def encrypted(tmux: TmuxBox) -> Iterator[SidecarBox]:
    """A service with TLS, one user and a socket file."""
    certificates = Certificates(tmux.folder / "certificates")
    certificates.make("server")
    (certificates.folder / "web.yml").write_text(f"{TLS}basic_auth_users: {{a: {HASH}}}\n")
    words = (
        "--listen", f"unix:{tmux.folder}/door", "--web-config-file", str(certificates.folder / "web.yml")
    )  # fmt: skip
    with sidecar_box(tmux, *words, start=False) as box:
        box.start(ready=False)
        addresses(box)
        yield box


def test_the_command_line_comes_through_the_socket_file_or_trusts_our_own_certificate(
    encrypted: SidecarBox,
) -> None:
    network, door = addresses(encrypted)
    path = Path(door.removeprefix("unix:"))
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    url = network.split(" ")[0]
    assert url.startswith("https://127.0.0.1:")
    assert command(encrypted, "status", "--url", url).returncode == 0
    # Through the socket file nobody needs a token, so a command works without one.
    (encrypted.state / "token").rename(encrypted.state / "elsewhere")
    assert command(encrypted, "status").returncode == 0
    assert command(encrypted, "status", "--url", url).returncode == 1
    (encrypted.state / "elsewhere").rename(encrypted.state / "token")
    encrypted.stop()
    assert not path.exists()


def test_users_and_certificates_are_taken_up_without_a_restart(encrypted: SidecarBox) -> None:
    folder = encrypted.tmux.folder / "certificates"
    url = addresses(encrypted)[0].split(" ")[0]
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    alice = {"Authorization": "Basic YTpvcGVuIHNlc2FtZQ=="}
    assert ask(f"{url}/metrics", context)[0] == 401
    assert ask(f"{url}/-/healthy", context)[0] == 200
    assert ask(f"{url}/api/v1/sessions", context, **alice)[0] == 200
    good = (folder / "web.yml").read_text()
    for bad, words in ((good + "rate_limit: {}\n", "rate_limit"), ("basic_auth_users: {}\n", "restart")):
        (folder / "web.yml").write_text(bad)
        refused = command(encrypted, "status")
        eventually(lambda words=words: words in encrypted.last_words(), words)
        assert refused.returncode == 0
        assert ask(f"{url}/api/v1/sessions", context, **alice)[0] == 200
    (folder / "web.yml").write_text(good.replace("{a:", "{b:"))
    eventually(lambda: ask(f"{url}/api/v1/sessions", context, **alice)[0] == 401, "the other user")
    assert HASH not in encrypted.last_words()
    shown = ssl.get_server_certificate(_host_of(url))
    Certificates(folder).make("server")
    renewed = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    eventually(lambda: ssl.get_server_certificate(_host_of(url)) != shown, "the other certificate")
    assert ask(f"{url}/-/ready", renewed)[0] == 200


def _host_of(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("https://").split(":")
    return host, int(port)


def test_a_reload_names_the_faults_of_the_web_config_file(encrypted: SidecarBox) -> None:
    (encrypted.tmux.folder / "certificates" / "web.yml").write_text("rate_limit: {}\n")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(encrypted.tmux.folder / "door"))
        client.sendall(b"POST /-/reload HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 400 ")
    (fault,) = json.loads(answer.split("\r\n\r\n")[1])["faults"]
    assert (fault["line"], fault["key"]) == (1, "rate_limit")


def test_a_token_works_without_a_restart_and_for_its_scope_only(sidecar: SidecarBox) -> None:
    made = command(sidecar, "token", "create", "--scope", "read", "--name", "grafana")
    token = made.stdout.strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert ask(sidecar.url("/api/v1/sessions"), **headers)[0] == 200
    assert sidecar.call("POST", "/recover", {"session": "x"}, headers)[0] == 403
    listed = json.loads(command(sidecar, "token", "list", "--json").stdout)
    assert [(one["name"], one["scope"]) for one in listed["tokens"]] == [("grafana", "read")]
    assert command(sidecar, "token", "revoke", "grafana").returncode == 0
    assert ask(sidecar.url("/api/v1/sessions"), **headers)[0] == 401
    eventually(lambda: '"revoked": ["grafana (read)"]' in sidecar.last_words(), "the change in the log")
    assert token not in sidecar.last_words()
    rows = sidecar.get("/api/v1/audit?action=access_refused")["records"]
    assert [row["detail"]["address"] for row in rows] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "web_config", [None, "", "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"]
)
def test_an_address_that_others_reach_needs_somebody_to_show_who_they_are(
    tmux: TmuxBox, web_config: str | None
) -> None:
    # One that this machine does not have: should the check fail, nothing is listened on all the same.
    words = ["--listen", "192.0.2.1:0"]
    if web_config is not None:
        Certificates(tmux.folder / "certificates").make("server")
        file = tmux.folder / "certificates" / "web.yml"
        file.write_text(web_config)
        words += ["--web-config-file", str(file)]
    with sidecar_box(tmux, *words, start=False) as box:
        box.start(ready=False)
        assert box.process is not None
        assert box.process.wait(20) == 1
    assert "others can reach 192.0.2.1" in box.last_words()


@pytest.mark.parametrize("kind", ["file", "link", "listening", "open folder", "no folder"])
def test_nothing_is_put_out_of_the_way_of_a_socket_file(tmux: TmuxBox, kind: str) -> None:
    folder = tmux.folder / "run"
    folder.mkdir(mode=0o777 if kind == "open folder" else 0o700)
    if kind == "open folder":
        folder.chmod(0o777)
    path, target = folder / "door", tmux.folder / "target"
    target.write_text("dear")
    with socket.socket(socket.AF_UNIX) as other:
        if kind == "file":
            path.write_text("dear")
        elif kind == "link":
            path.symlink_to(target)
        elif kind == "listening":
            other.bind(str(path))
            other.listen()
        elif kind == "no folder":
            folder.rmdir()
        with sidecar_box(tmux, "--listen", f"unix:{path}", start=False) as box:
            box.start(ready=False)
            assert box.process is not None
            assert box.process.wait(20) == 1
    assert "hint" in box.last_words()
    assert target.read_text() == "dear"
    assert kind != "link" or path.is_symlink()
    assert kind != "file" or path.read_text() == "dear"


def test_a_socket_that_a_killed_service_left_is_no_hindrance(tmux: TmuxBox) -> None:
    with sidecar_box(tmux, "--listen", f"unix:{tmux.folder}/door", start=False) as box:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmux.folder / "door"))
        box.start(ready=False)
        eventually(lambda: command(box, "status").returncode == 0, "an answer")


def test_the_sample_file_is_a_good_one(tmp_path: Path) -> None:
    sample = (ROOT / "deploy" / "web-config.yml").read_text()
    certificates = Certificates(tmp_path)
    certificates.make("server")
    (tmp_path / "clients.crt").write_bytes(certificates.authority.read_bytes())
    (tmp_path / "web.yml").write_text(sample)
    checked = subprocess.run(
        [TOOLS / "promtool", "check", "web-config", tmp_path / "web.yml"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    config = tmp_path / "config.yml"
    config.write_text(f"http: {{web_config_file: {tmp_path}/web.yml}}\n")
    ours = subprocess.run(
        [sys.executable, "-m", "sidecar", "config", "check", config],
        capture_output=True, text=True, timeout=20, check=False, cwd=ROOT, env=os.environ,
    )  # fmt: skip
    assert (ours.returncode, ours.stderr) == (0, "")


def test_prometheus_and_alertmanager_come_with_certificates_a_password_and_a_token(tmux: TmuxBox) -> None:
    """What docs/security.md shows, on the real programs."""
    certificates = Certificates(tmux.folder / "certificates")
    folder = certificates.folder
    certificates.make("server")
    certificates.make("client", "DNS:prometheus.example.org")
    (folder / "web.yml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt, "
        "client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [prometheus.example.org]}\n"
        f"basic_auth_users: {{alice: {HASH}}}\n"
    )
    tls = f"{{ca_file: {folder}/ca.crt, cert_file: {folder}/client.crt, key_file: {folder}/client.key}}"
    words = ("--listen", f"unix:{tmux.folder}/door", "--web-config-file", str(folder / "web.yml"))
    tmux.run("new-session", "-d", "-s", "web", "sleep 5000")
    with sidecar_box(tmux, *words, start=False) as box:
        box.start(ready=False)
        url = addresses(box)[0].split(" ")[0]
        made = command(box, "token", "create", "--scope", "alerts", "-o", str(folder / "am.token"))
        assert made.returncode == 0
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: sidecar, scheme: https, tls_config: {tls}, "
            "basic_auth: {username: alice, password: open sesame}, "
            f"static_configs: [{{targets: ['{url.removeprefix('https://')}']}}]}}]\n"
        )
        with server(
            folder, str(TOOLS / "prometheus"), f"--config.file={folder}/prometheus.yml",
            "--web.listen-address=127.0.0.1:0", f"--storage.tsdb.path={folder}/data",
        ) as prometheus:  # fmt: skip
            query = f"{prometheus}/api/v1/query?query=sidecar_build_info"
            eventually(lambda: ((get(query) or {}).get("data") or {}).get("result"), "a scrape", 30)
        (folder / "alertmanager.yml").write_text(
            "route: {receiver: sidecar, group_by: ['...'], group_wait: 0s}\n"
            f"receivers: [{{name: sidecar, webhook_configs: [{{url: {url}/alerts, http_config: "
            f"{{authorization: {{credentials_file: {folder}/am.token}}, tls_config: {tls}}}}}]}}]\n"
        )
        with server(
            folder, str(TOOLS / "prometheus-alertmanager"), f"--config.file={folder}/alertmanager.yml",
            "--web.listen-address=127.0.0.1:0", f"--storage.path={folder}/alerts",
            "--cluster.listen-address=",
        ) as alertmanager:  # fmt: skip
            eventually(lambda: get(f"{alertmanager}/api/v2/status"), "alertmanager")
            words = ("alert", "add", "alertname=ApiDown", "session=web", "failure=crashed")
            subprocess.run(
                [TOOLS / "amtool", f"--alertmanager.url={alertmanager}", *words], check=True, timeout=20
            )
            eventually(
                lambda: "alert_accepted" in command(box, "audit", "list", "--json").stdout, "the alert"
            )
