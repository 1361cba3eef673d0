"""What process trees use, by /proc's own account."""

from __future__ import annotations

import os
import subprocess
import sys

from sidecar.edges import process
from tests.decide.builders import look, pane, session

_UNUSED_PID = 2**22 + 1


def test_the_usage_of_a_tree_is_that_of_all_in_it() -> None:
    code = "import sys; print('there', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"there\n"
        found = process.usage({"both": (os.getpid(),), "one": (child.pid,), "none": (_UNUSED_PID,)})
    finally:
        child.communicate()
    both, one, none = found["both"], found["one"], found["none"]
    assert (both.processes, one.processes, none.processes) == (2, 1, 0)
    assert both.memory_bytes > one.memory_bytes > 1_000_000
    assert both.cpu_seconds > 0.0
    assert (none.memory_bytes, none.cpu_seconds) == (0, 0.0)


def test_what_was_only_forked_has_no_words_of_its_own_yet() -> None:
    code = "import os, sys; pid = os.fork(); pid and print(pid, flush=True); sys.stdin.read()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        seen = process.complete(look(session(pane(1, pid=parent.pid), pane(2, pid=child))))
    finally:
        parent.communicate()
    born, newborn = seen.sessions[0].panes()
    assert born.argv == (sys.executable, "-c", code)
    assert newborn.argv == ()
