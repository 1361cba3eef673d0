"""``silence`` and ``notify test`` against a real service."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.box import SidecarBox, sidecar_box, tmux_box
from tests.command import service


@pytest.fixture(scope="module")
def running() -> Iterator[SidecarBox]:
    with tmux_box() as tmux, sidecar_box(tmux) as box:
        tmux.run("new-session", "-d", "-s", "web", "sleep 5001")
        box.stored("web")
        yield box


def run(box: SidecarBox, *words: str) -> list[str]:
    done = service.run(box.state, *words)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_from_the_beginning_to_the_end(running: SidecarBox) -> None:
    assert run(running, "silence", "list") == ["nothing is quiet"]
    [said] = run(running, "silence", "web", "--for", "1h30m", "--reason", "the disks")
    assert said.startswith("silence 1: web until 20")
    assert said.endswith("; nobody is told of it")
    [said] = run(running, "silence", "add", "list*", "--for", "2h", "--hold")
    assert said.endswith("; nobody is told of it, and nothing is done about it")
    head, first, second = run(running, "silence", "list")
    assert head.split() == ["NUMBER", "WHAT", "UNTIL", "LEFT", "HOLD", "REASON"]
    assert (first.split()[:2], first.split()[-1]) == (["2", "list*"], "yes")
    assert (second.split()[:2], second.split()[-2:]) == (["1", "web"], ["the", "disks"])
    [quiet] = [line for line in run(running, "status") if line.startswith("quiet: silence 1")]
    assert quiet.startswith("quiet: silence 1: web until 20")
    assert quiet.endswith(" (the disks)")
    assert any(line.startswith("quiet: silence 1: web") for line in run(running, "explain", "web"))
    row = running.sessions()["web"]
    assert (row["quiet"]["name"], row["held"]) == ("1", False)
    assert run(running, "silence", "end", "1") == ["silence 1 of web is ended"]
    assert json.loads("".join(run(running, "silence", "end", "2", "--json")))["silence"]["target"] == "list*"
    assert run(running, "silence", "list") == ["nothing is quiet"]
    assert json.loads("".join(run(running, "silence", "list", "--json"))) == {"quiet": []}
    made = json.loads("".join(run(running, "silence", "*", "--for", "1s", "--json")))["silence"]
    assert (made["target"], made["actor"]) == ("*", "operator")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("web", "--for", "0s"), "a silence lasts 1s to 30d, and 0s is not"),
        (("web", "--for", "31d"), "a silence lasts 1s to 30d, and 31d is not"),
        (("web", "--for", "1 fortnight"), "'1 fortnight' is no duration; write it with units"),
        (("web", "--for", "-1h"), "'-1h' is no duration"),
        (("", "--for", "1h"), "it is empty; '*' is everything"),
        (("web",), "Missing option '--for'"),
        (("end", "web"), "'web' is not a valid integer"),
        (("web", "api", "--for", "1h"), "Got unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_sentence(running: SidecarBox, words: tuple[str, ...], sentence: str) -> None:
    done = service.run(running.state, "silence", *words)
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_what_is_not_there(running: SidecarBox) -> None:
    done = service.run(running.state, "silence", "wbe", "--for", "1h")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "sidecar: there is no session and no check called 'wbe'",
        "hint: did you mean 'web'? `sidecar status` lists the sessions; a glob may be about those that are "
        "still to come.",
    ]
    done = service.run(running.state, "silence", "end", "99")
    assert (done.exit_code, done.stderr.splitlines()[0]) == (
        1, "sidecar: there is no silence '99' that has not ended",
    )  # fmt: skip


def test_ways_to_people(running: SidecarBox) -> None:
    first, hint = run(running, "notify", "test")
    assert first.startswith("tmux: nobody there after 0.")
    assert hint == "  hint: A client has to be attached to the tmux server."
    [trial] = json.loads("".join(run(running, "notify", "test", "tmux", "--json")))["trials"]
    assert trial["outcome"] == "nobody_there"
    done = service.run(running.state, "notify", "test", "ops")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "sidecar: there is no channel called 'ops'", "hint: There are: tmux.",
    ]  # fmt: skip
