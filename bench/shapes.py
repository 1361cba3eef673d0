"""Sessions by their shape, built as a person would by hand: the raw batch that we are measured against."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bench.measure import wait_for
from tests.box import TmuxBox

PROGRAM = "sleep"
COMMAND = f"{PROGRAM} 86400"
LINES = 2000
"""Of scrollback, where a case wants some."""


@dataclass(frozen=True, slots=True)
class Shape:
    """So many windows of so many panes, each running one program."""

    windows: int
    panes: int

    def __str__(self) -> str:
        return f"{self.windows} x {self.panes}"

    @property
    def total(self) -> int:
        return self.windows * self.panes

    def script(self, session: str) -> bytes:
        """The shortest script that gives this session, with even panes."""
        lines = []
        for window in range(self.windows):
            target = f"={session}:w{window}"
            if window:
                lines.append(f"new-window -d -t '={session}:' -n w{window} '{COMMAND}'")
            else:
                lines.append(f"new-session -d -s {session} -x 200 -y 50 -n w0 '{COMMAND}'")
            for _ in range(1, self.panes):
                lines.append(f"split-window -d -t '{target}' '{COMMAND}'")
                lines.append(f"select-layout -t '{target}' tiled")
        return "\n".join([*lines, ""]).encode()


SMALL = Shape(4, 3)
LARGE = Shape(10, 4)


def source(tmux: TmuxBox, script: bytes) -> bytes:
    """Run a script through one client, which starts the server if there is none.

    Raises:
        RuntimeError: tmux did not like it.
    """
    argv = ["tmux", "-u", "-L", tmux.name, "-f", "/dev/null", "start-server", ";", "source-file", "-"]
    done = subprocess.run(
        argv,
        input=script,
        env=tmux.environment,
        cwd=tmux.folder,
        capture_output=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the raw batch failed: {done.stderr.decode()}")
    return done.stdout


def run_raw(tmux: TmuxBox, shapes: Mapping[str, Shape]) -> None:
    """Build these sessions by one raw batch, to the end: every pane runs its program."""
    source(tmux, b"".join(shape.script(name) for name, shape in shapes.items()))
    running(tmux, shapes)


def running(tmux: TmuxBox, shapes: Mapping[str, Shape]) -> None:
    """Wait until every pane of these sessions runs its program."""
    wanted = Counter({name: shape.total for name, shape in shapes.items()})

    def there() -> bool:
        lines = [line.split() for line in tmux.panes("#{session_name} #{pane_dead} #{pane_current_command}")]
        found = Counter(name for name, *state in lines if state == ["0", PROGRAM])
        return all(found[name] == count for name, count in wanted.items())

    wait_for(there, f"{wanted.total()} panes with their programs")


def fill(tmux: TmuxBox, session: str, lines: int) -> None:
    """Have every pane of a session show so many more lines, as if its program had printed them."""
    before = heights(tmux, session)
    for tty, height in before.items():
        with open(tty, "w") as terminal:
            terminal.writelines(text_line(height + number) for number in range(lines))
    shows(tmux, session, max(before.values()) + lines)


def shows(tmux: TmuxBox, session: str, lines: int) -> None:
    """Wait until every pane of a session has shown so many lines."""
    wait_for(
        lambda: min(heights(tmux, session).values()) >= lines, f"{lines} lines in every pane of {session}"
    )


def text_line(number: int) -> str:
    """A line as a server's log has them, of some 60 bytes: much the same every time, and never quite."""
    item, spent = number * 31 % 9973, number * 7919 % 1000
    return f"{number:9} \033[32mGET\033[0m /api/items/{item} 200 in {spent} ms, cached\n"


def heights(tmux: TmuxBox, session: str) -> dict[str, int]:
    """Lines that each pane has shown, by its terminal."""
    lines = tmux.panes("#{session_name} #{pane_tty} #{e|+:#{history_size},#{cursor_y}}")
    return {tty: int(height) for name, tty, height in (line.split() for line in lines) if name == session}
