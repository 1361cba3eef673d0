"""The table of faults: every test that it names is there, and every cause is in it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from sidecar.model.incident import Cause

_TESTS = Path(__file__).parent
_PAGE = (_TESTS.parent / "docs" / "faults.md").read_text()
_PROOF = re.compile(r"`([\w/]+\.py)::(\w+)`")
_ROWS = [line for line in _PAGE.splitlines() if line.startswith("| ") and not line.startswith("| fault |")]


@cache
def _tests_of(file: str) -> frozenset[str]:
    tree = ast.parse((_TESTS / file).read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(one.name for one in functions if one.name.startswith("test_"))


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: str(row).split("|")[1].strip()[:40])
def test_every_fault_has_its_proof(row: str) -> None:
    *_, proof, _ = row.split("|")
    named = _PROOF.findall(proof)
    assert named, "no test is named"
    assert [name for file, name in named if name not in _tests_of(file)] == []


def test_every_cause_is_in_the_table() -> None:
    assert [cause for cause in Cause if f"`{cause}`" not in _PAGE] == []
