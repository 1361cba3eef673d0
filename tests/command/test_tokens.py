"""``sidecar token``: made, listed and revoked without a service."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sidecar.cli import main


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def token(state: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["token", *words, "--state", str(state)])


def test_a_token_is_shown_once(state: Path) -> None:
    made = token(state, "create", "--scope", "alerts")
    assert made.exit_code == 0
    assert made.stdout.startswith("sct_")
    assert "only time" in made.stderr
    listed = token(state, "list")
    assert "alerts  alerts" in listed.stdout
    assert made.stdout.strip() not in listed.stdout
    assert made.stdout.strip() not in "".join(path.read_text() for path in state.rglob("*") if path.is_file())


def test_a_token_goes_into_a_private_file(state: Path, tmp_path: Path) -> None:
    file = tmp_path / "am.token"
    made = token(state, "create", "--scope", "alerts", "--name", "am", "-o", str(file))
    assert (made.exit_code, made.output) == (0, "")
    assert file.read_text().startswith("sct_")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_revoked_token_is_gone(state: Path) -> None:
    token(state, "create", "--scope", "read", "--name", "grafana")
    assert token(state, "revoke", "grafana").stdout == "grafana: revoked\n"
    assert token(state, "list").stdout == "no tokens but the admin's own\n"
    again = token(state, "revoke", "grafana")
    assert again.exit_code == 1
    assert again.stderr.startswith("sidecar: there is no token 'grafana'")


def test_as_json(state: Path) -> None:
    token(state, "create", "--scope", "read", "--name", "grafana")
    (one,) = json.loads(token(state, "list", "--json").stdout)["tokens"]
    assert (one["name"], one["scope"]) == ("grafana", "read")
    assert set(one) == {"name", "scope", "created"}


@pytest.mark.parametrize("name", ["", ".", "../x", "a b", "-a", "x" * 61, "a/b", "é"])
def test_a_name_is_a_plain_word(state: Path, name: str) -> None:
    made = token(state, "create", "--scope", "read", f"--name={name}")
    assert made.exit_code == 2
    assert "a name has letters" in made.stderr
    assert not state.exists()


def test_a_scope_is_needed(state: Path) -> None:
    assert token(state, "create").exit_code == 2
    assert token(state, "create", "--scope", "everything").exit_code == 2


def test_a_damaged_file_is_named(state: Path) -> None:
    token(state, "create", "--scope", "read")
    (state / "tokens" / "read.json").write_text("{")
    listed = token(state, "list")
    assert listed.exit_code == 1
    assert "read.json holds no token" in listed.stderr


def test_a_token_that_cannot_be_written_down_is_not_left_behind(state: Path, tmp_path: Path) -> None:
    made = token(state, "create", "--scope", "read", "-o", str(tmp_path / "no" / "such"))
    assert made.exit_code == 1
    assert token(state, "list").stdout == "no tokens but the admin's own\n"
