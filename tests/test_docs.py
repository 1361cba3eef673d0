"""Pages that are generated have to be what the code would generate now, and true."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from docs import generate
from sidecar import config_read
from sidecar.config import Settings
from sidecar.config_probes import PROBES
from sidecar.decide.agents import AGENTS
from sidecar.decide.builtin import BUILTIN
from sidecar.decide.causes import RULES
from sidecar.errors import ConfigInvalid, Fault
from sidecar.flow.steps import STEPS
from sidecar.model.access import Scope
from sidecar.model.check import DEFAULTS, CheckState
from sidecar.model.heal import HealKind
from sidecar.model.incident import Cause, FailureKind
from sidecar.model.lifecycle import MOVES
from sidecar.model.notice import Matter
from sidecar.model.plan import Outcome, RefusalReason, Strategy
from sidecar.model.probe import ProbeFault
from sidecar.model.record import HoldBackReason, SkipReason
from sidecar.model.saga import TransactionOutcome


def test_the_page_is_up_to_date() -> None:
    assert generate.PAGE.read_text() == generate.page(), "run `python docs/generate.py`"


def test_the_shipped_rules_are_listed_as_they_are() -> None:
    written = generate.AGENTS_PAGE.read_text()
    assert written == generate.agents_page(), "run `python docs/generate.py`"
    assert written.count("| `^") == len(BUILTIN)


def test_the_states_of_an_incident_are_drawn_as_they_are() -> None:
    written = generate.RECOVERY_PAGE.read_text()
    assert written == generate.recovery_page(), "run `python docs/generate.py`"
    for old, following in MOVES.items():
        drawn = set(re.findall(rf"^    {old} --> (\w+)$", written, re.MULTILINE))
        assert drawn == {*following} - {old}


def test_every_example_about_recoveries_can_be_loaded() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", generate.RECOVERY_PAGE.read_text(), re.DOTALL)
    assert len(examples) >= 4
    assert {example: _faults(example) for example in examples if _faults(example)} == {}


def test_the_keys_of_probes_are_those_of_the_readers() -> None:
    page = generate.PROBES_PAGE.read_text()
    assert page == generate.probes_page(), "run `python docs/generate.py`"
    told = re.findall(r"^<!-- keys of (\w+) -->$", page, re.MULTILINE)
    assert sorted(told) == sorted(kind for kind in PROBES if PROBES[kind].keys)


def test_every_example_about_probes_can_be_loaded() -> None:
    page = generate.PROBES_PAGE.read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    examples = {kind: "".join(re.findall(r"```yaml\n(.*?)```", sections[kind], re.DOTALL)) for kind in PROBES}
    assert {kind: _faults(example) for kind, example in examples.items() if _faults(example)} == {}
    assert [kind for kind, example in examples.items() if f"{kind}: " not in example] == []


def test_every_fault_of_a_probe_is_explained() -> None:
    pages = generate.PROBES_PAGE.read_text() + generate.PAGE.with_name("heartbeats.md").read_text()
    assert [fault for fault in ProbeFault if f"\n| `{fault}` | " not in pages] == []


def test_every_agent_is_explained() -> None:
    assert not [name for name in AGENTS if f"| `{name} " not in generate.AGENTS_PAGE.read_text()]


def test_every_key_has_a_meaning() -> None:
    assert [entry.path for entry in generate.entries(Settings) if not entry.meaning] == []


def test_every_documented_key_is_one_that_the_reader_knows() -> None:
    for entry in generate.entries(Settings):
        assert [fault for fault in _faults(_document(entry.path)) if "unknown key" in fault.sentence] == []


def test_what_is_called_unavailable_is_refused() -> None:
    for entry in generate.entries(Settings):
        faults = _faults(_document(entry.path, "{a: {b: c}}"))
        assert any("not available" in fault.sentence for fault in faults) is not entry.available, entry.path


def _faults(content: str) -> tuple[Fault, ...]:
    try:
        config_read.parse(content, "f")
    except ConfigInvalid as error:
        return error.faults
    return ()


def _document(path: str, value: Any = "") -> str:
    """A document that says nothing but this key."""
    for key in reversed(path.split(".")):
        value = f"{{{key.removesuffix('[]')}: {f'[{value}]' if key.endswith('[]') else value}}}"
    return str(value)


def test_every_refusal_is_explained() -> None:
    page = (Path(__file__).parent.parent / "README.md").read_text()
    assert [reason for reason in RefusalReason if f"`{reason}`" not in page] == []


def test_every_step_is_told_with_its_way_back() -> None:
    page = generate.PAGE.with_name("transactions.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*\|) *$", page.split("## The steps")[1], re.MULTILINE))
    for kind, deed in STEPS.items():
        told, pivot = rows[kind].rstrip("|").rsplit("|", 1)
        assert (pivot.strip() == "yes") is deed.pivot, kind
        assert told.strip() == f"nothing: {deed.nothing_to_undo}" or deed.undo is not None, kind


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("Failures", FailureKind),
        ("Causes", Cause),
        ("Strategies", Strategy),
        ("Outcomes", Outcome),
        ("Transactions", TransactionOutcome),
        ("Heals", HealKind),
        ("Why an alert leads to nothing", SkipReason),
        ("What people are told of", Matter),
        ("Why a capture is not stored", HoldBackReason),
    ],
)
def test_every_word_of_a_closed_list_is_explained(section: str, words: Iterable[str]) -> None:
    page = generate.PAGE.with_name("words.md").read_text()
    table = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == sorted(words)


def test_the_table_of_clues_is_the_one_by_which_causes_are_ranked() -> None:
    page = (generate.PAGE.parent / "causes.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (-?\d+) \|", page, re.MULTILINE)
    assert rows == [(rule.cause, str(rule.weight)) for rule in RULES]


def test_the_examples_about_security_can_be_loaded() -> None:
    page = generate.PAGE.with_name("security.md").read_text()
    examples = re.findall(r"```yaml\n(http:.*?)```", page, re.DOTALL)
    assert len(examples) == 1
    assert {example: _faults(example) for example in examples if _faults(example)} == {}


def test_every_scope_is_explained() -> None:
    page = generate.PAGE.with_name("security.md").read_text()
    assert re.findall(r"^\| `(\w+)` \| ", page.split("## Tokens")[1].split("\n## ")[0], re.MULTILINE) == [
        *Scope
    ]


def test_every_example_about_checks_can_be_loaded() -> None:
    page = generate.PAGE.with_name("checks.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 3
    assert {example: _faults(example) for example in examples if _faults(example)} == {}


def test_every_state_and_every_default_of_a_check_is_explained() -> None:
    page = generate.PAGE.with_name("checks.md").read_text()
    rows = re.findall(r"^\| `(\w+)[:\w]*` \|", page, re.MULTILINE)
    assert set(rows) == {state.value for state in CheckState} | DEFAULTS
