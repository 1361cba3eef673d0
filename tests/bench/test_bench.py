"""The bench runs, and forgets no case. No figure is asserted: those are the machine's."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest

from bench import cases
from bench.__main__ import main
from bench.cases import CASES
from bench.line import Line, Plan, Sample, Unit, against
from bench.report import summary, table
from sidecar.edges.tmux.server import find_server
from tests.box import PATIENCE, eventually

ROOT = Path(__file__).parent.parent.parent


def declared() -> Iterator[object]:
    """Every public function below ``cases`` that has the form of a case."""
    for module in pkgutil.iter_modules(cases.__path__, "bench.cases."):
        for _, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            own = function.__module__ == module.name and not function.__name__.startswith("_")
            if own and list(get_type_hints(function).values()) == [Plan, list[Line]]:
                yield function


def test_every_case_is_registered() -> None:
    assert {case.run for case in CASES.values()} == set(declared())


def test_the_quickest_case_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "results.json"
    assert main(["--rounds", "1", "--json", str(results), "kill-pane"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(" of 1 targets reached")
    (line,) = json.loads(results.read_text())["lines"]
    assert line["figure_median"] > 0
    assert line["ratio"] > 0


def test_an_interrupted_bench_leaves_nothing_behind() -> None:
    # Not pytest's own folder: a socket's path may have 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="sc-") as folder:
        bench = subprocess.Popen(
            [sys.executable, "-m", "bench", "kill-pane"],
            env=os.environ | {"TMPDIR": folder}, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        sockets = eventually(lambda: list(Path(folder).glob("*/tmux-*/box")), "a tmux server")
        eventually(lambda: list(Path(folder).glob("*/state/address")), "a service")
        # As a terminal does: to the whole group, the service included.
        os.killpg(bench.pid, signal.SIGINT)
        assert bench.wait(PATIENCE) == 128 + signal.SIGINT
        assert os.listdir(folder) == []
        assert [find_server(socket) for socket in sockets] == [0] * len(sockets)


def test_a_case_that_fails_is_named_and_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(plan: Plan) -> list[Line]:
        raise RuntimeError("no tmux today")

    def whole(plan: Plan) -> list[Line]:
        return [Line("whole", Unit.BYTES, Sample((float(plan.of(7)),)))]

    monkeypatch.setitem(CASES, "look", cases.Case("look", "", broken))
    monkeypatch.setitem(CASES, "weight", cases.Case("weight", "", whole))
    assert main(["look", "weight", "--json", str(tmp_path / "results.json")]) == 1
    assert "could not be run: look" in capsys.readouterr().out
    assert json.loads((tmp_path / "results.json").read_text())["lines"][0]["figure_median"] == 7


def test_an_unknown_case_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["look", "no-such-case"])
    assert error.value.code == 2
    assert "no-such-case" in capsys.readouterr().err


def test_the_ratio_decides_and_the_goal_is_only_told() -> None:
    line = against("one", Sample((0.3, 0.1, 0.2)), Sample((0.1,)), 2, goal=0.15)
    assert (line.ratio, line.reached) == (2.0, True)
    assert "reached, goal missed" in table([line])
    slow = against("two", Sample((0.21,)), Sample((0.1,)), 2)
    told = Line("three", Unit.CORE, Sample((0.5,)))
    assert "MISS" in table([slow, told])
    assert summary([line, slow, told]) == "1 of 2 targets reached"
