"""What the import contracts cannot say about the house."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import sidecar
from sidecar import errors

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "sidecar").rglob("*.py"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(sidecar.__path__, "sidecar.")
    if "__main__" not in module.name
)


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("file", FILES, ids=name)
def test_only_the_clock_knows_time_and_chance(file: Path) -> None:
    if file.name == "clock.py":
        return
    tree = ast.parse(file.read_text())
    assert not {"time", "random"} & set(imports(tree))
    asked = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today")
        if isinstance(node.value, ast.Name) and node.value.id in ("datetime", "date")
    ]
    assert asked == []


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_module_says_why_it_exists(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text()))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_imported_by_itself(module: str) -> None:
    importlib.import_module(module)


def test_the_contract_about_time_names_every_floor() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    sources = next(
        one["source_modules"] for one in contracts if one["name"] == "Only the clock knows the time"
    )
    floors = {f"sidecar.{module.name}" for module in pkgutil.iter_modules(sidecar.__path__)}
    assert set(sources) == floors - {"sidecar.clock"}


def test_the_tree_of_errors_shows_all_of_them() -> None:
    tree = errors.__doc__ or ""
    raised = {
        one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.SidecarError)
    }
    assert {one.__name__ for one in raised if f" {one.__name__} " not in tree} == set()
