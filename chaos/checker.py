"""Reads any database of the sidecar, of a running one or a killed one, and holds its promises against it.

``python -m chaos.checker DB [--config FILE] [--metrics FILE]`` prints what contradicts them, a line each,
and ends with 1 if anything does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from chaos import history, invariants
from chaos.history import History
from chaos.invariants import Invariant, Violation
from sidecar import config_read
from sidecar.config import RecoverySettings
from sidecar.errors import SidecarError

_LABELS = {
    "failures": ("session", "failure"),
    "findings": ("cause",),
    "recoveries": ("failure", "strategy", "outcome"),
    "refusals": ("reason",),
    "retries": ("operation",),
    "transactions": ("outcome",),
    "audit_records": (),
}
"""Counters that equal rows, with their labels in the order of the statements."""


def check(
    folder: Path, recovery: RecoverySettings | None = None, metrics: str | None = None
) -> tuple[Violation, ...]:
    """Everything that contradicts a promise. Without settings the budgets are not looked at.

    ``metrics`` is what the service showed when the database was as it is now.

    Raises:
        Permanent: there is no database, or it cannot be read.
    """
    found = history.read(folder)
    checks = (*invariants.ALWAYS, *([invariants.budgets(recovery)] if recovery else ()))
    violations = [violation for each in checks for violation in each(found)]
    return (*violations, *(counters(found, metrics) if metrics is not None else ()))


def counters(found: History, metrics: str) -> Iterator[Violation]:
    """Where a counter of a /metrics page is not what its rows are."""
    for family in text_string_to_metric_families(metrics):
        name = family.name.removeprefix("sidecar_")
        if name not in found.counts:
            continue
        for sample in family.samples:
            labels = tuple(sample.labels[label] for label in _LABELS[name])
            rows = found.counts[name].get(labels, 0)
            if sample.name.endswith("_total") and sample.value != rows:
                words = f"{sample.name}{labels} is {sample.value:g}, its rows are {rows}"
                yield Violation(Invariant.COUNTER, name, 0, words)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 if everything holds, 1 if something does not, 2 if it cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m chaos.checker", description=__doc__)
    parser.add_argument("database", type=Path, help="sidecar.db, or the state folder that it lies in")
    parser.add_argument("--config", type=Path, help="configuration file, for the budgets; else the defaults")
    parser.add_argument("--metrics", type=Path, help="a /metrics page, taken when nothing was under way")
    given = parser.parse_args(arguments)
    folder = given.database if given.database.is_dir() else given.database.parent
    try:
        settings = config_read.load_or_default(given.config) if given.config else None
        recovery = settings.recovery if settings else RecoverySettings()
        found = check(folder, recovery, given.metrics.read_text() if given.metrics else None)
    except (SidecarError, OSError) as error:
        print(f"checker: {error}", file=sys.stderr)
        return 2
    for violation in found:
        print(violation)
    print(f"{len(found)} contradictions")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
