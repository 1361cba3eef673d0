"""Whatever is captured a second time costs little, and never gives another text than the pane holds."""

from __future__ import annotations

import gc
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.model.record import Capture
from sidecar.model.scrollback import assemble
from tests.box import TmuxBox, eventually
from tests.door import open_door

LINES = 1000
_ESCAPES = re.compile(rb"\x1b\[[0-9;]*m")


@dataclass
class Keeper:
    """Captures a session, and stores as a store would: what was left out has to be there already."""

    tmux: TmuxBox
    door: TmuxDoor
    lines: int = LINES
    blobs: dict[str, bytes] = field(default_factory=dict)

    async def take(self, *, keep: bool = True, name: str = "web") -> Capture:
        look = await self.door.look()
        session = look.find(name)
        assert session is not None
        capture = await self.door.capture(session, look, self.lines, time.time(), private=False)
        if keep:
            self.blobs.update(capture.pieces)
            self.door.keep(capture.instance)
        return capture

    def texts(self, capture: Capture) -> list[bytes]:
        """Of every pane, without colours."""
        blobs = {**self.blobs, **capture.pieces}
        found = []
        for window in capture.image.windows:
            for pane in window.panes:
                manifest = capture.manifests.get(pane.scrollback)
                text = assemble(manifest.encode(), blobs.get).text if manifest else b""
                found.append(_ESCAPES.sub(b"", text))
        return found

    def shown(self) -> list[bytes]:
        """The same, taken by tmux in one go."""
        return [
            self.tmux.run("capture-pane", "-p", "-S", str(-self.lines), "-t", pane).rstrip("\n").encode()
            for pane in self.tmux.panes("#{pane_id}")
        ]

    def fits(self, capture: Capture) -> bool:
        """Whether every text ends as the pane's does, and leaves nothing out that tmux still has."""
        return all(
            _rows(text)[-len(_rows(shown)) :] == _rows(shown)
            for text, shown in zip(self.texts(capture), self.shown(), strict=True)
        )


def _rows(text: bytes) -> list[bytes]:
    return [row.rstrip() for row in text.rstrip(b"\n").split(b"\n")]


@pytest.fixture
def keeper(tmux: TmuxBox, door: TmuxDoor) -> Keeper:
    return Keeper(tmux, door)


def start(tmux: TmuxBox, *, limit: int = 2000, height: int = 20) -> None:
    """A pane that prints numbered lines in colours: ``FIRST COUNT``, as it is told."""
    tmux.run(
        "set-option", "-g", "history-limit", str(limit), ";",
        "new-session", "-d", "-s", "web", "-x", "80", "-y", str(height), "sh",
    )  # fmt: skip
    # The limit goes with the pane, and the first one was made together with the option.
    tmux.run("new-window", "-k", "-t", "=web:0", _PRINTER)
    eventually(lambda: tmux.show("=web:", "#{pane_current_command}") == "bash", "the printer")


_PRINTER = r"""exec bash -c '
stty -echo
while read -r first count; do
  for ((i = first; i < first + count; i++)); do printf "\033[3%dm%d\033[0m line\n" $((i % 8)) $i; done
  printf "\033[1mdone\033[0m %d\n" $first
done'"""


def tell(tmux: TmuxBox, first: int, count: int, target: str = "=web:") -> None:
    """Have the pane print, and wait until it has."""
    tmux.run("send-keys", "-t", target, f"{first} {count}", "Enter")
    eventually(
        lambda: f"done {first}\n" in tmux.run("capture-pane", "-p", "-J", "-S", "-5", "-t", target) + "\n",
        f"the lines from {first}",
    )


def shows(tmux: TmuxBox, text: str) -> None:
    eventually(lambda: text in tmux.run("capture-pane", "-p", "-t", "=web:"), text)


def a_second_passes(tmux: TmuxBox) -> None:
    """Until then, more output would have the same time."""
    last = int(tmux.show("=web:", "#{window_activity}"))
    eventually(lambda: int(time.time()) > last, "the next second")


def told(capture: Capture) -> int:
    """Lines that were captured anew."""
    return sum(text.count(b"\n") for text in capture.pieces.values())


@pytest.mark.parametrize("before", [0, 300])
async def test_what_is_printed_between_the_look_and_the_first_capture_is_had_too(
    tmux: TmuxBox, keeper: Keeper, before: int
) -> None:
    start(tmux)
    tell(tmux, 0, before)
    look = await keeper.door.look()
    session = look.find("web")
    assert session is not None
    tell(tmux, before, 700)
    a_second_passes(tmux)
    capture = await keeper.door.capture(session, look, LINES, time.time(), private=False)
    assert keeper.fits(capture)


async def test_an_unchanged_pane_is_not_captured_again(
    tmux: TmuxBox, keeper: Keeper, runner: TmuxRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tmux)
    tell(tmux, 0, 700)
    a_second_passes(tmux)
    first = await keeper.take()
    assert keeper.fits(first)
    scripts: list[bytes] = []
    source = TmuxRunner.source

    async def spy(self: TmuxRunner, text: bytes, *, seconds: float | None = None) -> bytes:
        scripts.append(text)
        return await source(self, text, seconds=seconds)

    monkeypatch.setattr(TmuxRunner, "source", spy)
    second = await keeper.take()
    assert second.image == first.image
    assert second.pieces == {}
    assert b"capture-pane" not in scripts[0]
    assert len(scripts) == 1


async def test_output_in_the_same_second_is_not_missed(tmux: TmuxBox, keeper: Keeper) -> None:
    start(tmux)
    for number in range(8):
        # On the screen alone: the history does not tell.
        tmux.run("send-keys", "-t", "=web:", f"{number} 0", "Enter")
        eventually(lambda number=number: f"done {number}" in keeper.shown()[0].decode(), "the line")
        assert f"done {number}".encode() in keeper.texts(await keeper.take())[0]


async def test_only_new_lines_are_captured(tmux: TmuxBox, keeper: Keeper) -> None:
    start(tmux, limit=5000)
    tell(tmux, 0, 1500)
    await keeper.take()
    for first in range(10_000, 10_400, 20):
        tell(tmux, first, 20)
        capture = await keeper.take()
        assert keeper.fits(capture)
        assert told(capture) < 256 + 256 + 30


@pytest.mark.parametrize("count", [20, 150, 199, 200, 201, 450, 2500])
async def test_a_full_history_that_drops_its_oldest_tenth(tmux: TmuxBox, keeper: Keeper, count: int) -> None:
    start(tmux)
    tell(tmux, 0, 2100)
    await keeper.take()
    whole = 0
    for number in range(12 if count < 200 else 4):
        tell(tmux, 10_000 * (number + 1), count)
        capture = await keeper.take()
        assert keeper.fits(capture)
        whole += told(capture) > 900
    if count < 199:
        assert not whole


async def test_no_more_lines_than_were_asked_for(tmux: TmuxBox, keeper: Keeper) -> None:
    start(tmux, height=10)
    keeper.lines = 500
    tell(tmux, 0, 900)
    for first in range(1000, 2000, 100):
        (text,) = keeper.texts(await keeper.take())
        assert len(_rows(text)) == 509
        tell(tmux, first, 100)


CHANGES: dict[str, Callable[[TmuxBox], object]] = {
    "cleared": lambda tmux: tmux.run("clear-history", "-t", "=web:"),
    "cleared and printed anew": lambda tmux: (
        tmux.run("clear-history", "-t", "=web:"), tell(tmux, 50_000, 1200)
    ),
    "cleared on the screen": lambda tmux: tmux.run("send-keys", "-R", "-t", "=web:"),
    "narrower": lambda tmux: tmux.run("resize-window", "-t", "=web:", "-x", "6"),
    "wider": lambda tmux: tmux.run("resize-window", "-t", "=web:", "-x", "120"),
    "higher": lambda tmux: tmux.run("resize-window", "-t", "=web:", "-y", "40"),
    "lower": lambda tmux: tmux.run("resize-window", "-t", "=web:", "-y", "5"),
    "there and back": lambda tmux: (
        tmux.run("resize-window", "-t", "=web:", "-x", "6"),
        tmux.run("resize-window", "-t", "=web:", "-x", "80"),
    ),
    "respawned": lambda tmux: (
        tmux.run("respawn-pane", "-k", "-t", "=web:", "echo other; exec sleep 1000"), shows(tmux, "other")
    ),
    "split": lambda tmux: (
        tmux.run("split-window", "-t", "=web:", "echo split; exec sleep 1000"), shows(tmux, "split")
    ),
    "moved": lambda tmux: (
        tmux.run("split-window", "-d", "-t", "=web:", "exec sleep 1000"),
        tmux.run("break-pane", "-d", "-s", "=web:0.0"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_happens_to_a_pane_its_text_is_right(
    tmux: TmuxBox, keeper: Keeper, change: str
) -> None:
    start(tmux)
    tell(tmux, 0, 900)
    a_second_passes(tmux)
    await keeper.take()
    CHANGES[change](tmux)
    for _ in range(2):
        capture = await keeper.take()
        assert keeper.fits(capture)
        assert len(keeper.texts(capture)) == len(tmux.panes("#{pane_id}"))


async def test_a_full_screen_program_hides_nothing_and_stays_cheap(tmux: TmuxBox, keeper: Keeper) -> None:
    start(tmux)
    tell(tmux, 0, 900)
    await keeper.take()
    tmux.run("split-window", "-t", "=web:", "exec cat")
    tty = tmux.show("=web:0.0", "#{pane_tty}")
    for number in range(3):
        with open(tty, "w") as terminal:
            terminal.write(f"\033[?1049h\033[Hpicture {number}")
        eventually(lambda: tmux.show("=web:0.0", "#{alternate_on}") == "1", "the alternate screen")
        capture = await keeper.take()
        text = keeper.texts(capture)[0]
        assert b"picture" not in text
        assert b"899 line\n" in text
        assert told(capture) < 600
        with open(tty, "w") as terminal:
            terminal.write(f"\033[?1049lback {number}\n")
        eventually(lambda: tmux.show("=web:0.0", "#{alternate_on}") == "0", "the first screen")
        assert keeper.fits(await keeper.take())


async def test_a_capture_that_was_not_stored_is_not_built_upon(tmux: TmuxBox, keeper: Keeper) -> None:
    start(tmux)
    tell(tmux, 0, 900)
    lost = await keeper.take(keep=False)
    again = await keeper.take()
    assert again.pieces == lost.pieces
    tell(tmux, 1000, 20)
    await keeper.take(keep=False)
    assert keeper.fits(await keeper.take())
    keeper.door.forget(again.instance)
    keeper.blobs.clear()
    assert keeper.fits(await keeper.take())


async def test_another_server_with_the_same_ids_is_another_pane(tmux: TmuxBox, keeper: Keeper) -> None:
    start(tmux)
    tell(tmux, 0, 900)
    await keeper.take()
    server = Path(f"/proc/{tmux.server_pid()}")
    tmux.run("kill-server")
    eventually(lambda: not server.exists(), "the server's end")
    start(tmux)
    tell(tmux, 5000, 900)
    keeper.blobs.clear()
    assert keeper.fits(await keeper.take())


async def test_after_a_restart_the_same_text_is_in_the_same_pieces(
    tmux: TmuxBox, runner: TmuxRunner, keeper: Keeper
) -> None:
    start(tmux, limit=5000)
    tell(tmux, 0, 700)
    await keeper.take()
    tell(tmux, 1000, 1000)
    grown = await keeper.take()
    keeper.door = open_door(tmux, runner)
    assert (await keeper.take()).image == grown.image


@pytest.mark.parametrize("seed", range(3))
async def test_many_things_happen_to_a_pane(tmux: TmuxBox, keeper: Keeper, seed: int) -> None:
    start(tmux, limit=(500, 1000, 5000)[seed])
    die = Random(seed)
    tty = tmux.show("=web:", "#{pane_tty}")
    told = 0
    for step in range(25):
        what = die.choice(["print"] * 8 + ["clear", "resize", "picture", "reset"])
        if what == "print":
            told += 1000
            tell(tmux, told, die.choice([1, 7, 30, 90, 260, 600]))
        elif what == "clear":
            tmux.run("clear-history", "-t", "=web:")
        elif what == "resize":
            width, height = die.choice([9, 80]), die.choice([5, 20, 60])
            tmux.run("resize-window", "-t", "=web:", "-x", str(width), "-y", str(height))
        elif what == "picture":
            with open(tty, "w") as terminal:
                terminal.write(f"\033[?1049hpicture\033[?1049l{step}\n")
            eventually(lambda step=step: f"{step}".encode() in _rows(keeper.shown()[0]), "the line")
        else:
            tmux.run("send-keys", "-R", "-t", "=web:")
        assert keeper.fits(await keeper.take(keep=die.random() < 0.8)), (step, what)


async def test_the_memory_is_small(tmux: TmuxBox, keeper: Keeper) -> None:
    start(tmux, limit=5000)
    tell(tmux, 0, 3000)
    keeper.lines = 2000
    await keeper.take()
    assert _size(keeper.door._history) < 8_000


def _size(root: object) -> int:
    """Bytes of an object and of all that only it holds."""
    seen: dict[int, object] = {}
    rest = [root]
    while rest:
        one = rest.pop()
        if id(one) not in seen and not isinstance(one, type):
            seen[id(one)] = one
            rest.extend(gc.get_referents(one))
    return sum(map(sys.getsizeof, seen.values()))
