"""What looks like a secret is hidden; what does not is left as it is."""

from __future__ import annotations

import shlex
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import redact

UUID = "0c7c1a52-8f0e-4a52-9d0a-1b2c3d4e5f60"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("mysql --password hunter2 db", "mysql --password *** db"),
        ("mysql --password=hunter2 db", "mysql --password=*** db"),
        ("tool --db-password hunter2", "tool --db-password ***"),
        ("tool --api-key abc --verbose", "tool --api-key *** --verbose"),
        ("tool -token abc", "tool -token ***"),
        ("tool --token --verbose", "tool --token --verbose"),
        ("API_KEY=abc node server.js", "API_KEY=*** node server.js"),
        ("env X_API_KEY=ab AWS_SECRET_ACCESS_KEY=d/e+f x", "env X_API_KEY=*** AWS_SECRET_ACCESS_KEY=*** x"),
        ("MYSQL_PWD=abc mysqldump", "MYSQL_PWD=*** mysqldump"),
        ("docker run -e DB_PASSWORD=abc postgres", "docker run -e DB_PASSWORD=*** postgres"),
        ("curl -H 'Authorization: Bearer abc.def' u", "curl -H 'Authorization: ***' u"),
        ("curl -H 'authorization: token abcdef' u", "curl -H 'authorization: ***' u"),
        ("curl -H 'X-Api-Key: abc' u", "curl -H 'X-Api-Key: ***' u"),
        ("curl -H 'Cookie: a=b; c=d' u", "curl -H 'Cookie: ***' u"),
        ("curl -u me:abc u", "curl -u me:*** u"),
        ("curl --user me:abc u", "curl --user me:*** u"),
        ("psql postgres://me:abc@db:5432/x", "psql postgres://me:***@db:5432/x"),
        ("curl 'https://a/b?token=abc&page=2'", "curl 'https://a/b?token=***&page=2'"),
        ("tool sk-example-0123456789abcdef", "tool ***"),
        ("git clone https://ghp_abcdefghijklmnop1234@h/r", "git clone https://***@h/r"),
        (f"tool {JWT}", "tool ***"),
        ("aws AKIAABCDEFGHIJKLMNOP", "aws ***"),
        ("sh -c 'tool --password \"a b\" --x'", "sh -c 'tool --password *** --x'"),
        ("sshpass -e ssh host", "sshpass -e ssh host"),
        ("sshpass -p abc ssh -p 22 host", "sshpass -p *** ssh -p 22 host"),
        ("/usr/bin/sshpass -pabc ssh -p 22 host", "/usr/bin/sshpass -p*** ssh -p 22 host"),
        ("redis-cli -h db -a abc", "redis-cli -h db -a ***"),
        ("mysql -u root -pabc db", "mysql -u root -p*** db"),
        ("mysqldump -p db", "mysqldump -p db"),
        ("PGPASSWORD=abc SSHPASS=abc REDISCLI_AUTH=abc x", "PGPASSWORD=*** SSHPASS=*** REDISCLI_AUTH=*** x"),
        ("OPENAI_KEY=abc tool --authtoken abc", "OPENAI_KEY=*** tool --authtoken ***"),
        ("tool --clientSecret=abc --apiKey abc", "tool --clientSecret=*** --apiKey ***"),
        ("tool --bypass x --max-tokens 5 --key-file y", "tool --bypass x --max-tokens 5 --key-file y"),
        ("tool --password-file /run/secret", "tool --password-file /run/secret"),
        ("tool --token-path=/run/secret", "tool --token-path=/run/secret"),
        ("ssh -i ~/.ssh/id_ed25519 me@host", "ssh -i ~/.ssh/id_ed25519 me@host"),
        ("tail -f /var/log/auth.log", "tail -f /var/log/auth.log"),
        (f"claude --resume {UUID}", f"claude --resume {UUID}"),
        ("docker run -u 1000:1000 image", "docker run -u 1000:1000 image"),
        ("npm run dev -- --port 3000", "npm run dev -- --port 3000"),
        ("git commit --author=me", "git commit --author=me"),
        ("vim keyboard.md tokens.py", "vim keyboard.md tokens.py"),
    ],
)  # fmt: skip
def test_lines_and_vectors_hide_the_same(line: str, shown: str) -> None:
    words = redact.argv(shlex.split(line))
    assert words == tuple(shlex.split(shown))
    assert [shlex.split(redact.text(line)), redact.text(redact.text(line))] == [
        shlex.split(shown),
        redact.text(line),
    ]


def test_a_private_key_is_hidden_to_its_end() -> None:
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----"
    assert redact.text(f"x {key} y") == "x *** y"
    assert redact.text(key[:40]) == "***"


@pytest.mark.parametrize("part", ["a", "a_", "a-", "mysql -p ", "x-", "eyJ-", "_key", "x://", "--token", " "])
def test_a_long_argument_takes_no_longer_than_its_length_tells(part: str) -> None:
    """What takes the square of it would be at work for minutes."""
    line = part * (50_000 // len(part))
    began = time.process_time()
    redact.text(line)
    assert time.process_time() - began < 5.0


@given(st.lists(st.text(max_size=40), max_size=8))
def test_as_many_words_as_before_and_nothing_is_hidden_twice(words: list[str]) -> None:
    shown = redact.argv(words)
    assert len(shown) == len(words)
    assert redact.argv(shown) == shown
