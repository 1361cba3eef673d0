"""Whether a program has missed its heartbeat: by its own rule, by all of it at once, and by nothing else.

Silence is only ever counted where a rule says so, and a program that waits for somebody to type is well.
What cannot be measured counts for the program. A fault of the network is not the program's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sidecar.decide.shells import is_shell
from sidecar.decide.weather import Weather, failures_in_a_row
from sidecar.model.heartbeat import Heartbeat, May
from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.probe import Probe, ProbeResult
from sidecar.model.session import Pane
from sidecar.model.vitals import Attitude, Vitals

_IDLE = 0.01
"""Share of one processor below which a program does nothing."""


@dataclass(frozen=True, slots=True)
class Stillness:
    """What has been seen of one program so far. Times are monotonic seconds."""

    vitals: Vitals
    at: float
    cpu_since: float
    """Since when it has used no processor to speak of."""
    io_since: float | None
    """Since when it has neither read nor written; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one probe of a rule stands."""

    probe: Probe
    tries: tuple[ProbeResult, ...]
    """Oldest first, as many as are remembered."""
    weather: Weather
    since: float | None = None
    """Monotonic seconds of the first failure in a row; None if the last try was good."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A pane that a rule is about, and what has been seen of its program."""

    pane: Pane
    seen: Stillness

    @property
    def measured(self) -> bool:
        """Whether what was seen is still what runs in front."""
        front = self.pane.program.pid if self.pane.program else self.pane.pid
        return self.seen.vitals.pid == front

    @property
    def shell(self) -> bool:
        """Whether a shell waits for a command, so that there is no program."""
        return self.pane.program is None and is_shell(self.pane.argv)


@dataclass(frozen=True, slots=True)
class Missed:
    """A rule is broken, with what was measured."""

    evidence: tuple[Evidence, ...]
    since: float
    """Monotonic seconds; the first sign of it."""
    network: bool = False
    """All that failed lies on the way: no program is to blame."""


def observe(before: Stillness | None, vitals: Vitals, now: float) -> Stillness:
    """What has been seen after one more measurement. A program that is new begins anew."""
    if before is None or not vitals.same(before.vitals):
        return Stillness(vitals, now, now, None if vitals.io is None else now)
    passed = max(now - before.at, 1e-9)
    busy = (vitals.cpu - before.vitals.cpu) / passed >= _IDLE or vitals.cpu < before.vitals.cpu
    io_since = before.io_since
    if vitals.io is None:
        io_since = None
    elif io_since is None or vitals.io != before.vitals.io:
        io_since = now
    return replace(
        before, vitals=vitals, at=now, cpu_since=now if busy else before.cpu_since, io_since=io_since
    )


def excused(rule: Heartbeat, vitals: Vitals, *, shell: bool) -> str:
    """Why the program is not judged at all; empty if it is. ``shell``: an interactive shell is in front.

    A program that could take input, among other things that it waits for, is excused from silence; what
    a probe says of it counts all the same.
    """
    if shell:
        return "a shell waits for a command"
    if vitals.age < rule.grace:
        return f"it began {vitals.age:.0f} s ago, and has {rule.grace:g} s of grace"
    if vitals.attitude in (Attitude.READING, Attitude.STOPPED, Attitude.HELD_UP):
        return vitals.evidence
    if vitals.attitude is Attitude.LISTENING and not rule.probes:
        return vitals.evidence
    return ""


def silences(rule: Heartbeat, seen: Stillness, now: float) -> Missed | None:
    """Whether every silence of the rule has lasted for its limit; nothing to miss where it has none."""
    facts: list[Evidence] = []
    begins: list[float] = []
    for name, limit in rule.silences:
        lasted = _lasted(name, seen, now)
        if lasted is None or lasted < limit:
            return None
        facts.append(
            Evidence(f"pid {seen.vitals.pid}", f"{_WORDS[name]} for {lasted:.0f} s (limit {limit:g} s)")
        )
        end = seen.at if name == "output_age" else now
        begins.append(end - lasted + limit)
    return Missed(tuple(facts), max(begins, default=now))


def failures(standings: Sequence[Standing]) -> Missed | None:
    """Whether all of these probes fail; None if one does not, if packet loss explains it, or without any."""
    if not standings or any(
        standing.weather not in (Weather.FAILING, Weather.OUTAGE) for standing in standings
    ):
        return None
    facts = tuple(fact for standing in standings for fact in _told(standing))
    since = [standing.since for standing in standings if standing.since is not None]
    network = any(standing.weather is Weather.OUTAGE for standing in standings)
    return Missed(facts, max(since, default=0.0), network)


def findings(
    label: str, rule: Heartbeat, session: str, subjects: Sequence[Subject], failed: Missed | None, now: float
) -> tuple[Finding, ...]:
    """One for each program that misses its heartbeat, or one for the network between it and what it asks.

    ``failed`` is what :func:`failures` says; a rule with probes needs it.
    """
    missed: list[tuple[Subject, Missed]] = []
    for subject in subjects:
        if not subject.measured or excused(rule, subject.seen.vitals, shell=subject.shell):
            continue
        silent = silences(rule, subject.seen, now)
        if silent is None:
            continue
        facts = failed or Missed((), silent.since)
        since = max(silent.since, facts.since) if any(rule.silences) else facts.since
        missed.append((subject, Missed((*silent.evidence, *facts.evidence), since, facts.network)))
    if not missed:
        return ()
    if failed is not None and failed.network:
        return (_finding(label, session, missed, Cause.NETWORK_OUTAGE, ()),)
    if len(missed) > 1 and not any(rule.silences):
        return (_finding(label, session, missed, Cause.HEARTBEAT_MISSED, ()),)
    found = (_finding(label, session, [one], Cause.HEARTBEAT_MISSED, rule.may) for one in missed)
    return tuple(replace(one, stack_signal=rule.stack_signal) for one in found)


def _finding(
    label: str, session: str, missed: Sequence[tuple[Subject, Missed]], cause: Cause, may: tuple[May, ...]
) -> Finding:
    subject, first = missed[0]
    parts = tuple(_part(one) for one, _ in missed)
    kind = FailureKind.FROZEN if cause is Cause.HEARTBEAT_MISSED else FailureKind.UNHEALTHY
    facts = [Evidence("heartbeat", f"rule {label} is broken"), *first.evidence]
    if len(parts) > 1:
        told = f"the rule fits {len(parts)} panes; with window and pane it would be about one"
        facts.append(Evidence("heartbeat", told))
    failure = Failure(session, kind, parts, first.since)
    return Finding(failure, cause, Intent.FAILURE, tuple(facts), _origin(label, subject, first), may=may)


def _part(subject: Subject) -> Broken:
    vitals = subject.seen.vitals
    return Broken(Unit.PROGRAM, subject.pane.id, vitals.pid, started=vitals.started)


def _origin(label: str, subject: Subject, missed: Missed) -> str:
    return f"heartbeat {label} {subject.pane.id}@{missed.since:.3f}"


def rule_of(finding: Finding) -> str:
    """The label of the rule that a finding comes from."""
    return finding.origin.split(" ")[1]


def _told(standing: Standing) -> Iterator[Evidence]:
    last, row = standing.tries[-1], failures_in_a_row(standing.tries)
    word = "outage" if standing.weather is Weather.OUTAGE else last.fault
    yield Evidence(
        f"{standing.probe.kind} probe",
        f"{standing.probe.describe()}: {last.fact} ({word}, {row} in a row, the last took {last.took:.2f} s)",
    )


def _lasted(name: str, seen: Stillness, now: float) -> float | None:
    if name == "output_age":
        return seen.vitals.silent
    since = seen.cpu_since if name == "cpu_flat" else seen.io_since
    return None if since is None else now - since


_WORDS: Mapping[str, str] = {
    "output_age": "it has printed nothing",
    "cpu_flat": f"it has used less than {_IDLE:.0%} of a processor",
    "io_flat": "it has read and written nothing",
}
