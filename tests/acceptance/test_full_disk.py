"""A full disk under the database delays a recovery, is named, and loses nothing."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import SidecarBox, TmuxBox, eventually
from tests.disk import fill, own_disk, sidecar_on


@pytest.fixture
def small_disk(tmux: TmuxBox) -> Iterator[Path]:
    """A disk of a few megabytes, of our own."""
    with own_disk(tmux.folder / "disk", "size=4m") as folder:
        yield folder


@pytest.fixture
def sidecar(tmux: TmuxBox, small_disk: Path) -> Iterator[SidecarBox]:
    with sidecar_on(small_disk, tmux) as box:
        yield box


@pytest.fixture
def web(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "web", "sleep 5001")
    sidecar.stored("web", "keep")
    eventually(lambda: reserve(sidecar) > 0, "a reserve")


@pytest.mark.usefixtures("web")
def test_a_full_disk_delays_and_loses_nothing(tmux: TmuxBox, sidecar: SidecarBox, small_disk: Path) -> None:
    filler = small_disk / "filler"
    fill(filler)
    numbers = itertools.count(1)

    def alert() -> tuple[int, dict[str, str]] | None:
        # Whatever is given up in the meantime, the reserve among it, is taken too.
        fill(filler)
        return refused(sidecar, next(numbers))

    status, answer = eventually(alert, "an alert that is not taken")
    assert (status, "full" in answer["detail"]) == (503, True)
    assert "Free some space" in answer["hint"]
    os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
    said = eventually(lambda: told(sidecar, "full"), "that it is full")
    assert "Free some space" in said[0]["hint"]
    assert tmux.show("=web:", "#{pane_dead}") == "1"
    filler.unlink()
    sidecar.verified("web")
    assert refused(sidecar, next(numbers)) is None
    assert tmux.sessions() == {"keep", "web"}


@pytest.mark.usefixtures("web")
def test_the_record_goes_on_in_what_was_kept_for_it(
    tmux: TmuxBox, sidecar: SidecarBox, small_disk: Path
) -> None:
    filler = small_disk / "filler"
    fill(filler)
    os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
    recovery = sidecar.verified("web")
    eventually(lambda: reserve(sidecar) == 0, "a reserve that was given up")
    rows = sidecar.get("/api/v1/audit?limit=500")["records"]
    assert {"recovery_begun", "step_begun", "step_ended", "recovery_ended"} <= {
        row["action"] for row in rows if row["trace"] == recovery["trace"]
    }
    assert [row["reason"] for row in rows if row["action"] == "reserve_given_up"] == ["disk_full"]
    assert "reserve_given_up" in {line["action"] for line in sidecar.actions()}
    filler.unlink()
    eventually(lambda: reserve(sidecar) > 0, "a reserve that is made again")
    assert sidecar.get("/api/v1/audit?action=reserve_made")["records"]


def reserve(sidecar: SidecarBox) -> float:
    page = sidecar.get("/metrics", raw=True)
    (line,) = [line for line in page.splitlines() if line.startswith("sidecar_store_reserve_bytes ")]
    return float(line.split()[-1])


def told(sidecar: SidecarBox, word: str) -> list[dict[str, str]]:
    return [line for line in sidecar.actions() if word in line.get("error", "")]


def refused(sidecar: SidecarBox, number: int) -> tuple[int, dict[str, str]] | None:
    """The answer to a fresh alert; None if it was taken."""
    alert = {
        "status": "firing", "labels": {"session": "web"}, "startsAt": "2026-01-01T00:00:00Z",
        "fingerprint": str(number),
    }  # fmt: skip
    status, answer = sidecar.call("POST", "/alerts", {"version": "4", "alerts": [alert]})
    return None if status == 202 else (status, answer)
