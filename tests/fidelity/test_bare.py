"""The last resort on a real server: plain shells that show the old text, judged as any recovery."""

from __future__ import annotations

from pathlib import Path

from sidecar.decide.fallback import bare
from sidecar.decide.judge import judge
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.model.plan import Expectation
from tests.box import TmuxBox, eventually
from tests.edges.texts import texts_of


async def test_every_pane_is_back_as_a_shell_with_its_text(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "keeper", "sleep 1000")
    tmux.run("new-session", "-d", "-s", "web", "-n", "one", "-e", "A=b", "echo first-text; exec sleep 1001")
    tmux.run("split-window", "-t", "=web:", "-c", "/usr", "echo second-text; exec sleep 1002")
    tmux.run("new-window", "-t", "=web:7", "-n", "two", "-c", "/tmp")
    tmux.run("set-option", "-t", "=web:", "status", "off")
    told(tmux, 0, "second-text")
    tmux.run("select-pane", "-t", "=web:0.0")
    told(tmux, 0, "first-text")
    look = await door.look()
    web = look.find("web")
    assert web is not None
    captured = await door.capture(web, look, 100, 1.0, private=False)
    tmux.run("kill-session", "-t", "=web:")

    image = bare(captured.image)
    await door.rebuild(image, texts_of(captured))
    shell = Path(image.default_shell).name
    fronts = ("list-panes", "-s", "-t", "=web:", "-F", "#{pane_current_command}")
    eventually(lambda: tmux.run(*fronts).split() == [shell] * 3, "the shells, once they have shown the text")
    before = await door.look()
    verdict = judge(Expectation(image), before, before)
    assert verdict.holds, verdict
    panes = tmux.run("list-panes", "-s", "-t", "=web:", "-F", "#{window_index} #{window_name}").splitlines()
    assert panes == ["0 one", "1 one", "2 two"]
    for window, word in ((0, "first"), (1, "second")):
        told(tmux, window, f"{word}-text")


def told(tmux: TmuxBox, window: int, text: str) -> None:
    eventually(lambda: text in tmux.run("capture-pane", "-p", "-S", "-", "-t", f"=web:{window}"), text)
