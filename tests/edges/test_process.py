"""What process trees use, by /proc's own account."""

from __future__ import annotations

import os
import subprocess
import sys

from sidecar.edges import process

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
