"""Packages with strategies of their own, written to a folder as an installer would."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

HEAD = """
import os, signal, subprocess, sys, time
from sidecar.strategies import Context, GiveUp, Step, Strategy, TryAgain

def nothing(context):
    pass
"""
"""What most of them begin with."""


def package(
    folder: Path, code: str, name: str = "kit", entries: Mapping[str, str] | None = None, head: str = HEAD
) -> Path:
    """A package of one module that is called as itself, and announces ``strategy`` as its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(head + code)
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{entry} = {value}" for entry, value in (entries or {name: f"{name}:strategy"}).items()]
    (about / "entry_points.txt").write_text("\n".join(["[sidecar.strategies]", *lines, ""]))
    return folder


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process and its children find what is in the folder."""
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split()])
    )
    monkeypatch.syspath_prepend(str(folder))


def example(folder: Path, source: Path) -> Path:
    """A package as its ``pyproject.toml`` describes it, installed into the folder."""
    told = tomllib.loads((source / "pyproject.toml").read_text())
    project = told["project"]
    for module in told["tool"]["setuptools"]["py-modules"]:
        package(
            folder,
            (source / f"{module}.py").read_text(),
            module,
            project["entry-points"]["sidecar.strategies"],
            head="",
        )
    return folder
