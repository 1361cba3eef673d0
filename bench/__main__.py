"""``python -m bench [--list] [--rounds N] [--json FILE] [names]``.

Exit status: 0 when every case ran, whether or not it reached its targets; 1 when one could not be
run; 2 on wrong usage.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from bench.cases import CASES
from bench.line import Case, Line, Plan
from bench.report import described, summary, table, write_json

_RESULTS = Path(__file__).parent / "results.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen cases and print what they come to. Returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(f"{case.name:20}  {case.about}" for case in CASES.values()))
        return 0
    signal.signal(signal.SIGTERM, _leave)
    if unknown := sorted(set(options.names) - CASES.keys()):
        parser.error(f"no such case: {', '.join(unknown)}; --list names them")
    chosen = [CASES[name] for name in options.names or CASES]
    lines, failed = _run(chosen, Plan(options.rounds))
    if lines:
        write_json(options.json, lines)
        print(f"\n{described()}\n\n{table(lines)}\n")
    for name in failed:
        print(f"could not be run: {name}")
    print(summary(lines))
    return 1 if failed else 0


def _run(cases: Sequence[Case], plan: Plan) -> tuple[list[Line], list[str]]:
    lines: list[Line] = []
    failed = []
    for case in cases:
        print(f"{case.name}: {case.about}", file=sys.stderr, flush=True)
        try:
            lines.extend(case.run(plan))
        except Exception:
            traceback.print_exc()
            failed.append(case.name)
    return lines, failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="cases to run; all by default")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--rounds", type=_positive, help="repetitions, instead of each case's own")
    parser.add_argument("--json", type=Path, default=_RESULTS, help="where the figures go (%(default)s)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _leave(number: int, frame: object) -> NoReturn:
    # As Ctrl-C does: every box closes on the way out.
    sys.exit(128 + number)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
